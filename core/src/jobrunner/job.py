"""The job that a handler is given: what it may know and what it may ask for.

A job holds no connection. What it asks for goes through a port that the worker, a child process or the test
kit stands behind, so a handler cannot tell which of them runs it.
"""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, ParamSpec, Protocol, TypeVar, cast, overload

import msgspec

from jobrunner.errors import StepError

if TYPE_CHECKING:  # structlog takes 30 ms to import, and producers never need it
    import structlog

P = TypeVar("P", bound=msgspec.Struct)
A = ParamSpec("A")
T = TypeVar("T")
R = TypeVar("R")

MAX_STEP_NAME = 128
"""Characters of a durable step's name."""

_STEP: ContextVar[str] = ContextVar("jobrunner_step", default="")
"""The durable step that is being done, empty outside of any; by context, since steps may run side by side."""


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a job when its attempt begins."""

    id: str
    queue: str
    plugin: str
    tenant: str
    attempt: int
    run: int
    max_attempts: int
    priority: int
    enqueued_ms: int
    headers: dict[str, str]


class JobPort(Protocol):
    """What stands behind a job: the worker's side of everything that a handler may ask for."""

    def facts(self) -> JobFacts:
        """What is known of the job; asked for when the handler first wants to know."""
        ...

    @property
    def cancel_reason(self) -> str | None:
        """Why the job is to stop, or None while it is not."""
        ...

    async def find_step(self, name: str) -> bytes | None:
        """The stored result of a step that an earlier attempt did, as JSON; None if none did."""
        ...

    async def save_step(self, name: str, value: bytes) -> bytes:
        """Store a step's result under the lease; it is durable when this returns, and is returned as it is stored."""
        ...

    async def report(self, fraction: float, message: str) -> None:
        """Take a progress report; the last one counts."""
        ...

    async def enqueue(self, queue: str, payload: object, options: Mapping[str, object]) -> str:
        """Enqueue another job and return its id."""
        ...

    def resource(self, kind: type[object]) -> object:
        """The plugin's resource of that type."""
        ...

    @property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        """The job's logger."""
        ...


class _Facts(Generic[P]):
    """What a job of either kind knows."""

    __slots__ = ("_enqueued", "_known", "_port", "_steps", "payload")

    def __init__(self, payload: P, port: JobPort) -> None:
        self.payload = payload
        self._known: JobFacts | None = None
        self._port = port
        self._steps: set[str] | None = None
        self._enqueued: dict[str, int] | None = None

    @property
    def _facts(self) -> JobFacts:
        if self._known is None:
            self._known = self._port.facts()
        return self._known

    @property
    def id(self) -> str:
        """The job's id."""
        return self._facts.id

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._facts.queue

    @property
    def tenant(self) -> str:
        """The tenant that the job belongs to; empty for none."""
        return self._facts.tenant

    @property
    def attempt(self) -> int:
        """Errors so far + 1; neither a snooze, a shutdown nor a crash counts."""
        return self._facts.attempt

    @property
    def run(self) -> int:
        """The fencing number: higher in each run of the job, whatever ended the one before."""
        return self._facts.run

    @property
    def max_attempts(self) -> int:
        """Attempts in all."""
        return self._facts.max_attempts

    @property
    def priority(self) -> int:
        """0 to 100, higher first."""
        return self._facts.priority

    @property
    def enqueued_at(self) -> datetime:
        """When the job was enqueued, by the store's clock, in UTC."""
        return datetime.fromtimestamp(self._facts.enqueued_ms / 1000, UTC)

    @property
    def headers(self) -> Mapping[str, str]:
        """What producers and their hooks put beside the payload."""
        return self._facts.headers

    @property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        """A structlog logger bound to the job; its lines are kept with the job too, the last 32 KiB of them."""
        return self._port.log

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this job to stop."""
        return self._port.cancel_reason is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why the job is to stop; None while it is not."""
        return self._port.cancel_reason

    def resource(self, kind: type[R]) -> R:
        """Return the plugin's resource of that type, made once a worker.

        Raises:
            LookupError: The plugin has none.
        """
        return cast("R", self._port.resource(kind))

    def _begin_step(self, name: str) -> None:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_STEP_NAME or not name.isprintable():
            raise StepError(f"step {name!r:.80}: a step's name is 1 to {MAX_STEP_NAME} printable characters")
        if self._steps is None:
            self._steps = set()
        if name in self._steps:
            raise StepError(f"step {name!r} was used twice in one attempt; give each step a name of its own")
        self._steps.add(name)

    def _next_place(self) -> str:
        """Where the next enqueue stands: counted by step, since a later attempt does not come by a step that is done."""
        if self._enqueued is None:
            self._enqueued = {}
        step = _STEP.get()
        number = self._enqueued[step] = self._enqueued.get(step, 0) + 1
        return f"{hashlib.sha256(step.encode()).hexdigest()[:16]}.{number}" if step else str(number)

    def _options(self, **options: object) -> dict[str, object]:
        options["place"] = self._next_place()
        return options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.queue} {self.id} attempt {self.attempt}>"


class Job(_Facts[P]):
    """A job as an `async def` handler gets it. Used on the event loop's thread only."""

    __slots__ = ()

    async def progress(self, fraction: float, message: str = "") -> None:
        """Report how far the job is; written at most twice a second, the last report wins.

        Args:
            fraction: 0 to 1; what lies outside is moved to the nearer end.
            message: For people; what is beyond 200 characters is cut off.
        """
        await self._port.report(min(1.0, max(0.0, float(fraction))), message)

    @overload
    async def step(
        self, name: str, fn: Callable[A, Awaitable[T]], /, *args: A.args, **kwargs: A.kwargs
    ) -> T: ...
    @overload
    async def step(self, name: str, fn: Callable[A, T], /, *args: A.args, **kwargs: A.kwargs) -> T: ...
    async def step(self, name: str, fn: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        """Do a part of the job once, whatever becomes of the attempt.

        The first time `fn` is called, and its result is stored under the lease before this returns. A later
        attempt gets the stored result and `fn` is not called. A crash between the effect and the store can
        repeat the effect: give the other side an idempotency key where it takes one.

        Args:
            name: Names the part within the job; each is used once an attempt.
            fn: Called with the arguments; its return annotation says how the result is decoded.
            *args: Handed to `fn`.
            **kwargs: Handed to `fn`.

        Returns:
            What `fn` returned, after a round trip through JSON, the first time too; a secret value of the payload
            is `***` in it.

        Raises:
            StepError: The name was used in this attempt, or the result cannot be encoded or is too large.
            LeaseLostError: The job is another worker's by now; nothing was stored.
        """
        self._begin_step(name)
        stored = await self._port.find_step(name)
        if stored is None:
            outer = _STEP.set(name)
            try:
                result = fn(*args, **kwargs)
                if inspect.isawaitable(result):
                    result = await result
            finally:
                _STEP.reset(outer)
            stored = await self._port.save_step(name, encode_step(name, result))
        return decode_step(name, fn, stored)

    async def enqueue(
        self,
        queue: str,
        payload: msgspec.Struct | Mapping[str, object],
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Enqueue another job; its id is derived from this one's, so that a retry enqueues nothing twice.

        Calls are told apart by the step that they are made in, and there by their order: outside of steps a
        handler makes the same calls in the same order each time. The tenant is this job's unless another is given.

        Returns:
            The new job's id.

        Raises:
            PayloadError: The payload does not fit the queue.
            ConflictError: An earlier attempt enqueued something else at this place.
        """
        options = self._options(delay=delay, at=at, priority=priority, tenant=tenant, headers=headers)
        return await self._port.enqueue(queue, payload, options)


class SyncJob(_Facts[P]):
    """A job as a plain `def` handler gets it, in a thread or a process: the same methods without `await`."""

    __slots__ = ("_call",)

    def __init__(self, payload: P, port: JobPort, call: Callable[[Awaitable[object]], object]) -> None:
        super().__init__(payload, port)
        self._call = call

    def progress(self, fraction: float, message: str = "") -> None:
        """Report how far the job is; see `Job.progress`."""
        self._call(self._port.report(min(1.0, max(0.0, float(fraction))), message))

    def step(self, name: str, fn: Callable[A, T], /, *args: A.args, **kwargs: A.kwargs) -> T:
        """Do a part of the job once, whatever becomes of the attempt; see `Job.step`."""
        self._begin_step(name)
        stored = cast("bytes | None", self._call(self._port.find_step(name)))
        if stored is None:
            outer = _STEP.set(name)
            try:
                result = fn(*args, **kwargs)
            finally:
                _STEP.reset(outer)
            done = encode_step(name, result)
            stored = cast("bytes", self._call(self._port.save_step(name, done)))
        return cast("T", decode_step(name, fn, stored))

    def enqueue(
        self,
        queue: str,
        payload: msgspec.Struct | Mapping[str, object],
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Enqueue another job; see `Job.enqueue`."""
        options = self._options(delay=delay, at=at, priority=priority, tenant=tenant, headers=headers)
        return cast("str", self._call(self._port.enqueue(queue, payload, options)))


def encode_step(name: str, result: object) -> bytes:
    """Encode a step's result.

    Raises:
        StepError: It cannot be written as JSON.
    """
    try:
        return msgspec.json.encode(result)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StepError(f"step {name!r}: its result cannot be written as JSON: {error}") from None


def decode_step(name: str, fn: Callable[..., object], stored: bytes) -> object:
    """Decode a step's result by its function's return annotation; without one, as plain maps and lists.

    Raises:
        StepError: What is stored does not fit the annotation.
    """
    try:
        kind = typing.get_type_hints(fn, include_extras=True).get("return", object)
    except (TypeError, NameError, AttributeError):  # a partial, a callable object, a name under TYPE_CHECKING
        kind = object
    try:
        return msgspec.json.decode(stored, type=type(None) if kind is None else kind)
    except msgspec.MsgspecError as error:
        raise StepError(
            f"step {name!r}: its stored result does not fit the annotation of its function: {error}"
        ) from None
    except TypeError:  # an annotation that msgspec cannot decode, such as a protocol
        return msgspec.json.decode(stored)
