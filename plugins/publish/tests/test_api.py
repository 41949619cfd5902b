"""One call to a platform: what of its answer is read, how long, and what of it people see."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
from publish_desk import Canned, Desk, make_post

from jobrunner_publish import (
    Account,
    AnswerLostError,
    Api,
    Dialect,
    PublishError,
    RefusedError,
    TransientError,
)
from jobrunner_publish.platforms import graph, linkedin, mastodon, x

TOKEN = "EAAGsecret" + "x1Y2z3" * 20
DIALECTS = [graph.FACEBOOK, linkedin.DIALECT, x.DIALECT, mastodon.DIALECT]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


def make_api(
    http: httpx.AsyncClient, url: str, *, dialect: Dialect = graph.FACEBOOK, deadline: float = 60
) -> Api:
    return Api(http, dialect=dialect, base=url, token=TOKEN, deadline=deadline)


@asynccontextmanager
async def server_that(
    goes_on: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that reads a request and then goes on as it is told."""

    served: list[asyncio.Task[object] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):  # the client has read enough
            await goes_on(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*(task for task in served if task is not None))


@pytest.mark.parametrize(
    ("status", "expected"), [(200, AnswerLostError), (400, RefusedError), (503, TransientError)]
)
async def test_answer_without_end_is_cut_off_and_sorted_by_its_status(
    status: int, expected: type[PublishError], http: httpx.AsyncClient
) -> None:
    """A worker's memory is not the platform's to fill; and a refusal is one, however much is said about it."""

    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Answer\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    async with server_that(pour) as url:
        with pytest.raises(PublishError) as caught:
            await make_api(http, url).post("/page/feed", json={})

    assert type(caught.value) is expected


async def test_answer_that_drips_is_left_at_the_deadline(http: httpx.AsyncClient) -> None:
    """Each byte comes within the timeout of a read, so that alone would hold the job for ever."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with server_that(drip) as url:
        with pytest.raises(AnswerLostError, match=r"Facebook did not answer within 0\.3 s"):
            await make_api(http, url, deadline=0.3).post("/page/feed", json={})


async def test_token_that_a_platform_quotes_is_struck_out_before_the_text_is_cut(
    http: httpx.AsyncClient, canned: Canned
) -> None:
    """Meta quotes a token that it cannot read; of one that stands where the text is cut, half would be left."""
    said = "Malformed access token " + "." * 200 + TOKEN
    canned.reply(400, msgspec.json.encode({"error": {"message": said, "code": 190}}))

    with pytest.raises(RefusedError) as caught:
        await make_api(http, canned.url).get("/page")

    assert TOKEN[:12] not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_redirect_says_that_it_is_not_followed(
    dialect: Dialect, http: httpx.AsyncClient, canned: Canned
) -> None:
    """Who wrote `http://` for `https://` learns what to change."""
    canned.reply(301, location="https://elsewhere.example/")

    with pytest.raises(RefusedError, match="redirects are not followed"):
        await make_api(http, canned.url, dialect=dialect).get("/x")


@pytest.mark.parametrize("charset", ["base64", "rot13", "undefined", "idna", "utf-16", "no-such"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_page_in_a_character_set_that_is_none_is_sorted_by_its_status(
    dialect: Dialect, charset: str, http: httpx.AsyncClient, canned: Canned
) -> None:
    """A gateway's page may claim anything about itself."""
    canned.reply(
        503,
        b"<!DOCTYPE html><html><head><title>Busy \xff</title>",
        content_type=f"text/html; charset={charset}",
    )

    with pytest.raises(TransientError, match="answered 503: an HTML page, 'Busy \ufffd'"):
        await make_api(http, canned.url, dialect=dialect).get("/x")


@pytest.mark.parametrize(
    "error",
    [
        {"message": None, "code": 4},
        {"message": "Too many calls", "code": "4"},
        {"message": "Too many calls", "code": 4, "error_subcode": None},
        {"message": ["Too many calls"], "code": 4},
        {"code": 4, "error_user_msg": {}},
    ],
)
async def test_metas_code_counts_though_what_stands_beside_it_is_odd(
    error: object, http: httpx.AsyncClient, canned: Canned
) -> None:
    """Else a limit that passes would be taken for a refusal, and the post given up."""
    canned.reply(400, msgspec.json.encode({"error": error}))

    with pytest.raises(TransientError, match="answered 400/4") as caught:
        await make_api(http, canned.url).get("/x")

    assert caught.value.retry_after == 60


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    ("header", "value", "least", "most"),
    [
        ("retry_after", "1e400", 86_400, 86_400),
        ("retry_after", "nan", 60, 60),
        ("retry_after", "-5", 60, 60),
        ("retry_after", "9" * 5000, 86_400, 86_400),
        ("retry_after", "Fri, 31 Dec 9999 23:59:59 GMT", 86_400, 86_400),
        ("retry_after", f"Mon, 01 Jan {'2026' + '0' * 30} 00:00:00 GMT", 60, 60),
        ("date", f"Mon, 01 Jan {'2026' + '0' * 30} 00:00:00 GMT", 60, 60),
        ("x_rate_limit_reset", "9" * 400, 60, 86_400),
        ("x_rate_limit_reset", "9" * 5000, 60, 86_400),
        ("x_ratelimit_reset", "9999-12-31T23:59:59+00:00", 60, 86_400),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_absurd_wait_is_never_taken_at_its_word(
    dialect: Dialect,
    header: str,
    value: str,
    least: float,
    most: float,
    http: httpx.AsyncClient,
    canned: Canned,
) -> None:
    """A day is the longest, a minute stands where nothing sensible is said, and nothing breaks."""
    canned.reply(429, **{header: value})

    with pytest.raises(TransientError) as caught:
        await make_api(http, canned.url, dialect=dialect).get("/x")

    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


async def test_success_without_the_id_of_a_post_is_no_post(
    desk: Desk, canned: Canned, account: Callable[..., Account]
) -> None:
    """A proxy's page of status 200 must not count as published on LinkedIn, whose answer has no body."""
    canned.reply(200, b"<html>Please log in to this network", content_type="text/html")
    desk.change(linkedin_url=canned.url)

    with pytest.raises(AnswerLostError, match="LinkedIn answered 200 without the id of a post"):
        await desk.publish(linkedin, make_post(), account("linkedin", authorUrn="urn:li:organization:1"))


async def test_answer_knows_its_request(http: httpx.AsyncClient, canned: Canned) -> None:
    """An adapter of another distribution may ask it whatever one asks an answer of httpx."""
    canned.reply(200, b'{"uri": "at://x"}', content_type="application/json")

    answer = await make_api(http, canned.url).get("/x")

    assert answer.raise_for_status().json() == {"uri": "at://x"}
    assert answer.url.path == "/x"
