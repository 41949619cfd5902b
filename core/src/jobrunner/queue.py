"""A queue as a plugin declares it: one payload type, one handler, and how it is run.

A declaration is checked when it is made, so that a mistake shows where it was written. It knows no Redis.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeVar, get_args, get_origin

import msgspec

from jobrunner.codec import PayloadCodec, json_schema
from jobrunner.job import Job, SyncJob
from jobrunner.masking import has_secrets, hide_in_repr
from jobrunner.model import (
    KEEP_COMPLETED,
    KEEP_FAILED,
    MAX_PAYLOAD,
    MAX_PRIORITY,
    MAX_RESULT,
    Keep,
    RateLimit,
    RetryPolicy,
)
from jobrunner.names import check_queue

P = TypeVar("P", bound=msgspec.Struct)
N = TypeVar("N", int, float)
Executor = Literal["async", "thread", "process"]
Upgrade = Callable[[dict[str, object]], dict[str, object]]
Handler = Callable[..., object]

_ROUTE = re.compile(r"[a-z][a-z0-9-]*/[a-z][a-z0-9-]*")


class Queue:
    """A named stream of jobs with one payload type and one handler.

    Args:
        name: Letters, digits, `.`, `_`, `-`; up to 64.
        payload: A `msgspec.Struct`.
        handler: `async def` over `Job[Payload]`, or a plain `def` over `SyncJob[Payload]`.
        priority: 0 to 100, higher is served first; a producer may set another one for a job.
        concurrency: Jobs at once in a worker, 1 to 10,000; None takes `QUEUE_CONCURRENCY`.
        concurrency_env: An environment variable that overrides `concurrency`.
        retry: How often and when a failed attempt is tried again.
        timeout: Seconds that an attempt may take, at most 7 days.
        lease: Seconds for which a worker owns a job without renewing, 0.5 to 3,600; it is renewed every third of it.
        max_crashes: Times that the job may lose its worker before it is failed, 1 to 100.
        executor: `async` and `thread` follow from the handler; `process` is for work that holds the CPU.
        route: Two words such as `content/generate-monthly`: the factory's name and the HTTP route.
        tenant_field: The payload's field that names the tenant; None looks for `tenant_id`, "" means none.
        schedule_field: A payload field, an aware datetime, before which the job does not start.
        unique_field: A payload field, text or a whole number: while a job has not ended, no second one of the tenant with
            the same value is taken in. A producer's `unique=` goes before it.
        keep_completed: How much is kept of completed jobs.
        keep_failed: How much is kept of failed jobs and of cancelled ones.
        idempotency: Seconds for which an id chosen by a producer is remembered after its job was trimmed.
        version: The payload's version, 1 or more.
        upgrades: For each older version, a function from its plain payload to the next version's.
        max_active: Jobs at once over all workers; None is unbounded.
        max_active_per_tenant: The same for the jobs of one tenant; what is over is held, and others go on.
        rate_limit: How many jobs may start in a time, over all workers; None is any number.
        rate_limit_per_tenant: The same for the jobs of one tenant; what is over is held, and others go on.
        max_waiting: Jobs waiting, delayed and held, past which the queue refuses; None is unbounded.
        max_waiting_bytes: The same in bytes of their records, by the average of a sample; None is unbounded.
        max_payload: Bytes of an encoded payload.
        max_result: Bytes of an encoded result.

    Raises:
        ValueError: Something does not fit; the message names the queue and the argument.
    """

    def __init__(
        self,
        name: str,
        payload: type[P],
        handler: Callable[[Job[P]], Awaitable[object]] | Callable[[SyncJob[P]], object],
        *,
        priority: int = 0,
        concurrency: int | None = None,
        concurrency_env: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: float = 3600.0,
        lease: float = 30.0,
        max_crashes: int = 3,
        executor: Executor | None = None,
        route: str | None = None,
        tenant_field: str | None = None,
        schedule_field: str | None = None,
        unique_field: str | None = None,
        keep_completed: Keep = KEEP_COMPLETED,
        keep_failed: Keep = KEEP_FAILED,
        idempotency: float = 86_400.0,
        version: int = 1,
        upgrades: Mapping[int, Upgrade] | None = None,
        max_active: int | None = None,
        max_active_per_tenant: int | None = None,
        rate_limit: RateLimit | None = None,
        rate_limit_per_tenant: RateLimit | None = None,
        max_waiting: int | None = None,
        max_waiting_bytes: int | None = None,
        max_payload: int = MAX_PAYLOAD,
        max_result: int = MAX_RESULT,
    ) -> None:
        self.name = check_queue(name)
        if not (isinstance(payload, type) and issubclass(payload, msgspec.Struct)):
            raise ValueError(f"queue {name}: the payload type {payload!r} is not a msgspec.Struct")
        self.payload: type[msgspec.Struct] = payload
        self.handler: Handler = handler
        self.priority = self._within("priority", priority, 0, MAX_PRIORITY)
        self.concurrency = (
            concurrency if concurrency is None else self._within("concurrency", concurrency, 1, 10_000)
        )
        self.concurrency_env = concurrency_env
        self.retry = retry or RetryPolicy()
        self.timeout = self._within("timeout", timeout, 0.001, 7 * 86_400)
        self.lease = self._within("lease", lease, 0.5, 3600)
        self.max_crashes = self._within("max_crashes", max_crashes, 1, 100)
        self.executor = self._executor(handler, executor)
        self.route = self._route(route)
        self.tenant_field = self._tenant_field(tenant_field)
        self.schedule_field = self._schedule_field(schedule_field)
        self.unique_field = self._unique_field(unique_field)
        self.keep_completed = keep_completed
        self.keep_failed = keep_failed
        self.idempotency = self._within("idempotency", idempotency, 0, 30 * 86_400)
        self.version = self._within("version", version, 1, 1_000_000)
        self.upgrades = self._upgrades(upgrades or {})
        self.max_active = self._bound("max_active", max_active)
        self.max_active_per_tenant = self._bound("max_active_per_tenant", max_active_per_tenant)
        self.rate_limit = self._rate("rate_limit", rate_limit)
        self.rate_limit_per_tenant = self._rate("rate_limit_per_tenant", rate_limit_per_tenant)
        self.max_waiting = self._bound("max_waiting", max_waiting)
        self.max_waiting_bytes = self._bound("max_waiting_bytes", max_waiting_bytes, 10**15)
        self.max_payload = self._within("max_payload", max_payload, 2, 64 << 20)
        self.max_result = self._within("max_result", max_result, 2, 64 << 20)
        self.has_secrets = has_secrets(payload)
        hide_in_repr(payload)
        self.codec = self._codec()

    def __repr__(self) -> str:
        return f"<Queue {self.name} of {self.payload.__name__}>"

    @property
    def is_async(self) -> bool:
        """Whether the handler is an `async def`."""
        return is_async(self.handler)

    def tenant_of(self, payload: msgspec.Struct) -> str | None:
        """The tenant that a payload names; None where it has no such field, empty where the field is."""
        return None if not self.tenant_field else str(getattr(payload, self.tenant_field) or "")

    def due_at(self, payload: msgspec.Struct) -> datetime | None:
        """When a payload may start, if it says so."""
        return None if not self.schedule_field else getattr(payload, self.schedule_field)

    def _within(self, name: str, value: N, low: float, high: float) -> N:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"queue {self.name}: {name} is {low:g} to {high:g}, not {value!r}")
        return value

    def _rate(self, name: str, value: RateLimit | None) -> RateLimit | None:
        if value is not None and not isinstance(value, RateLimit):
            raise ValueError(f"queue {self.name}: {name} is a RateLimit, not {value!r}")
        return value

    def _bound(self, name: str, value: int | None, most: int = 10**9) -> int | None:
        return value if value is None else self._within(name, value, 1, most)

    def _executor(self, handler: Handler, executor: Executor | None) -> Executor:
        if not callable(handler):
            raise ValueError(f"queue {self.name}: the handler {handler!r} cannot be called")
        if _is_generator(handler):
            raise ValueError(f"queue {self.name}: the handler is a generator: it must return, and not yield")
        on_loop = is_async(handler)
        if executor == "async" and not on_loop:
            raise ValueError(f"queue {self.name}: executor='async' needs an `async def` handler")
        if executor == "thread" and on_loop:
            raise ValueError(f"queue {self.name}: executor='thread' needs a plain `def` handler")
        return executor or ("async" if on_loop else "thread")

    def _route(self, route: str | None) -> str | None:
        if route is not None and not _ROUTE.fullmatch(route):
            raise ValueError(
                f"queue {self.name}: route {route!r} is not two words such as 'content/generate-monthly'"
            )
        return route

    def _hints(self) -> dict[str, object]:
        return typing.get_type_hints(self.payload, include_extras=True)

    def _tenant_field(self, field: str | None) -> str:
        if field is None:
            return "tenant_id" if "tenant_id" in self.payload.__struct_fields__ else ""
        if field and field not in self.payload.__struct_fields__:
            raise ValueError(
                f"queue {self.name}: tenant_field {field!r} is not a field of {self.payload.__name__}"
            )
        return field

    def _schedule_field(self, field: str | None) -> str | None:
        if field is None:
            return None
        if field not in self.payload.__struct_fields__:
            raise ValueError(
                f"queue {self.name}: schedule_field {field!r} is not a field of {self.payload.__name__}"
            )
        if not _is_aware_datetime(self._hints()[field]):
            raise ValueError(
                f"queue {self.name}: schedule_field {field!r} must be Annotated[datetime, Meta(tz=True)]: "
                "a time without a zone means another moment on each machine"
            )
        return field

    def _unique_field(self, field: str | None) -> str | None:
        if field is not None and field not in self.payload.__struct_fields__:
            raise ValueError(
                f"queue {self.name}: unique_field {field!r} is not a field of {self.payload.__name__}"
            )
        return field

    def _upgrades(self, upgrades: Mapping[int, Upgrade]) -> dict[int, Upgrade]:
        for version in upgrades:
            if not 1 <= version < self.version:
                raise ValueError(
                    f"queue {self.name}: an upgrade from version {version} is none to {self.version}"
                )
        return dict(upgrades)

    def _codec(self) -> PayloadCodec:
        try:
            json_schema(
                self.payload
            )  # a type that cannot be read from JSON shows here, and not at the first job
            return PayloadCodec(self.name, self.payload, self.max_payload)
        except (TypeError, NameError) as error:
            problem = str(error).splitlines()[-1]
            raise ValueError(
                f"queue {self.name}: {self.payload.__name__} cannot be a payload: {problem}"
            ) from None


def is_async(handler: Handler) -> bool:
    """Whether a handler is an `async def`, or an object whose `__call__` is one."""
    return any(map(inspect.iscoroutinefunction, (handler, getattr(handler, "__call__", None))))  # noqa: B004 - not whether it can be called, but how


def _is_generator(handler: Handler) -> bool:
    bodies = (handler, getattr(handler, "__call__", None))  # noqa: B004 - as above
    return any(inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body) for body in bodies)


def _is_aware_datetime(hint: object) -> bool:
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        aware = any(isinstance(mark, msgspec.Meta) and mark.tz for mark in marks)
        return aware and (inner is datetime or datetime in get_args(inner))
    return any(_is_aware_datetime(branch) for branch in get_args(hint))
