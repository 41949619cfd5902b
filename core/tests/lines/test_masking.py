"""Secrets in handlers' lines: masked in every format, and the line can still be read."""

import json
from typing import Annotated

import msgspec
import pytest

from jobrunner import Secret
from jobrunner.masking import secret_values

SECRET = 'open "sesame" ü'


class Sealed(msgspec.Struct):
    word: Annotated[str, Secret] = SECRET
    pin: Annotated[str, Secret] = "123456789"


@pytest.mark.parametrize("log_format", ["json", "ecs", "otel"])
def test_secret_is_masked_in_text_key_number_and_json(handler_log, log_format):
    """Wherever a handler puts it; and a number that is masked must not leave a line that no parser takes."""
    log, stream = handler_log(log_format, secrets=secret_values(Sealed(), Sealed))
    log.info(
        f"with {SECRET}",  # noqa: G004 - the secret in the text is what is tested
        **{SECRET: 1},
        pin=123456789,
        nested=json.dumps({"a": SECRET}),
        list=[SECRET],
    )

    line = stream.getvalue()
    json.loads(line)
    assert "sesame" not in line
    assert "123456789" not in line
