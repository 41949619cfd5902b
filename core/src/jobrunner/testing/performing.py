"""Running one attempt of a handler in a test: the worker's own pipeline, without a worker and without a store.

The payload, each step and the result make the round trip through JSON that they make in production, so a test
sees what a worker would see.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Literal, ParamSpec, Self, TypeVar

import msgspec

from jobrunner.backoff import crash_delays
from jobrunner.drafting import Draft, Options, Payload, draft
from jobrunner.errors import JobrunnerError
from jobrunner.logs import Logs
from jobrunner.names import new_nonce
from jobrunner.outcome import Cancelled, Completed, Failed, Lost, Outcome, Parked, Retried, Snoozed
from jobrunner.queue import Queue
from jobrunner.record import AttemptError, Counts, Crash, Result, decode_record
from jobrunner.settings import Settings
from jobrunner.testing import expecting
from jobrunner.testing.crashing import Crashes, MortalExecutor
from jobrunner.testing.desk import EnqueuedJob, PerformDesk
from jobrunner.testing.given import resources_for
from jobrunner.testing.loading import owner_of
from jobrunner.worker.attempt import Attempt, Stop
from jobrunner.worker.executor import Executor
from jobrunner.worker.resources import Resources
from jobrunner.worker.threads import Threads

A = ParamSpec("A")
T = TypeVar("T")

Ended = Literal["completed", "retried", "snoozed", "failed", "cancelled", "parked", "released", "lost"]


class Performed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt.

    Attributes:
        outcome: `completed`; `retried`: it failed and another attempt follows; `failed`: given up; `snoozed`;
            `parked`: the payload's version is unknown; `lost`: its process was killed, as `kill_after=` asked.
        result: What the handler returned, as a producer gets it: plain maps and lists.
        error: The error as it is kept with the job: type, message, traceback, without the job's secrets.
        exception: What the handler raised, itself; None where it returned.
        delay: Seconds until the next attempt; 0 where there is none.
        reason: Why, in a line: the error's message, or what a wish said.
        steps: Every durable step by name, plain; hand them to the next attempt as `steps=`.
        steps_done: The names of the steps that this attempt did, in their order.
        progress: Every report, as a fraction and a message.
        logs: The lines that are kept with the job, each a map with `event`, `level` and its own keys.
        enqueued: The jobs that the handler enqueued, in their order.
    """

    queue: str
    job_id: str
    outcome: Ended
    result: object = None
    error: AttemptError | None = None
    exception: BaseException | None = None
    delay: float = 0.0
    reason: str = ""
    steps: dict[str, object]
    steps_done: list[str]
    progress: list[tuple[float, str]]
    logs: list[dict[str, object]]
    enqueued: list[EnqueuedJob]

    def expect(self, outcome: Ended) -> Self:
        """Return this if it ended so.

        Raises:
            AssertionError: It ended otherwise; its cause is what the handler raised.
        """
        if self.outcome != outcome:
            why = (
                f": {self.error.error_type}: {self.reason}"
                if self.error
                else f": {self.reason}"
                if self.reason
                else ""
            )
            raise AssertionError(
                f"the job of {self.queue} was to be {outcome}, and is {self.outcome}{why}"
            ) from self.exception
        return self

    def expect_enqueued(
        self, queue: str, payload: Mapping[str, object] | msgspec.Struct | None = None, **facts: object
    ) -> EnqueuedJob:
        """Return the one job that the handler enqueued to a queue, with this payload and these facts.

        Args:
            queue: The queue's name.
            payload: The whole payload as a Struct, or some of its fields as a map, in either spelling.
            **facts: `delay`, `tenant`, `priority`, `id` or `headers`, as in `EnqueuedJob`.

        Raises:
            AssertionError: There is none, or more than one; the message says what there is.
        """
        return expecting.expect_enqueued(self.enqueued, queue, payload, facts)

    def expect_none_enqueued(self, queue: str | None = None) -> Self:
        """Return this if the handler enqueued no job, or none to that queue.

        Raises:
            AssertionError: It did.
        """
        expecting.expect_none_enqueued(self.enqueued, queue)
        return self

    def expect_log(self, event: str, *, level: str | None = None, **keys: object) -> dict[str, object]:
        """Return the first line of an event that has these keys.

        Args:
            event: What was logged, as in `job.log.info(event)`.
            level: `debug`, `info`, `warning`, `error` or `critical`; None is any.
            **keys: Keys of the line and their values.

        Raises:
            AssertionError: There is none; the message says what there is.
        """
        return expecting.expect_log(self.logs, event, level, keys)

    def expect_progress(self, fraction: float | None = None, message: str | None = None) -> tuple[float, str]:
        """Return the first progress report with this fraction, 0 to 1, and this message.

        Raises:
            AssertionError: There is none; the message says what there is.
        """
        return expecting.expect_progress(self.progress, fraction, message)


async def perform_job(
    queue: str | Queue,
    payload: Payload,
    *,
    plugin: object = None,
    attempt: int = 1,
    version: int | None = None,
    job_id: str | None = None,
    tenant: str | None = None,
    priority: int | None = None,
    headers: Mapping[str, str] | None = None,
    steps: Mapping[str, object] | None = None,
    resources: Mapping[type[object], object] | Resources | None = None,
    settings: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    snoozed: float = 0.0,
    timeout: float | None = None,
    kill_after: str | None = None,
) -> Performed:
    """Run one attempt of a job, as a worker would, and say what became of it.

    The handler runs inside every wrapper of the plugins that are loaded; an `async def` on this event loop, a
    plain `def` in a thread. A handler for `executor="process"` runs right here too, so it cannot be killed.

    Args:
        queue: The queue's name, or a Queue that the test made itself.
        payload: A Struct of the queue's type, or a map in either spelling.
        plugin: Who declares the queue: a plugin's name, a `.py` file, a module, or an object with hooks. None
            looks through all that are installed.
        attempt: The attempt's number, from 1; the queue's last one fails where others are retried.
        version: The payload's version, where it is an older one that goes through the queue's upgrades.
        job_id: The job's id; None makes one.
        tenant: Whose job it is, where the payload does not say.
        priority: 0 to 100; None takes the queue's.
        headers: What a producer put beside the payload.
        steps: The steps that earlier attempts did, by name: they are not done again.
        resources: Type -> object, in place of all of the plugin's own; None makes the plugin's own, and leaves
            them afterwards.
        settings: The plugin's settings by field, as plain values.
        environ: The environment, whole; the machine's own is not looked at.
        snoozed: Seconds for which the job was snoozed before.
        timeout: Seconds that the attempt may take; None takes the queue's.
        kill_after: A place at which the attempt's process is gone, as `Harness.kill_after` takes it: the outcome is
            `lost`, and what was done until then is there for the next attempt.

    Returns:
        What became of it; a handler's error is a part of that, and is not raised.

    Raises:
        PayloadError: The payload does not fit the queue.
        UnknownQueueError: No plugin declares the queue.
        PluginError: The plugin cannot be loaded, or its resources cannot be made.
        SettingsError: A setting has a value that cannot be used.
        AssertionError: The attempt ended without coming to the place of `kill_after`.
    """
    plugins, declared = owner_of(queue, plugin, settings=settings, environ=environ)
    owner = plugins.owner(declared.name)
    threads = Threads("jobrunner-perform")
    kept = {name: msgspec.json.encode(value) for name, value in (steps or {}).items()}
    async with resources_for(plugins, resources) as entered:
        death = asyncio.get_running_loop().create_future()
        crashes = Crashes(lambda _: death.set_result(None))
        if kill_after is not None:
            crashes.ask(kill_after)
        logs = Logs(Settings(log_level="debug", log_format="json"))
        desk = PerformDesk(plugins, entered, logs, kept, crashes)
        made = _draft(
            desk,
            declared,
            payload,
            version,
            Options(job_id=job_id, tenant=tenant, priority=priority, headers=headers),
        )
        running = Attempt(
            declared,
            made.id,
            new_nonce(),
            decode_record(b"[%d," % int(time.time() * 1000) + made.record),
            _counts(attempt, bool(kept)),
            desk,
            plugin=owner.name if owner else "",
        )
        witness = Witness(declared, plugins.wrapped_handler(declared))

        async def snoozed_ms(_: Attempt) -> int:
            return int(snoozed * 1000)

        executor = MortalExecutor(
            declared,
            witness.handler,
            snoozed_ms=snoozed_ms,
            keyring=plugins.keyring,
            secrets=plugins.secrets(declared.name),
            threads=threads,
        )
        executor.crashes = crashes
        try:
            outcome = await _run(executor, running, declared.timeout if timeout is None else timeout, death)
            performed = _performed(declared, running, outcome, desk, witness.raised)
            await crashes.let_go()
        finally:
            threads.close()
    crashes.check()
    return performed


def _in_a_loop(function: Callable[A, Coroutine[object, object, T]]) -> Callable[A, T]:
    """The same for tests that do not await."""

    @functools.wraps(function)
    def run(*args: A.args, **kwargs: A.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(function(*args, **kwargs))
        raise JobrunnerError(
            f"{function.__name__}_sync cannot run inside an event loop; `await {function.__name__}(...)` there"
        )

    run.__name__ = run.__qualname__ = f"{function.__name__}_sync"
    run.__doc__ = f"Run one attempt of a job; as `{function.__name__}`, for tests that do not await."
    return run


perform_job_sync = _in_a_loop(perform_job)


class Witness:
    """A handler that is watched: what it raises is remembered, and raised on.

    Args:
        queue: Its queue.
        handler: The handler.
    """

    def __init__(self, queue: Queue, handler: Callable[..., object]) -> None:
        self.raised: BaseException | None = None
        self._inner = handler
        self.handler: Callable[..., object] = self._awaited if queue.is_async else self._called

    async def _awaited(self, job: object) -> object:
        try:
            return await self._inner(job)  # type: ignore[misc]  # an `async def`, as the queue says
        except BaseException as error:
            self.raised = error
            raise

    def _called(self, job: object) -> object:
        try:
            return self._inner(job)
        except BaseException as error:
            self.raised = error
            raise


def _draft(desk: PerformDesk, queue: Queue, payload: Payload, version: int | None, options: Options) -> Draft:
    desk.book.knows(queue.name)
    if version is None or version == queue.version:
        return desk.book.drafter(queue.name, options).draft(payload)
    # As an older producer sent it: nothing here knows that version's type.
    return draft(msgspec.structs.replace(desk.book.declared(queue.name), version=version), payload, options)


def _counts(attempt: int, has_steps: bool) -> Counts:  # noqa: FBT001 - private, one caller
    if attempt < 1:
        raise ValueError(f"attempt={attempt}: attempts are counted from 1")
    if attempt == 1 and has_steps:  # steps without an error before: it had been snoozed, say
        return Counts(runs=1, unspent=1)
    return Counts(runs=attempt - 1)


async def _run(
    executor: Executor, attempt: Attempt, timeout_s: float, death: asyncio.Future[None]
) -> Outcome:
    """Run the attempt as a consumer does: in a task of its own, until its deadline, or until it dies."""
    outcomes: list[Outcome] = []

    async def run() -> None:
        outcomes.append(await executor.run(attempt))

    reason = f"it ran longer than its queue's timeout of {timeout_s:g} s"
    alarm = asyncio.get_running_loop().call_later(timeout_s, attempt.request_stop, Stop.TIMEOUT, reason)
    attempt.started_at = time.monotonic()
    attempt.task = asyncio.create_task(run())
    try:
        await asyncio.wait([attempt.task, death], return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:  # the test was cancelled, and that must not look like an outcome
        attempt.request_stop(Stop.SHUTDOWN, "the test ended")
        await asyncio.wait([attempt.task])
        raise
    finally:
        alarm.cancel()
        attempt.ended_at = time.monotonic()
    if death.done():
        attempt.over = True
        delay = crash_delays(attempt.queue.max_crashes)[0]
        return Lost(delay_s=delay, crash=Crash(worker="perform_job"))
    attempt.task.result()
    return outcomes[0]


def _performed(
    queue: Queue, attempt: Attempt, outcome: Outcome, desk: PerformDesk, raised: BaseException | None
) -> Performed:
    result, delay, reason, error = _told(outcome)
    return Performed(
        queue=queue.name,
        job_id=attempt.id,
        outcome=outcome.__struct_config__.tag,  # type: ignore[arg-type]  # the tags of Outcome are these names
        result=result,
        error=error,
        exception=raised,
        delay=delay,
        reason=reason,
        steps={name: msgspec.json.decode(value) for name, value in desk.steps.items()},
        steps_done=list(desk.done),  # copies: what was killed may have more to say when it is let go
        progress=list(desk.progress),
        logs=[msgspec.json.decode(line) for line in desk.lines],
        enqueued=list(desk.enqueued),
    )


def _told(outcome: Outcome) -> tuple[object, float, str, AttemptError | None]:
    """An outcome's result, delay, reason and error."""
    match outcome:
        case Completed(result=raw):
            value = msgspec.json.decode(msgspec.json.decode(raw, type=Result).value) if raw else None
            return value, 0.0, "", None
        case Retried(delay_s=delay, error=error):
            return None, delay, error.message, error
        case Failed(error=AttemptError() as error):
            return None, 0.0, error.message, error
        case Snoozed(delay_s=delay, note=note):
            return None, delay, note.reason, None
        case Lost(delay_s=delay):
            return None, delay, "its process was killed", None
        case Cancelled(note=note) | Parked(note=note):
            return None, 0.0, note.reason, None
        case _:
            return None, 0.0, "", None
