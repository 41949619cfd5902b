"""`perform_job`: one attempt through the worker's own pipeline, with every round trip that production makes."""

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pytest

from jobrunner import (
    Discard,
    Job,
    JobrunnerError,
    PayloadError,
    PluginError,
    Queue,
    Retry,
    RetryPolicy,
    Secret,
    SettingsError,
    Snooze,
    SyncJob,
    UnknownQueueError,
    hookimpl,
)
from jobrunner.testing import perform_job, perform_job_sync


class Note(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    tenant_id: str = "t1"
    text: str
    api_key: Annotated[str, Secret] = ""


def queue(handler, **options) -> Queue:
    return Queue("note.send", Note, handler, **options)


async def echo(job: Job[Note]) -> str:
    return job.payload.text


@pytest.mark.parametrize(
    "payload", [{"tenantId": "t1", "text": "a"}, {"tenant_id": "t1", "text": "a"}, Note(text="a")]
)
async def test_payload_is_taken_in_every_spelling(payload) -> None:
    """A test may write payloads as a producer may."""
    assert (await perform_job(queue(echo), payload)).result == "a"


async def test_payload_that_no_producer_could_send_is_refused() -> None:
    """A Struct's constructor checks nothing, so a test could pass where production refuses."""
    with pytest.raises(PayloadError, match=r"note.send: text: expected `str`, got `int`"):
        await perform_job(queue(echo), Note(text=5))  # type: ignore[arg-type]  # what the round trip is there to find


async def test_result_is_what_a_producer_would_get() -> None:
    """A Struct, a date and a tuple come back as plain JSON values."""

    class Sent(msgspec.Struct):
        at: datetime
        parts: tuple[int, ...]

    async def handler(job: Job[Note]) -> Sent:
        return Sent(at=datetime(2030, 1, 2, tzinfo=UTC), parts=(1, 2))

    assert (await perform_job(queue(handler), {"text": "a"})).result == {
        "at": "2030-01-02T00:00:00Z",
        "parts": [1, 2],
    }


async def test_result_that_json_cannot_say_fails_the_job() -> None:
    """A worker could not store it either."""

    async def handler(job: Job[Note]) -> object:
        return object()

    performed = await perform_job(queue(handler), {"text": "a"})

    assert performed.outcome == "failed"
    assert "cannot be written as JSON" in performed.reason


async def test_step_comes_back_by_its_annotation_the_first_time_too() -> None:
    """A handler that relies on what its function returned, and not on what is stored, is found at once."""

    @dataclasses.dataclass
    class Upload:
        size: int

    async def upload() -> Upload:
        return Upload(size=3)

    upload.__annotations__["return"] = Upload
    seen: list[object] = []

    async def handler(job: Job[Note]) -> None:
        seen.append(await job.step("upload", upload))
        seen.append(await job.step("bare", lambda: (1, 2)))

    performed = await perform_job(queue(handler), {"text": "a"})

    assert seen == [Upload(size=3), [1, 2]]
    assert (performed.steps_done, performed.steps) == (
        ["upload", "bare"],
        {"upload": {"size": 3}, "bare": [1, 2]},
    )


@pytest.mark.parametrize("attempt", [1, 3])
async def test_steps_of_earlier_attempts_are_not_done_again(attempt: int) -> None:
    """Whether an error came before or only a snooze."""
    calls: list[str] = []

    async def handler(job: Job[Note]) -> list[object]:
        return [await job.step(name, lambda name=name: calls.append(name) or name) for name in ("one", "two")]

    performed = await perform_job(queue(handler), {"text": "a"}, attempt=attempt, steps={"one": "kept"})

    assert performed.result == ["kept", "two"]
    assert (calls, performed.steps_done) == (["two"], ["two"])


async def test_error_is_retried_until_the_last_attempt() -> None:
    """`attempt=` is all that a test needs to see both ends of a policy."""

    async def handler(job: Job[Note]) -> None:
        raise ValueError(f"attempt {job.attempt} of {job.max_attempts}")

    bounded = queue(handler, retry=RetryPolicy(max_attempts=3, base=7, cap=7))

    first, last = [await perform_job(bounded, {"text": "a"}, attempt=attempt) for attempt in (2, 3)]

    assert (first.outcome, first.reason, first.error.error_type) == (
        "retried",
        "attempt 2 of 3",
        "ValueError",
    )
    assert 0 <= first.delay <= 7
    assert (last.outcome, last.delay) == ("failed", 0)
    assert isinstance(last.exception, ValueError)
    assert "in handler" in last.error.traceback


async def test_wishes_end_as_they_say() -> None:
    """Discard, Retry and Snooze, with their reasons and waits."""

    async def handler(job: Job[Note]) -> None:
        raise {
            "discard": Discard("no"),
            "retry": Retry(after=30, reason="soon"),
            "snooze": Snooze(60, "later"),
        }[job.payload.text]

    made = queue(handler)
    discarded, retried, snoozed = [
        await perform_job(made, {"text": text}) for text in ("discard", "retry", "snooze")
    ]

    assert (discarded.outcome, discarded.reason) == ("failed", "no")
    assert (retried.outcome, retried.reason) == ("retried", "soon")
    assert 30 <= retried.delay <= 33
    assert (snoozed.outcome, snoozed.reason, snoozed.delay, snoozed.error) == ("snoozed", "later", 60, None)
    spent = await perform_job(made, {"text": "snooze"}, snoozed=86_390)
    assert (spent.outcome, "24 h is the most" in spent.reason) == ("retried", True)


async def test_older_payload_goes_through_the_upgrades() -> None:
    """An author tests what becomes of jobs that an older release enqueued, and that a newer one did."""
    made = queue(echo, version=2, upgrades={1: lambda plain: {"text": plain["words"]}})

    assert (await perform_job(made, {"words": "old"}, version=1)).expect("completed").result == "old"
    assert (await perform_job(made, {"what": "?"}, version=9)).outcome == "parked"


async def test_handler_past_its_timeout_is_stopped() -> None:
    """A handler that hangs ends as in production, and does not hang the test."""
    stopped: list[str | None] = []

    async def handler(job: Job[Note]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(job.cancel_reason)

    performed = await perform_job(queue(handler), {"text": "a"}, timeout=0.01)

    assert (performed.outcome, performed.error.error_type) == ("retried", "JobTimeoutError")
    assert stopped == ["it ran longer than its queue's timeout of 0.01 s"]


async def test_plain_handler_runs_in_a_thread_and_asks_for_the_same_things() -> None:
    """The methods of a SyncJob go through the same port."""

    def handler(job: SyncJob[Note]) -> bool:
        assert job.step("one", lambda: 1) == 1
        job.progress(0.25, "a quarter")
        job.log.info("note.sent", size=3)
        job.enqueue("note.send", {"text": "more"})
        return threading.current_thread() is threading.main_thread()

    performed = await perform_job(queue(handler), {"text": "a"})

    assert performed.expect("completed").result is False
    assert performed.progress == [(0.25, "a quarter")]
    assert performed.logs[0]["size"] == 3
    assert performed.enqueued[0].payload == Note(text="more")


async def test_jobs_of_a_job_are_checked_where_their_queue_is_known() -> None:
    """And taken as they are where its plugin is not here; the tenant is the parent's, and ids are the same each time."""

    async def handler(job: Job[Note]) -> None:
        await job.enqueue("elsewhere.do", {"anything": [1]}, delay=5, headers={"trace": "x"})
        await job.enqueue("note.send", {"wrong": True})

    made = queue(handler)
    first, second = [
        await perform_job(made, {"text": "a", "tenantId": "t9"}, job_id="j1", attempt=n) for n in (1, 2)
    ]

    assert (first.outcome, first.reason) == ("failed", "note.send: wrong: not a field of this payload")
    (elsewhere,) = first.enqueued
    assert (elsewhere.payload, elsewhere.tenant, elsewhere.delay) == ({"anything": [1]}, "t9", 5)
    assert elsewhere.headers == {"trace": "x"}
    assert [job.id for job in second.enqueued] == [elsewhere.id]


async def test_secrets_do_not_leave_the_handler() -> None:
    """Error, traceback, log, step, result and progress are as clean as in production, and as easily tested."""
    key = "key-123456"

    async def handler(job: Job[Note]) -> str:
        job.log.info("note.sent", key=job.payload.api_key)
        await job.step("one", lambda: job.payload.api_key)
        await job.progress(0.5, job.payload.api_key)
        if job.payload.text == "raise":
            raise ValueError(job.payload.api_key)
        return job.payload.api_key

    for text in ("raise", "return"):
        performed = await perform_job(queue(handler), {"text": text, "apiKey": key})
        seen = msgspec.structs.replace(performed, exception=None)  # the raw exception is the test's own
        assert key not in repr(seen)


class Plugin:
    """A plugin as an object with hooks, whose resource says whether it is open."""

    def __init__(self) -> None:
        self.resource = threading.Event()

    class Settings(msgspec.Struct, frozen=True, kw_only=True):
        greeting: str = "Hello"
        names: tuple[str, ...] = ()
        limits: dict[str, int] = {}
        loud: bool = False

    @hookimpl
    def jobrunner_settings(self) -> type[Settings]:
        return self.Settings

    @hookimpl
    def jobrunner_queues(self, settings: Settings) -> list[Queue]:
        async def handler(job: Job[Note]) -> list[object]:
            opened = job.resource(threading.Event).is_set()
            return [
                settings.greeting,
                settings.names,
                settings.limits,
                settings.loud,
                opened,
                dict(job.headers),
            ]

        return [queue(handler)]

    @hookimpl
    @asynccontextmanager
    async def jobrunner_resources(self) -> AsyncIterator[threading.Event]:
        self.resource.set()
        yield self.resource
        self.resource.clear()

    @hookimpl
    def jobrunner_wrap_handler(self, handler):
        async def wrapped(job: Job[Note]) -> object:
            return ["wrapped", *(await handler(job))]

        return wrapped

    @hookimpl
    def jobrunner_enqueue(self, headers) -> dict[str, str]:
        return {"added": "yes"}


async def test_plugin_is_run_whole() -> None:
    """Settings, resources, wrappers and header hooks are those of production; resources are left afterwards."""
    plugin = Plugin()
    settings = {"greeting": "Hi, you", "names": ["a", "b"], "limits": {"x": 1}, "loud": True}

    performed = await perform_job(
        "note.send", {"text": "a"}, plugin=plugin, settings=settings, headers={"own": "h"}
    )

    assert performed.expect("completed").result == [
        *("wrapped", "Hi, you", ["a", "b"], {"x": 1}, True, True, {"own": "h", "added": "yes"})
    ]
    assert not plugin.resource.is_set()


async def test_resources_of_the_test_stand_in_for_all() -> None:
    """The plugin's own are not made, so no test can reach what they would connect to."""
    plugin, stand_in = Plugin(), threading.Event()

    performed = await perform_job(
        "note.send", {"text": "a"}, plugin=plugin, resources={threading.Event: stand_in}
    )

    assert performed.result[5] is False  # not entered: the stand-in is as the test made it


async def test_machines_environment_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's variables cannot make a test pass or fail."""
    monkeypatch.setenv("JOBRUNNER_PLUGIN_GREETING", "from the machine")

    seen = await perform_job("note.send", {"text": "a"}, plugin=Plugin())
    given = await perform_job(
        "note.send", {"text": "a"}, plugin=Plugin(), environ={"JOBRUNNER_PLUGIN_GREETING": "given"}
    )

    assert (seen.result[1], given.result[1]) == ("Hello", "given")


async def test_wrong_settings_are_named() -> None:
    """A field that is none, and a value that cannot be used."""
    with pytest.raises(
        PluginError, match=r"has no setting 'greting' \(it has: greeting, names, limits, loud\)"
    ):
        await perform_job("note.send", {"text": "a"}, plugin=Plugin(), settings={"greting": "x"})
    with pytest.raises(SettingsError, match="JOBRUNNER_PLUGIN_LOUD: 'maybe'"):
        await perform_job("note.send", {"text": "a"}, plugin=Plugin(), settings={"loud": "maybe"})
    with pytest.raises(PluginError, match="name it with plugin="):
        await perform_job("note.send", {"text": "a"}, settings={"loud": True})


async def test_unknown_queue_is_named() -> None:
    """With the queues that the plugin has."""
    with pytest.raises(UnknownQueueError, match=r"'note.sent' \(known: note.send\)"):
        await perform_job("note.sent", {"text": "a"}, plugin=Plugin())


async def test_unexpected_outcome_shows_its_cause() -> None:
    """The handler's own exception is the failed assertion's cause, so pytest shows where it was raised."""

    async def handler(job: Job[Note]) -> None:
        raise ZeroDivisionError("by nothing")

    performed = await perform_job(queue(handler), {"text": "a"})

    with pytest.raises(
        AssertionError, match=r"note\.send was to be completed, and is retried: ZeroDivisionError: by nothing"
    ) as seen:
        performed.expect("completed")
    assert isinstance(seen.value.__cause__, ZeroDivisionError)
    assert performed.expect("retried") is performed


def test_sync_twin_needs_no_event_loop() -> None:
    """A test suite without an asyncio plugin can test handlers of both kinds."""
    assert perform_job_sync(queue(echo), {"text": "a"}).result == "a"
    assert perform_job_sync.__name__ == "perform_job_sync"


async def test_sync_twin_says_what_to_do_inside_a_loop() -> None:
    """One line instead of asyncio's own complaint and a coroutine that was never awaited."""
    with pytest.raises(JobrunnerError, match="await perform_job"):
        perform_job_sync(queue(echo), {"text": "a"})


async def test_cancelled_test_is_not_an_outcome() -> None:
    """A runner that stops a test at its timeout gets its cancellation back, and the handler is stopped too."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(job: Job[Note]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(perform_job(queue(handler), {"text": "a"}))
    await begun.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
