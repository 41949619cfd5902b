"""OpenAI's images endpoint: a picture in one colour for every prompt, in the size that was asked for.

Draws nothing that a prompt says. The same prompt gives the same picture.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from starlette.responses import Response

from jobrunner_sandbox.fields import read_fields
from jobrunner_sandbox.ledger import Generated
from jobrunner_sandbox.pictures import flat_png
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.openai_refusals import openai_error

SIZE = re.compile(r"([1-9]\d{2,3})x([1-9]\d{2,3})")
MOST_PROMPT = 32_000
SIDES = range(256, 4097)
BLOCKED = "not-allowed"
"""A prompt with this word is refused, as the real one refuses what its content policy forbids."""


class Images:
    """The endpoint that makes pictures."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (Endpoint(method="POST", path="/images/generations", handler=self._generate),)

    def clear(self) -> None:
        """Forget nothing: it remembers nothing."""

    async def _generate(self, call: Call) -> Response:
        fields = await read_fields(call.request)
        prompt, model = fields.text("prompt"), fields.text("model")
        if not model:
            raise _refused("Missing required parameter: 'model'.", param="model")
        if not prompt.strip() or len(prompt) > MOST_PROMPT:
            raise _refused(f"'prompt' must have 1 to {MOST_PROMPT} characters.", param="prompt")
        if BLOCKED in prompt:
            message = "Your request was rejected by the safety system."
            raise _refused(message, code="moderation_blocked", kind="image_generation_user_error")
        if fields.text("response_format") and not model.startswith("dall-e"):
            raise _refused("Unknown parameter: 'response_format'.", param="response_format")
        width, height = _size(fields.text("size") or "1024x1024")
        made = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()
        content = flat_png(made, width, height)
        self._context.ledger.generate(
            Generated(
                service="openai",
                kind="image",
                model=model,
                prompt=prompt,
                made=made.hex()[:16],
                at=self._context.now(),
            )
        )
        return answer_json(
            {
                "created": int(self._context.now()),
                "data": [{"b64_json": base64.b64encode(content).decode()}],
                "size": f"{width}x{height}",
                "output_format": "png",
            }
        )


def _size(text: str) -> tuple[int, int]:
    found = SIZE.fullmatch(text)
    width, height = (int(part) for part in found.groups()) if found else (0, 0)
    if width not in SIDES or height not in SIDES:
        raise _refused(f"Invalid value: '{text}'.", param="size", code="invalid_value")
    return width, height


def _refused(
    message: str, *, param: str | None = None, code: str | None = None, kind: str = "invalid_request_error"
) -> RefusedError:
    return RefusedError(openai_error(400, message, kind=kind, code=code, param=param))
