"""What the API's refusals say in forms that are not quite its own, and what comes of the job."""

from __future__ import annotations

import msgspec
import pytest
from whatsapp_desk import TOKEN, Canned, Send

from jobrunner_whatsapp.failures import TransientError

FAR = f"Mon, 01 Jan {'2026' + '0' * 30} 00:00:00 GMT"


@pytest.mark.parametrize(
    "error",
    [
        {"message": None, "code": 130429},
        {"message": "Rate limit hit", "code": "130429"},
        {"message": "Rate limit hit", "code": 130429, "error_subcode": None},
        {"message": "Rate limit hit", "code": 130429, "error_data": "none"},
        {"message": "Rate limit hit", "code": 130429, "error_data": {"details": None}},
        {"message": ["Rate limit hit"], "code": 130429, "is_transient": "yes"},
    ],
)
async def test_code_counts_though_what_stands_beside_it_is_odd(
    send: Send, canned: Canned, error: object
) -> None:
    """Else a limit that passes would be taken for a refusal, and the message given up."""
    canned.reply(400, msgspec.json.encode({"error": error}))

    done = await send(settings={"graph_url": canned.url})

    assert done.outcome == "retried"
    assert "answered 400/130429" in done.reason


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry_after": "90.5"}, 90.5, 100),
        (
            {"date": "Sun, 09 Sep 2001 01:46:40 GMT", "retry_after": "Sun, 09 Sep 2001 01:48:10 GMT"},
            90,
            99,
        ),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400, 95_040),
        ({"retry_after": "inf"}, 86_400, 95_040),
        ({"retry_after": "9" * 5000}, 86_400, 95_040),
        ({"retry_after": "nan"}, 60, 66),
        ({"retry_after": "-5"}, 60, 66),
        ({"retry_after": "0"}, 60, 66),
        ({"retry_after": "soon"}, 60, 66),
        ({"retry_after": FAR}, 60, 66),
        ({"date": FAR, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 60, 66),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_wait_is_read_by_number_and_by_date_and_bounded(
    send: Send, canned: Canned, headers: dict[str, str], least: float, most: float
) -> None:
    """A day at most; jitter of a tenth is added."""
    canned.reply(429, b"", **headers)

    done = await send(settings={"graph_url": canned.url})

    assert done.outcome == "retried"
    assert least <= done.delay <= most


async def test_server_in_trouble_that_says_at_once_gets_the_backoff(send: Send, canned: Canned) -> None:
    """Else all attempts of a job would be spent in a moment."""
    canned.reply(503, b"", retry_after="0")

    done = await send(settings={"graph_url": canned.url}, attempt=9)

    assert done.outcome == "retried"
    assert isinstance(done.exception, TransientError), "a wait of its own would be a Retry"


@pytest.mark.parametrize("status", [409, 410, 413, 422])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Sorry", b"null", b"[1]", b'{"error": "no"}', b'{"error": "\xff"}']
)
async def test_refusal_in_nobodys_form_is_given_up_with_its_status(
    send: Send, canned: Canned, status: int, body: bytes
) -> None:
    """The same message gets the same answer."""
    canned.reply(status, body)

    done = await send(settings={"graph_url": canned.url})

    assert done.outcome == "failed"
    assert f"WhatsApp answered {status}" in done.error.message
    assert TOKEN not in done.error.message


async def test_redirect_names_the_setting(send: Send, canned: Canned) -> None:
    """Who wrote `http://` for `https://` learns what to change."""
    canned.reply(301, location="https://elsewhere.example/")

    done = await send(settings={"graph_url": canned.url})

    assert done.outcome == "failed"
    assert "JOBRUNNER_WHATSAPP_GRAPH_URL: redirects are not followed" in done.error.message
