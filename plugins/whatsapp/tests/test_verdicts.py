"""How the Cloud API's answers are sorted, code by code, and how long a limit is waited for."""

from __future__ import annotations

import pytest

from jobrunner_whatsapp.failures import MessageError, RefusedError, TransientError, UnknownOutcomeError
from jobrunner_whatsapp.verdicts import Problem, judge


def sort(status: int, code: int | None = None, *, attempt: int = 1, **more: object) -> MessageError:
    return judge(Problem(status=status, code=code, message="It said so.", **more), attempt=attempt)


@pytest.mark.parametrize(
    ("code", "status", "first", "second"),
    [
        (130429, 429, 2, 4),
        (131056, 429, 1, 4),
        (80007, 429, 60, 120),
        (4, 429, 60, 120),
        (131048, 429, 600, 1200),
        (131057, 500, 300, 600),
    ],
)
def test_limit_is_waited_for_longer_each_time(code: int, status: int, first: float, second: float) -> None:
    """Meta names no wait; one that grows spends few attempts on a limit of an hour."""
    waits = []
    for attempt in (1, 2, 3, 40):
        error = sort(status, code, attempt=attempt)
        assert isinstance(error, TransientError)
        waits.append(error.retry_after)

    assert waits[:2] == [first, second]
    assert waits[2] > second
    assert waits[3] == 3600


def test_wait_that_the_api_names_is_never_shortened_and_never_absurd() -> None:
    """A header goes before our own number, and must not put a message off for years."""
    for asked, waited in ((500.0, 500.0), (1.0, 60.0), (1e12, 86_400.0)):
        error = sort(429, 4, retry_after=asked)
        assert isinstance(error, TransientError)
        assert error.retry_after == waited


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, 131000), (500, 131016), (503, 2), (500, 1), (400, 1), (503, 133004), (503, None), (408, None)],
)
def test_trouble_of_the_moment_is_tried_again(status: int, code: int | None) -> None:
    """By the queue's own backoff: nothing was sent."""
    error = sort(status, code)

    assert isinstance(error, TransientError)
    assert error.retry_after is None


def test_word_of_the_api_that_it_is_transient_is_taken() -> None:
    """For codes that came after this table."""
    assert isinstance(sort(400, 999_999, is_transient=True), TransientError)
    assert isinstance(sort(400, 999_999), RefusedError)


@pytest.mark.parametrize(
    ("status", "code", "subcode", "setting"),
    [
        (400, 131047, 0, "JOBRUNNER_WHATSAPP_TEMPLATE"),
        (400, 131026, 0, ""),
        (400, 131051, 0, ""),
        (400, 131008, 0, ""),
        (400, 131009, 0, ""),
        (400, 131021, 0, ""),
        (400, 131049, 0, ""),
        (400, 131050, 0, ""),
        (400, 130472, 0, ""),
        (400, 100, 0, ""),
        (400, 100, 33, "JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID"),
        (400, 33, 0, "JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID"),
        (400, 133010, 0, "JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID"),
        (400, 132000, 0, "JOBRUNNER_WHATSAPP_TEMPLATE"),
        (404, 132001, 0, "JOBRUNNER_WHATSAPP_TEMPLATE"),
        (400, 132018, 0, "JOBRUNNER_WHATSAPP_TEMPLATE"),
        (400, 2635, 0, "JOBRUNNER_WHATSAPP_VERSION"),
        (401, 190, 0, "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"),
        (401, 0, 0, "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"),
        (401, None, 0, "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"),
        (403, 10, 0, "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"),
        (403, 200, 0, "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"),
        (403, 131005, 0, "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"),
        (500, 3, 0, "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"),
        (403, 368, 0, ""),
        (403, 131031, 0, ""),
        (500, 131045, 0, ""),
        (302, None, 0, "JOBRUNNER_WHATSAPP_GRAPH_URL"),
    ],
)
def test_refusal_names_the_setting_at_fault(
    status: int, code: int | None, subcode: int, setting: str
) -> None:
    """No number of tries makes these good; a person can, and reads which variable to set."""
    error = sort(status, code, subcode=subcode)

    assert isinstance(error, RefusedError)
    assert error.setting == setting
    assert setting in str(error)


@pytest.mark.parametrize("status", [500, 502, 504, 520])
def test_server_error_without_a_code_says_nothing_of_the_message(status: int) -> None:
    """A gateway's 504 can come after WhatsApp took the message."""
    assert isinstance(sort(status), UnknownOutcomeError)


def test_text_of_the_api_is_one_line_of_bounded_length() -> None:
    """It ends up in the job's record."""
    error = judge(Problem(status=400, message="a\n" * 10_000), attempt=1)

    assert "\n" not in str(error)
    assert len(str(error)) < 400
