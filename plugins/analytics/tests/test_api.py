"""One question to a platform: how each way to fail is sorted, on every platform."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from analytics_endpoint import Canned

from jobrunner_analytics import Api, Dialect, RefusedError, TransientError, api
from jobrunner_analytics.platforms import graph, linkedin, mastodon, x

DIALECTS = [graph.FACEBOOK, linkedin.DIALECT, x.DIALECT, mastodon.DIALECT]
TOKEN = "EAAG-a-secret-token-77"


async def ask(
    http: httpx.AsyncClient, canned: Canned, dialect: Dialect = x.DIALECT, *, deadline: float = 60
) -> dict[str, object]:
    asked = Api(http, dialect=dialect, base=canned.url, token=TOKEN, deadline=deadline)
    return await asked.get("/2/tweets", dict[str, object], params={"ids": "1"})


async def test_token_is_in_the_authorization_header_and_nowhere_else(
    http: httpx.AsyncClient, canned: Canned
) -> None:
    """Addresses end up in logs of proxies, a header does not."""
    canned.reply(200, b"{}")

    await ask(http, canned)

    (request,) = canned.received
    assert request.count(TOKEN.encode()) == 1
    assert f"\r\nauthorization: bearer {TOKEN}\r\n".lower().encode() in request.lower()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, TransientError),
        (500, TransientError),
        (502, TransientError),
        (503, TransientError),
        (408, TransientError),
        (301, RefusedError),
        (400, RefusedError),
        (401, RefusedError),
        (403, RefusedError),
        (404, RefusedError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error": 7}', b"\xff", b'{"error": "\xff"}'])
async def test_status_decides_where_the_body_says_nothing(
    http: httpx.AsyncClient, canned: Canned, dialect: Dialect, status: int, kind: type[Exception], body: bytes
) -> None:
    """A proxy's page is in nobody's form. A redirect is not followed: the token would go along."""
    canned.reply(status, body, location="http://127.0.0.1:1/")

    with pytest.raises(kind) as caught:
        await ask(http, canned, dialect)

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 4, TransientError),
        (400, 17, TransientError),
        (400, 32, TransientError),
        (400, 613, TransientError),
        (403, 80002, TransientError),
        (400, 1, TransientError),
        (400, 2, TransientError),
        (400, 190, RefusedError),
        (400, 100, RefusedError),
        (400, 10, RefusedError),
    ],
)
async def test_metas_codes_decide(
    http: httpx.AsyncClient, canned: Canned, status: int, code: int, kind: type[Exception]
) -> None:
    """Meta answers 400 to almost anything."""
    canned.reply(status, msgspec.json.encode({"error": {"message": "It said so.", "code": code}}))

    with pytest.raises(kind) as caught:
        await ask(http, canned, graph.FACEBOOK)

    assert ("accounts file" in str(caught.value)) == (code == 190)


DATE = "Sun, 09 Sep 2001 01:46:40 GMT"  # Unix time 1,000,000,000


@pytest.mark.parametrize(
    ("dialect", "headers", "expected"),
    [
        (x.DIALECT, {"retry_after": "17"}, 17),
        (x.DIALECT, {"retry_after": "Sun, 09 Sep 2001 01:48:10 GMT", "date": DATE}, 90),
        (x.DIALECT, {"x_rate_limit_reset": "1000000090", "date": DATE}, 90),
        (x.DIALECT, {"x_rate_limit_reset": "nan", "date": DATE}, 60),
        (x.DIALECT, {"retry_after": "1e300"}, 86_400),
        (x.DIALECT, {"retry_after": "inf"}, 60),
        (x.DIALECT, {"retry_after": "-5"}, 0),
        (x.DIALECT, {"retry_after": f"Mon, 01 Jan {'2026' + '0' * 30} 00:00:00 GMT"}, 60),
        (x.DIALECT, {"date": f"Mon, 01 Jan {'2026' + '0' * 30} 00:00:00 GMT"}, 60),
        (x.DIALECT, {"x_rate_limit_reset": "9" * 300, "date": DATE}, 86_400),
        (x.DIALECT, {}, 60),
        (mastodon.DIALECT, {"x_ratelimit_reset": "2001-09-09T01:48:10.000Z", "date": DATE}, 90),
        (mastodon.DIALECT, {"x_ratelimit_reset": "soon", "date": DATE}, 60),
        (
            graph.FACEBOOK,
            {"x_business_use_case_usage": '{"1": [{"type": "pages", "estimated_time_to_regain_access": 7}]}'},
            420,
        ),
    ],
)
async def test_wait_is_the_platforms_own_by_its_own_clock(
    http: httpx.AsyncClient, canned: Canned, dialect: Dialect, headers: dict[str, str], expected: float
) -> None:
    """Each says it by another header; a day at most is waited."""
    canned.reply(429, b"{}", **headers)

    with pytest.raises(TransientError) as caught:
        await ask(http, canned, dialect)

    assert caught.value.retry_after == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"a":' * 5000, b'{"a": "\xff"}', b'{"\xff": 1}'])
async def test_answer_that_cannot_be_read_is_tried_again(
    http: httpx.AsyncClient, canned: Canned, body: bytes
) -> None:
    """It may be a proxy's."""
    canned.reply(200, body)

    with pytest.raises(TransientError, match="cannot be read"):
        await ask(http, canned)


async def test_endless_answer_is_cut_off(
    http: httpx.AsyncClient, canned: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never stops must not fill the worker's memory."""
    monkeypatch.setattr(api, "MOST_ANSWER", 1 << 20)
    canned.reply(200, b"x" * (4 << 20))

    with pytest.raises(TransientError, match="more than 1 MiB"):
        await ask(http, canned)


async def test_no_answer_is_tried_again(http: httpx.AsyncClient, canned: Canned) -> None:
    """The connection is closed without one."""
    with pytest.raises(TransientError, match="did not answer"):
        await ask(http, canned)


async def test_long_message_is_one_short_line(http: httpx.AsyncClient, canned: Canned) -> None:
    """A platform's error page must not fill the job's record."""
    canned.reply(400, b"<html>\n" + b"x" * 10_000)

    with pytest.raises(RefusedError) as caught:
        await ask(http, canned)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_refusal_without_end_is_cut_off_and_sorted_by_its_status(
    http: httpx.AsyncClient, canned: Canned, monkeypatch: pytest.MonkeyPatch, dialect: Dialect
) -> None:
    """What will never work is not asked for again because so much is said about it."""
    monkeypatch.setattr(api, "MOST_ANSWER", 1 << 20)
    canned.reply(403, b"x" * (4 << 20))

    with pytest.raises(RefusedError, match="answered 403"):
        await ask(http, canned, dialect)


async def test_answer_that_drips_is_left_at_the_deadline(http: httpx.AsyncClient, canned: Canned) -> None:
    """Each byte comes within the timeout of a read, so that alone would hold the job for ever."""
    canned.reply(200, b" " * 1_000_000)
    canned.drip_s = 0.02

    with pytest.raises(TransientError, match=r"X did not answer within 0\.3 s"):
        await ask(http, canned, deadline=0.3)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_token_that_a_platform_quotes_is_struck_out_before_the_text_is_cut(
    http: httpx.AsyncClient, canned: Canned, dialect: Dialect
) -> None:
    """It stands in the accounts file and in no payload, so nothing after this would strike it out."""
    said = f"Malformed access token {TOKEN} " + "." * 245 + TOKEN
    canned.reply(400, msgspec.json.encode({"error": {"message": said}, "message": said, "detail": said}))

    with pytest.raises(RefusedError) as caught:
        await ask(http, canned, dialect)

    assert TOKEN[:10] not in str(caught.value)
    assert "Malformed access token ***" in str(caught.value)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_redirect_says_that_it_is_not_followed(
    http: httpx.AsyncClient, canned: Canned, dialect: Dialect
) -> None:
    """Who wrote `http://` for `https://` learns what to change."""
    canned.reply(301, location="https://elsewhere.example/")

    with pytest.raises(RefusedError, match="redirects are not followed"):
        await ask(http, canned, dialect)


@pytest.mark.parametrize("charset", ["base64", "rot13", "undefined", "idna", "utf-16", "no-such"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_page_in_a_character_set_that_is_none_is_sorted_by_its_status(
    http: httpx.AsyncClient, canned: Canned, dialect: Dialect, charset: str
) -> None:
    """A gateway's page may claim anything about itself."""
    canned.reply(
        503,
        b"<!DOCTYPE html><html><head><title>Busy \xff</title>",
        content_type=f"text/html; charset={charset}",
    )

    with pytest.raises(TransientError, match="answered 503: an HTML page, 'Busy \ufffd'"):
        await ask(http, canned, dialect)


@pytest.mark.parametrize(
    "error",
    [
        {"message": None, "code": 4},
        {"message": "Too many calls", "code": "4"},
        {"message": "Too many calls", "code": 4, "error_subcode": None},
        {"message": ["Too many calls"], "code": 4},
    ],
)
async def test_metas_code_counts_though_what_stands_beside_it_is_odd(
    http: httpx.AsyncClient, canned: Canned, error: object
) -> None:
    """Else a limit that passes would be taken for a refusal, and the account given up."""
    canned.reply(400, msgspec.json.encode({"error": error}))

    with pytest.raises(TransientError, match="answered 400/4"):
        await ask(http, canned, graph.FACEBOOK)
