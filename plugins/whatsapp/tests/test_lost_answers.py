"""A message that was handed over and of which nobody knows: what the setting makes of it."""

from __future__ import annotations

import asyncio

import pytest
from whatsapp_desk import TOKEN, Canned, Send

from jobrunner_sandbox import SandboxServer

NUMBER = "106540352242922"


async def test_lost_answer_is_unknown_and_not_sent_again(send: Send, sandbox: SandboxServer) -> None:
    """The default: a person who got nothing is asked for by others, one who got it twice is annoyed."""
    sandbox.faults.next("whatsapp", lost=True)

    done = await send(campaign="spring")

    assert done.outcome == "failed"
    assert done.error.message.startswith("unknown: ")
    assert "JOBRUNNER_WHATSAPP_ON_UNKNOWN" in done.error.message
    assert len(sandbox.ledger.posts()) == 1


async def test_retry_by_hand_does_not_send_an_unknown_message_again(
    send: Send, sandbox: SandboxServer
) -> None:
    """`jobrunner jobs retry` over a page of failed jobs must not double what may be out."""
    sandbox.faults.next("whatsapp", lost=True)
    first = await send()

    for attempt in (2, 3):
        again = await send(attempt=attempt, steps=first.steps)
        first = again

    assert first.outcome == "failed"
    assert first.error.message.startswith("unknown: an earlier attempt")
    assert len(sandbox.ledger.requests()) == 1


async def test_on_unknown_retry_sends_once_more(send: Send, sandbox: SandboxServer) -> None:
    """Who prefers a double to a missing message says so."""
    sandbox.faults.next("whatsapp", lost=True)
    setting = {"on_unknown": "retry"}

    first = await send(settings=setting)
    second = await send(settings=setting, attempt=2, steps=first.steps)

    assert first.outcome == "retried"
    second.expect("completed")
    assert len(sandbox.ledger.posts()) == 2


async def test_worker_that_died_in_the_call_leaves_an_unknown_message(
    send: Send, sandbox: SandboxServer
) -> None:
    """The note before the call is all that is left of it."""
    done = await send(attempt=2, steps={"send-1": {"run": 0}})

    assert done.outcome == "failed"
    assert done.error.message.startswith("unknown: ")
    assert sandbox.ledger.requests() == []


async def test_refused_connection_is_no_lost_answer(send: Send) -> None:
    """Not a byte was sent, so it is tried again."""
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()

    done = await send(settings={"graph_url": f"http://127.0.0.1:{port}"})

    assert done.outcome == "retried"
    assert "cannot be reached" in done.reason
    assert done.steps["send-1-end"] == {"how": "nothing"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"messages": []}'),
        (200, b'{"messages": [{"id": 5}]}'),
        (200, b'{"messages": [{"id": "' + b"x" * 2_000_000),
        (200, b"[" * 100_000),
        (500, b"<html>Internal error</html>"),
        (504, b"\xff\xfe"),
    ],
)
async def test_answer_that_does_not_tell_is_unknown(
    send: Send, canned: Canned, status: int, body: bytes
) -> None:
    """Empty, huge, nested, of other types: none says whether WhatsApp took the message."""
    canned.reply(status, body)

    done = await send(settings={"graph_url": canned.url})

    assert done.outcome == "failed"
    assert done.error.message.startswith("unknown: ")
    assert len(done.error.message) < 700


async def test_redirect_is_not_followed(send: Send, canned: Canned, sandbox: SandboxServer) -> None:
    """The token goes to one host only."""
    canned.reply(307, location=f"{sandbox.services()['whatsapp']}/v25.0/{NUMBER}/messages")

    done = await send(settings={"graph_url": canned.url})

    assert done.outcome == "failed"
    assert sandbox.ledger.requests() == []


async def test_token_goes_in_the_header_and_is_struck_out_of_what_comes_back(
    send: Send, canned: Canned
) -> None:
    """Meta's text for a token that it cannot read quotes it."""
    body = b'{"error": {"message": "Malformed access token %s", "code": 190}}' % TOKEN.encode()
    canned.reply(401, body)

    done = await send(settings={"graph_url": f"{canned.url}/"})

    head = canned.received[0].partition(b"\r\n\r\n")[0]
    assert head.startswith(f"POST /v25.0/{NUMBER}/messages HTTP/1.1\r\n".encode())
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert "Malformed access token ***" in done.error.message
    assert TOKEN not in repr((done.error, done.logs, done.exception))


async def test_wait_of_meta_s_header_is_kept(send: Send, canned: Canned) -> None:
    """It is in minutes, a list a business."""
    usage = '{"1": [{"estimated_time_to_regain_access": 7}, {"estimated_time_to_regain_access": 2}]}'
    canned.reply(429, b'{"error": {"code": 80007}}', x_business_use_case_usage=usage)

    done = await send(settings={"graph_url": canned.url})

    assert 420 <= done.delay <= 463


@pytest.mark.parametrize("usage", ["{", "[]", '{"1": 3}', '{"1": [{"estimated_time_to_regain_access": -5}]}'])
async def test_header_of_another_form_is_left_out(send: Send, canned: Canned, usage: str) -> None:
    """The wait is then our own."""
    canned.reply(429, b'{"error": {"code": 80007}}', x_business_use_case_usage=usage)

    done = await send(settings={"graph_url": canned.url})

    assert 60 <= done.delay <= 67
