"""The WhatsApp Cloud API's messages, refusals and limits."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from jobrunner_sandbox import Behaviour, SandboxServer

TO = "+4915123456789"


def send(client: httpx.Client, to: str = TO, **more: object) -> httpx.Response:
    body = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "Hello"}, **more}
    return client.post("/whatsapp/v25.0/106540352242922/messages", json=body)


def template(text: str, name: str = "note") -> dict[str, object]:
    parameters = [{"type": "text", "text": text}]
    components = [{"type": "body", "parameters": parameters}]
    return {
        "type": "template",
        "template": {"name": name, "language": {"code": "en_US"}, "components": components},
    }


def test_text_is_accepted_under_an_id_of_its_own(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The answer has what a client reads: the message's id and the recipient's account."""
    first, second = send(client).json(), send(client, biz_opaque_callback_data="job-1").json()

    messages = sandbox.ledger.posts("whatsapp")
    assert first["contacts"] == [{"input": TO, "wa_id": TO[1:]}]
    assert [one.post_id for one in messages] == [first["messages"][0]["id"], second["messages"][0]["id"]]
    assert [(one.account, one.text, one.idempotency) for one in messages] == [
        (TO, "Hello", None),
        (TO, "Hello", "job-1"),
    ]


def test_template_is_accepted_with_its_parameter(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Outside of 24 hours it is the only thing that reaches people."""
    answer = send(client, "+15550131047", **template("Your post is ready"))

    assert answer.json()["messages"][0]["message_status"] == "accepted"
    assert [one.text for one in sandbox.ledger.posts()] == ["[note] Your post is ready"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"to": "4915123456789"}, 400, 131009),
        ({"messaging_product": "sms"}, 400, 100),
        ({"text": {}}, 400, 131008),
        ({"text": {"body": "x" * 4097}}, 400, 100),
        ({"type": "smoke"}, 400, 131051),
        (template("a\nb"), 400, 132018),
        (template("a     b"), 400, 132018),
        (template("x" * 1025), 400, 132005),
        (template("a", name="missing_one"), 404, 132001),
        ({**template("a"), "template": {"name": "note", "language": {"code": "de"}}}, 400, 132000),
        ({"to": "+15550131047"}, 400, 131047),
        ({"to": "+15550131026"}, 400, 131026),
        ({"to": "+15550000190"}, 401, 190),
        ({"to": "+15550080007"}, 429, 80007),
    ],
)
def test_wrong_message_is_refused(
    client: httpx.Client, sandbox: SandboxServer, change: dict[str, object], status: int, code: int
) -> None:
    """With Meta's codes, the reason in `error_data.details`, and nothing accepted."""
    answer = send(client, **change)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["error_data"]["details"]
    assert sandbox.ledger.posts() == []


def test_body_that_is_no_object_is_refused(client: httpx.Client) -> None:
    """A client that sends a form is told so."""
    for content in (b"[]", b"to=1", b""):
        answer = client.post("/whatsapp/v25.0/1/messages", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


def test_path_that_is_none_is_an_object_that_does_not_exist(client: httpx.Client) -> None:
    """A wrong phone number id looks like this."""
    for path in ("/whatsapp/v25.0/acme/messages", "/whatsapp/latest/1/messages", "/whatsapp/v25.0/1/calls"):
        error = client.post(path, json={}).json()["error"]
        assert (error["code"], error["error_subcode"]) == (100, 33)


def test_pair_limit_is_a_burst_and_then_a_message_in_six_seconds(
    client: httpx.Client, sandbox: SandboxServer, set_ahead: Callable[[float], None]
) -> None:
    """One person cannot be flooded, and everybody else still gets theirs."""
    burst = [send(client).status_code for _ in range(45)]
    set_ahead(2)
    refused, other = send(client), send(client, "+4915123456780")
    set_ahead(30)
    later = send(client)

    assert set(burst) == {200}
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, 131056)
    assert (other.status_code, later.status_code) == (200, 200)


def test_throughput_is_eighty_a_second() -> None:
    """Counted over all recipients of one sending number, and anew in the next second."""
    moment = [1000.5]
    with (
        SandboxServer.in_thread(now=lambda: moment[0]) as server,
        httpx.Client(headers={"Authorization": "Bearer t"}, base_url=server.url) as client,
    ):
        codes = [send(client, f"+49151234{number:05d}").status_code for number in range(80)]
        refused = send(client, "+4915199999999")
        moment[0] += 1
        later = send(client, "+4915199999999")

    assert set(codes) == {200}
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, 130429)
    assert later.status_code == 200


def test_fates_are_worded_as_whatsapp_words_them(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A planned outage, and a limit."""
    sandbox.faults.next("whatsapp", status=503)
    sandbox.faults.next("whatsapp", status=500)
    sandbox.faults.next("whatsapp", status=401)
    codes = [send(client).json()["error"]["code"] for _ in range(3)]
    sandbox.behaviour = Behaviour(rate_limit_rate=1)

    assert codes == [131016, 131000, 190]
    assert send(client).json()["error"]["code"] == 130429


def test_token_is_needed(client: httpx.Client) -> None:
    """Without one it is code 0, with a revoked one 190."""
    missing = client.post("/whatsapp/v25.0/1/messages", headers={"Authorization": ""}, json={})
    revoked = client.post("/whatsapp/v25.0/1/messages", headers={"Authorization": "Bearer revoked1"}, json={})

    assert (missing.status_code, missing.json()["error"]["code"]) == (401, 0)
    assert (revoked.status_code, revoked.json()["error"]["code"]) == (401, 190)
