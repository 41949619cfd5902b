"""Chat completions: an answer in the shape asked for, and each way in which such a service refuses."""

from __future__ import annotations

import json

import httpx
import pytest

from jobrunner_sandbox import Behaviour, SandboxServer

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "size": {"enum": ["s", "m"]},
        "count": {"type": "integer"},
        "price": {"type": "number"},
        "open": {"type": "boolean"},
    },
    "required": ["title", "tags", "size", "count", "price", "open"],
    "additionalProperties": False,
}


def shape(schema: object = SCHEMA, *, strict: bool = True) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "thing", "strict": strict, "schema": schema}}


def ask(
    client: httpx.Client, prompt: str = "Write", *, model: str = "m-1", path: str = "/v1", **more: object
) -> httpx.Response:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    return client.post(f"/openai{path}/chat/completions", json={"model": model, "messages": messages, **more})


def content_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def test_answer_has_the_shape_that_was_asked_for(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A client that decodes strictly has to be satisfied, whatever its schema."""
    answer = ask(client, "Write about tea", response_format=shape())

    made = json.loads(content_of(answer))
    assert set(made) == set(SCHEMA["required"])
    assert isinstance(made["title"], str)
    assert all(isinstance(tag, str) for tag in made["tags"])
    assert made["size"] in ("s", "m")
    assert answer.json()["choices"][0]["finish_reason"] == "stop"
    (kept,) = sandbox.ledger.generated("openai")
    assert (kept.kind, kept.model, kept.prompt) == ("text", "m-1", "Write about tea")
    assert kept.made == content_of(answer)


def test_same_messages_get_the_same_answer_and_others_another(client: httpx.Client) -> None:
    """Tests can repeat themselves, and a month of posts is not one post thirty times."""
    first, again, other = (content_of(ask(client, prompt)) for prompt in ("One", "One", "Two"))

    assert first == again != other


def test_version_may_be_left_out(client: httpx.Client) -> None:
    """Some clients have it in their address, and some add it."""
    assert content_of(ask(client, path="")) == content_of(ask(client, path="/v1"))


def test_text_and_json_object_are_shapes_too(client: httpx.Client) -> None:
    """The two older ways to ask."""
    assert not content_of(ask(client)).startswith("{")
    assert json.loads(content_of(ask(client, response_format={"type": "json_object"})))


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": shape({"type": "object", "properties": {}})}, "response_format"),
        ({"response_format": shape({**SCHEMA, "required": ["title"]})}, "response_format"),
        (
            {"response_format": shape({"type": "array", "items": {"type": "object"}})},
            "response_format",
        ),
    ],
)
def test_wrong_request_names_its_parameter(
    more: dict[str, object], param: str, client: httpx.Client, sandbox: SandboxServer
) -> None:
    """What the real one refuses must not pass here, the rules of strict schemas first of all."""
    body = {"model": "m-1", "messages": [{"role": "user", "content": "Write"}], **more}
    answer = client.post("/openai/v1/chat/completions", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert sandbox.ledger.generated() == []


def test_rules_of_strict_schemas_hold_for_strict_ones_only(client: httpx.Client) -> None:
    """Without `strict` any schema is taken."""
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}

    assert json.loads(content_of(ask(client, response_format=shape(loose, strict=False))))


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("no-such-model", 404, "model_not_found"), ("out-of-quota", 429, "insufficient_quota")],
)
def test_model_that_cannot_be_had(model: str, status: int, code: str, client: httpx.Client) -> None:
    """An empty account is a 429 as a rate limit is, and only the code tells them apart."""
    answer = ask(client, model=model)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "retry-after" not in answer.headers


def test_context_that_is_too_long_has_its_code(client: httpx.Client) -> None:
    """A client must not send it again."""
    answer = ask(client, "x" * 400_001)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_models_that_answer_badly(client: httpx.Client) -> None:
    """What a language model does now and then, on demand."""
    answers = {
        model: ask(client, model=model, response_format=shape()).json()["choices"][0]
        for model in ("refusing", "filtered", "cut-off", "not-json", "off-schema", "rambling")
    }

    assert answers["refusing"]["message"]["refusal"]
    assert answers["refusing"]["message"]["content"] is None
    assert answers["filtered"]["finish_reason"] == "content_filter"
    assert answers["cut-off"]["finish_reason"] == "length"
    for model in ("cut-off", "not-json"):
        with pytest.raises(ValueError, match="char"):
            json.loads(answers[model]["message"]["content"])
    assert list(json.loads(answers["off-schema"]["message"]["content"])) == ["answer"]
    assert len(answers["rambling"]["message"]["content"]) > 100_000


def test_keys_paths_and_outages_are_worded_as_there(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Clients sort by these fields."""
    sandbox.faults.next("openai", status=503)
    outage = ask(client)
    revoked = client.post("/openai/v1/chat/completions", headers={"Authorization": "Bearer revoked-1"})
    missing = httpx.post(f"{sandbox.url}/openai/v1/chat/completions", json={})
    nowhere = client.get("/openai/v1/nothing")

    assert (outage.status_code, outage.json()["error"]["type"]) == (503, "server_error")
    assert (revoked.status_code, revoked.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (missing.status_code, missing.json()["error"]["code"]) == (401, None)
    assert (nowhere.status_code, nowhere.json()["error"]["type"]) == (404, "invalid_request_error")


def test_rate_limit_says_when_it_ends(client: httpx.Client, sandbox: SandboxServer) -> None:
    """In whole seconds, rounded up."""
    sandbox.behaviour = Behaviour(rate_limit_rate=1, retry_after=19.2)

    answer = ask(client)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "20")
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_what_was_made_is_shown_to_other_processes(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A demo looks at it from outside; a reset forgets it."""
    ask(client, "Write about tea")

    shown = client.get("/_sandbox/ledger").json()["generated"]
    client.post("/_sandbox/reset")

    assert [made["prompt"] for made in shown] == ["Write about tea"]
    assert sandbox.ledger.generated() == []
