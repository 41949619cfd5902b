"""How each platform's answers are sorted: the tables, line by line, with the bodies that the platforms send."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from jobrunner_publish import (
    AnswerLostError,
    Dialect,
    DuplicateError,
    PublishError,
    RefusedError,
    TransientError,
)
from jobrunner_publish.api import wait_named
from jobrunner_publish.platforms import graph, linkedin, mastodon, x
from jobrunner_publish.verdicts import judge


def sort(dialect: Dialect, status: int, body: object = None, **headers: str) -> PublishError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return judge(
        dialect.name, dialect.read(httpx.Response(status, content=content, headers=named)), dialect.rules
    )


def of_meta(code: int, subcode: int = 0) -> dict[str, object]:
    return {"error": {"message": "It said so.", "code": code, "error_subcode": subcode, "fbtrace_id": "A1"}}


@pytest.mark.parametrize(
    ("status", "code", "subcode", "expected"),
    [
        (400, 506, 1455006, DuplicateError),
        (400, 190, 460, RefusedError),
        (401, 104, 0, RefusedError),
        (400, 100, 33, RefusedError),
        (400, 10, 0, RefusedError),
        (403, 200, 0, RefusedError),
        (400, 299, 0, RefusedError),
        (400, 368, 0, RefusedError),
        (400, 36000, 2207004, RefusedError),
        (400, 4, 0, TransientError),
        (400, 32, 0, TransientError),
        (403, 80002, 0, TransientError),
        (403, 9, 2207042, TransientError),
        (400, 9007, 2207027, TransientError),
        (400, 9004, 2207052, TransientError),
        (400, 24, 2207008, TransientError),
        (400, -2, 2207003, TransientError),
        (400, -1, 2207001, AnswerLostError),
        (500, 1, 0, AnswerLostError),
        (400, 2, 0, AnswerLostError),
        (503, 2, 0, TransientError),
    ],
)
def test_meta(status: int, code: int, subcode: int, expected: type[PublishError]) -> None:
    """Meta answers 400 to almost anything; the codes decide."""
    assert type(sort(graph.INSTAGRAM, status, of_meta(code, subcode))) is expected


def test_meta_names_the_wait_in_minutes() -> None:
    """A header of its own, one entry a use case."""
    usage = '{"1": [{"type": "pages", "estimated_time_to_regain_access": 7}], "2": [{"type": "instagram"}]}'

    error = sort(graph.FACEBOOK, 400, of_meta(32), x_business_use_case_usage=usage)

    assert isinstance(error, TransientError)
    assert error.retry_after == 420


@pytest.mark.parametrize("body", [b"", b"<html>", [1], {"error": "text"}, {"error": {"code": "x"}}, {}])
@pytest.mark.parametrize("dialect", [graph.FACEBOOK, linkedin.DIALECT, x.DIALECT, mastodon.DIALECT])
@pytest.mark.parametrize(
    ("status", "expected"), [(400, RefusedError), (502, AnswerLostError), (503, TransientError)]
)
def test_body_of_another_form_is_sorted_by_its_status(
    body: object, dialect: Dialect, status: int, expected: type[PublishError]
) -> None:
    """A proxy's error page is not in the platform's form."""
    assert type(sort(dialect, status, body)) is expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            422,
            {
                "message": "...BadRequestResponseException: Content is a duplicate of urn:li:share:71",
                "errorDetails": {"inputErrors": [{"code": "DUPLICATE_POST", "input": {}}]},
                "status": 422,
            },
            DuplicateError,
        ),
        (422, {"message": "ERROR :: /author :: is not valid", "status": 422, "code": "X"}, RefusedError),
        (401, {"message": "Revoked", "code": "REVOKED_ACCESS_TOKEN", "status": 401}, RefusedError),
        (403, {"message": "Denied", "code": "ACCESS_DENIED", "status": 403}, RefusedError),
        (426, {"message": "not active", "code": "NONEXISTENT_VERSION", "status": 426}, TransientError),
        (400, {"message": "waits", "code": "MEDIA_ASSET_WAITING_UPLOAD", "status": 400}, TransientError),
        (429, {"message": "throttled", "status": 429}, TransientError),
        (500, {"message": "oops", "status": 500}, AnswerLostError),
        (504, {"message": "slow", "status": 504}, AnswerLostError),
    ],
)
def test_linkedin(status: int, body: object, expected: type[PublishError]) -> None:
    """LinkedIn has two forms of error bodies, and codes that are words."""
    assert type(sort(linkedin.DIALECT, status, body)) is expected


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        (403, "You are not allowed to create a Tweet with duplicate content.", DuplicateError),
        (403, "You are not permitted to perform this action.", RefusedError),
        (401, "Unauthorized", RefusedError),
        (402, "Credits depleted", RefusedError),
        (400, "One or more parameters to your request was invalid.", RefusedError),
        (429, "Too Many Requests", TransientError),
        (500, "Internal Server Error", AnswerLostError),
        (503, "Over capacity", TransientError),
    ],
)
def test_x(status: int, detail: str, expected: type[PublishError]) -> None:
    """X has no codes: the status and a sentence."""
    assert type(sort(x.DIALECT, status, {"title": "T", "detail": detail, "status": status})) is expected


def test_x_waits_for_the_latest_window_that_is_used_up() -> None:
    """The window of 15 minutes says nothing if the day's posts are gone."""
    error = sort(
        x.DIALECT,
        429,
        {"title": "Too Many Requests"},
        date="Sun, 09 Sep 2001 01:46:40 GMT",
        x_rate_limit_remaining="12",
        x_rate_limit_reset="1000099999",
        x_user_limit_24hour_remaining="0",
        x_user_limit_24hour_reset="1000007200",
    )

    assert isinstance(error, TransientError)
    assert error.retry_after == 7200


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (401, "The access token is invalid", RefusedError),
        (403, "This action is outside the authorized scopes", RefusedError),
        (422, "Validation failed: Text can't be blank", RefusedError),
        (
            422,
            "Cannot attach files that have not finished processing. Try again in a moment!",
            TransientError,
        ),
        (429, "Too many requests", TransientError),
        (500, "", AnswerLostError),
    ],
)
def test_mastodon(status: int, text: str, expected: type[PublishError]) -> None:
    """One field, `error`."""
    assert type(sort(mastodon.DIALECT, status, {"error": text})) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("17", 17),
        ("-3", 0),
        ("soon", None),
        ("Sun, 09 Sep 2001 01:48:10 GMT", 90),
        ("Sun, 09 Sep 2001 01:40:00 GMT", 0),
    ],
)
def test_retry_after_is_read_as_number_and_as_date(text: str, expected: float | None) -> None:
    """Source: RFC 9110, section 10.2.3."""
    headers = {"retry-after": text, "date": "Sun, 09 Sep 2001 01:46:40 GMT"}

    assert wait_named(httpx.Response(429, headers=headers)) == expected


def test_absurd_wait_is_cut_to_a_day() -> None:
    """A header must not put a post off for years."""
    error = sort(x.DIALECT, 429, {}, retry_after="1e12")

    assert isinstance(error, TransientError)
    assert error.retry_after == 86_400


def test_message_is_one_line_of_bounded_length() -> None:
    """A platform's error page must not fill the job's record."""
    error = sort(mastodon.DIALECT, 400, b"<html>\n" + b"x" * 10_000)

    assert "\n" not in str(error)
    assert len(str(error)) < 400
