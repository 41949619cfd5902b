"""What the end of a handler means, whatever it raised."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner import Discard, Job, PayloadError, Queue, Retry, RetryPolicy, Snooze
from jobrunner.backoff import asked_delay, crash_delays, delay_after, reconnect_delay
from jobrunner.errors import WorkerLostError
from jobrunner.outcome import Cancelled, Completed, Failed, Lost, Parked, Released, Retried, Snoozed
from jobrunner.record import Counts, Crash, Record
from jobrunner.worker.attempt import Attempt, Stop
from jobrunner.worker.verdict import SNOOZE_BUDGET_MS, UnknownVersion, completed, ended_by, fingerprint


class Work(msgspec.Struct):
    x: int = 0


async def work(job: Job[Work]) -> None: ...


def attempt(*, runs=0, unspent=0, crashes=0, secrets=(), **more):
    queue = Queue(
        "q", Work, work, retry=RetryPolicy(max_attempts=3, base=10, factor=3, cap=60), max_result=100, **more
    )
    record = Record(0, 0, "t", 1, msgspec.Raw(b"{}"))
    made = Attempt(queue, "j", "n" * 22, record, Counts(runs, unspent, crashes), desk=None)
    made.secrets = list(secrets)
    return made


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def test_returning_completes_with_the_result_as_json():
    """None needs no line in the store."""
    assert completed(attempt(), None) == Completed()
    assert b'"value":{"a":1}' in completed(attempt(), {"a": 1}).result


@pytest.mark.parametrize("value", ["x" * 200, object(), {1: {2, 3}, "s": "\ud800"}])
def test_result_that_cannot_be_kept_fails_for_good(value):
    """Trying again would do the work again for the same end."""
    assert isinstance(completed(attempt(), value), Failed)


def test_errors_are_tried_again_until_the_last_attempt():
    """Snoozes and crashes do not count."""
    assert isinstance(ended_by(attempt(runs=5, unspent=3, crashes=1), ValueError("x")), Retried)
    last = ended_by(attempt(runs=2), ValueError("x"))
    assert isinstance(last, Failed)
    assert (last.error.attempt, last.error.error_type, last.error.delay_ms) == (3, "ValueError", None)


def test_wishes_are_granted():
    """Each says how the attempt is to end."""
    assert isinstance(ended_by(attempt(), Discard("no")), Failed)
    retry = ended_by(attempt(), Retry(after=30))
    assert 30 <= retry.delay_s <= 33
    assert isinstance(ended_by(attempt(runs=2), Retry(after=30)), Failed), "the attempts are used up"
    snooze = ended_by(attempt(runs=2), Snooze(60), snoozed_ms=1000)
    assert isinstance(snooze, Snoozed)
    assert (snooze.delay_s, snooze.note.total_ms) == (60, 61_000)
    assert isinstance(ended_by(attempt(), UnknownVersion("v9")), Parked)
    assert isinstance(ended_by(attempt(), PayloadError("q", "x", "bad")), Failed)


def test_snoozing_has_an_end():
    """After 24 hours in all it counts as an error."""
    assert isinstance(ended_by(attempt(), Snooze(60), snoozed_ms=SNOOZE_BUDGET_MS), Retried)


def test_stop_decides_whatever_the_cleanup_raised():
    """A handler's own error on the way out is no news."""
    for stop, kind in ((Stop.CANCELLED, Cancelled), (Stop.SHUTDOWN, Released), (Stop.LEASE_LOST, Released)):
        for error in (asyncio.CancelledError(), ValueError("in cleanup")):
            stopped = attempt()
            stopped.stop, stopped.cancel_reason = stop, "because"
            assert isinstance(ended_by(stopped, error), kind)
    late = attempt()
    late.stop, late.cancel_reason = Stop.TIMEOUT, "too long"
    outcome = ended_by(late, asyncio.CancelledError())
    assert (outcome.error.error_type, outcome.error.message) == ("JobTimeoutError", "too long")


def test_lost_process_is_a_crash_and_buried_at_the_last():
    """As a lost worker is."""
    assert isinstance(ended_by(attempt(), WorkerLostError("x")), Lost)
    buried = ended_by(attempt(runs=2, crashes=2), WorkerLostError("x"))
    assert buried == Failed(error=Crash(worker="x", buried=True))


def test_error_texts_are_bounded_and_free_of_secrets():
    """A megabyte of HTML as an error's message is common."""

    class BrokenError(Exception):
        def __str__(self):
            raise RuntimeError

    long = ended_by(attempt(secrets=["hunter2x"]), raised(ValueError("hunter2x " * 10_000))).error
    assert len(long.message.encode()) <= 2048
    assert len((long.message + long.traceback).encode()) <= 8192 + 10
    assert "hunter2" not in long.message + long.traceback
    assert "its text cannot be made" in ended_by(attempt(), raised(BrokenError())).error.message
    assert ended_by(attempt(), raised(ValueError("\ud800"))).error.message


def test_fingerprint_stands_for_the_place_and_not_for_the_words():
    """1,204 failures, 3 causes."""

    def here(number):
        raise ValueError(f"job {number}")

    def there():
        raise ValueError("job 1")

    def of(function, *args):
        try:
            function(*args)
        except ValueError as error:
            return fingerprint(error)

    assert of(here, 1) == of(here, 2) != of(there)
    assert fingerprint(Discard("a")) != fingerprint(Discard("b"))


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_anything_up_to_a_bound_that_grows(errors, chance):
    """Full jitter, capped."""
    policy = RetryPolicy(base=10, factor=3, cap=3600)
    wait = delay_after(policy, errors, lambda: chance)
    assert 0 <= wait <= min(3600, 10 * 3 ** min(errors - 1, 20))


@given(st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_jitter_only_adds_to_what_a_server_asked_for(seconds, chance):
    """Coming back too early costs a ban."""
    assert seconds <= asked_delay(seconds, lambda: chance) <= seconds * 1.1 + 1e-6


def test_other_delays_are_bounded():
    """A store that is away is not hammered, and not forgotten."""
    assert crash_delays(3) == [1.0, 4.0]
    assert crash_delays(1) == [1.0]
    assert max(reconnect_delay(n, lambda: 0.999) for n in range(50)) <= 5
    assert reconnect_delay(0, lambda: 0.0) == 0.025


@pytest.mark.parametrize("bad", [-1, 31 * 86_400])
def test_wishes_out_of_range_are_the_handlers_error(bad):
    """And so are retried like any other."""
    with pytest.raises(ValueError, match="seconds"):
        Retry(after=bad)
    with pytest.raises(ValueError, match="seconds"):
        Snooze(bad)
