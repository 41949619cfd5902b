"""OpenAI's images endpoint."""

from __future__ import annotations

import base64
import struct

import httpx
import pytest


def ask(client: httpx.Client, **changes: object) -> httpx.Response:
    body = {"model": "gpt-image-2.5-flare", "prompt": "A harbour", "size": "1536x1024", **changes}
    return client.post("/openai/v1/images/generations", json=body)


def test_picture_has_the_size_that_was_asked_for(client: httpx.Client) -> None:
    """The same prompt, the same picture."""
    content = base64.b64decode(ask(client).json()["data"][0]["b64_json"])

    assert struct.unpack(">II", content[16:24]) == (1536, 1024)
    assert base64.b64decode(ask(client).json()["data"][0]["b64_json"]) == content


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"prompt": " "}, "prompt"),
        ({"model": ""}, "model"),
        ({"size": "huge"}, "size"),
        ({"size": "9999x10"}, "size"),
        ({"response_format": "b64_json"}, "response_format"),
    ],
)
def test_wrong_parameter_is_named(client: httpx.Client, changes: dict[str, object], param: str) -> None:
    """In the field that clients look at."""
    answer = ask(client, **changes)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_forbidden_prompt_is_refused_by_its_code(client: httpx.Client) -> None:
    """As the real one's safety system does."""
    assert ask(client, prompt="something not-allowed").json()["error"]["code"] == "moderation_blocked"


def test_key_is_needed(client: httpx.Client) -> None:
    """And a revoked one is told from none."""
    client.headers["Authorization"] = "Bearer revoked-1"

    assert ask(client).json()["error"]["code"] == "invalid_api_key"
