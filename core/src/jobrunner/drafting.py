"""From what a producer says to a job that the store takes. Pure: it neither sends nor waits.

Everything that can be wrong with a job is found here, before anything is sent.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from jobrunner.codec import check_size, encode_json, fingerprint
from jobrunner.declaration import Declaration
from jobrunner.errors import PayloadError
from jobrunner.model import MAX_PRIORITY
from jobrunner.names import JobIds, check_job_id, check_tenant, is_tenant
from jobrunner.queue import Queue
from jobrunner.record import encode_record
from jobrunner.sealing import Keyring, binding
from jobrunner.store.calls import NewJob

Durability: TypeAlias = Literal["replicated"]
"""What a producer waits for beyond the primary's answer: that a replica has the job too."""

Payload = msgspec.Struct | Mapping[str, object]

MAX_DELAY_S = 10 * 366 * 86_400.0
"""Seconds that a job may be delayed: ten years."""

MAX_HEADERS = 32
MAX_HEADER = 1024
"""Headers of a job, and characters of a name or value: room for a trace, not for a second payload."""

MAX_UNIQUE = 256
"""Characters of a unique key."""

_NOW = ("0", 0)

DUE_HEADER = "jobrunner-due"
"""When a delayed job is due, in ms since 1970 by the producer's clock: for telling its wait, not for its order."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a producer says beside the payload; None leaves it to the queue."""

    delay: float | None = None
    at: datetime | None = None
    priority: int | None = None
    job_id: str | None = None
    tenant: str | None = None
    headers: Mapping[str, str] | None = None
    unique: str | None = None
    durability: Durability | None = None
    parent_tenant: str = ""
    """The tenant of the job that enqueues this one; it holds where neither payload nor producer names one."""


Checked: TypeAlias = tuple[bytes, str | None, str, str, int, str]
"""A job that has passed every check, before it has a record: its payload as JSON, its id where the producer chose one, its
tenant, when it may start as the store takes it, roughly how many ms from now, and its unique key."""


class Draft(NewJob, frozen=True, kw_only=True, gc=False):
    """A job that is ready to be enqueued."""

    queue: str
    tenant: str
    priority: int
    delay_ms: int
    is_plain: bool
    """Whether it can run now, has no unique key, its queue declares no bound, and no replica has to confirm it."""


class Drafter:
    """Makes jobs of one queue with the same options: what they share is worked out once. One thread at a time.

    Args:
        declared: The queue.
        options: What the producer says beside the payloads.
        queue: The queue's own declaration, where its plugin is installed.
        check: Checks a payload where it is not.
        headers: Headers that hooks add to the producer's.
        keyring: Seals the payloads, if it has keys.

    Raises:
        PayloadError: An option does not fit.
    """

    def __init__(
        self,
        declared: Declaration,
        options: Options,
        *,
        queue: Queue | None = None,
        check: Callable[[bytes], None] | None = None,
        headers: Mapping[str, str] | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        if options.durability not in (None, "replicated"):
            problem = f"durability is None or 'replicated', not {options.durability!r:.40}"
            raise PayloadError(declared.name, "", problem)
        self._declared = declared
        self._keyring = keyring
        self._ids = JobIds()
        self._options = options
        # What the payload says to the queue is read off a Struct, or off a map with the wire's names.
        self._encode: Callable[[Payload], tuple[bytes, Any]]
        self._read: Callable[[Any, str, None], object]
        if queue is not None:
            self._encode, self._read = queue.codec.encode, getattr
        else:
            self._encode, self._read = functools.partial(_encoded_by_name, declared, check), dict.get
        named: Declaration | Queue = queue or declared
        self._tenant_field = named.tenant_field or ""
        self._schedule_field = named.schedule_field or ""
        self._unique_field = named.unique_field or ""
        self._priority = _priority(declared, options.priority)
        self._headers = _headers(declared, {**(options.headers or {}), **(headers or {})})
        by_payload = options.at is None and options.delay is None and bool(declared.schedule_field)
        self._when = None if by_payload else _when(declared, None, options)
        self._job_id = None if options.job_id is None else check_job_id(options.job_id)
        is_bounded = declared.max_waiting or declared.max_waiting_bytes
        self._is_free = options.durability is None and not is_bounded
        asked = (options.tenant, options.unique, options.job_id) != (None, None, None)
        self._is_usual = self._when == _NOW and not asked and not self._unique_field
        """Whether the tenant is all that a payload says to the queue; most are so, and are made in fewer steps."""

    def draft(self, payload: Payload, job_id: str | None = None) -> Draft:
        """Check a job and make it; see `check`."""
        return self.make(*self.check(payload, job_id))

    def check(self, payload: Payload, job_id: str | None = None) -> Checked:
        """Find whatever is wrong with a job.

        Args:
            payload: What the job is about.
            job_id: The job's id, where it is not that of the options.

        Raises:
            PayloadError: The payload does not fit; the error names the field.
            InvalidNameError: The id or the tenant is not allowed.
        """
        chosen = self._job_id if job_id is None else check_job_id(job_id)
        raw, value = self._encode(payload)
        said = self._read(value, self._tenant_field, None) if self._tenant_field else None
        if self._is_usual and chosen is None and type(said) is str and is_tenant(said):
            return raw, None, said, *_NOW, ""
        declared, options = self._declared, self._options
        tenant = _tenant(declared, said, options.tenant) or options.parent_tenant
        when, delay_ms = self._when or _when(declared, self._read(value, self._schedule_field, None), options)
        key: object = options.unique
        if key is None and self._unique_field:
            key = self._read(value, self._unique_field, None)
        unique = "" if key is None else _unique(declared, tenant, key)
        return raw, chosen, tenant, when, delay_ms, unique

    def make(
        self, raw: bytes, job_id: str | None, tenant: str, when: str, delay_ms: int, unique: str
    ) -> Draft:
        """Give a job that was checked its id and its record. Nothing that a producer said can go wrong here."""
        declared, keyring, headers, mark = self._declared, self._keyring, self._headers, ""
        if delay_ms:
            headers = headers | {DUE_HEADER: str(int(time.time() * 1000) + delay_ms)}
        if job_id is None:
            job_id = self._ids.new()
        else:
            mark = keyring.mark(tenant, raw) if keyring else fingerprint(tenant, raw)
        if keyring:
            raw = keyring.seal(raw, bound_to=binding(declared.name, job_id, tenant, declared.version))
            if unique:  # it may be a field of the payload
                unique = keyring.mark(tenant, unique.encode())
        priority = self._priority
        record = encode_record(priority, tenant, declared.version, raw, headers, mark)
        return Draft(
            job_id,
            when,
            record,
            unique,
            queue=declared.name,
            tenant=tenant,
            priority=priority,
            delay_ms=delay_ms,
            is_plain=self._is_free and when == "0" and not unique,
        )


def draft(
    declared: Declaration,
    payload: Payload,
    options: Options,
    *,
    queue: Queue | None = None,
    check: Callable[[bytes], None] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Draft:
    """Make one job; see `Drafter`."""
    return Drafter(declared, options, queue=queue, check=check, headers=headers).draft(payload)


def _encoded_by_name(
    declared: Declaration, check: Callable[[bytes], None] | None, payload: Payload
) -> tuple[bytes, dict[str, object]]:
    """The payload as JSON and its fields by the wire's names, where the queue's plugin is not installed."""
    if not isinstance(payload, (msgspec.Struct, Mapping)):
        raise PayloadError(
            declared.name, "", f"the payload is a {type(payload).__name__}; it must be an object"
        )
    raw = encode_json(declared.name, payload)
    check_size(declared.name, raw, declared.max_payload)
    if check is not None:
        check(raw)
    return raw, msgspec.json.decode(raw, type=dict[str, object])


def _tenant(declared: Declaration, named: object, asked: str | None) -> str:
    if named is None or named == "":
        return check_tenant(asked or "")
    if not isinstance(named, str):
        raise PayloadError(
            declared.name, declared.tenant_field, f"expected `str`, got `{type(named).__name__}`"
        )
    if asked is not None and asked != named:
        problem = f"the payload says {named!r}, and tenant={asked!r}; they must be the same"
        raise PayloadError(declared.name, declared.tenant_field, problem)
    return check_tenant(named)


def _unique(declared: Declaration, tenant: str, key: object) -> str:
    """A unique key as the store has it: one tenant's says nothing of another's. Empty where there is none."""
    if key == "":
        return ""
    is_key = isinstance(key, (str, int)) and not isinstance(key, bool)
    text = str(key) if is_key else ""
    if not text or len(text) > MAX_UNIQUE or not text.isprintable():
        what = f"a unique key is printable text up to {MAX_UNIQUE} characters, or a whole number, not {key!r:.80}"
        raise PayloadError(declared.name, declared.unique_field, what)
    return f"{tenant} {text}"


def _priority(declared: Declaration, asked: int | None) -> int:
    if asked is None:
        return declared.priority
    if type(asked) is not int or not 0 <= asked <= MAX_PRIORITY:
        raise PayloadError(
            declared.name, "", f"priority is a whole number from 0 to {MAX_PRIORITY}, not {asked!r}"
        )
    return asked


def _when(declared: Declaration, said: object, options: Options) -> tuple[str, int]:
    """When the job may start as the store takes it, and roughly how many ms from now; an option beats what the payload said."""
    if options.delay is not None:
        if options.at is not None:
            raise PayloadError(declared.name, "", "give either delay or at, not both")
        number = isinstance(options.delay, (int, float)) and not isinstance(options.delay, bool)
        if not number or not 0 <= options.delay <= MAX_DELAY_S:
            raise PayloadError(declared.name, "", f"delay is 0 seconds to ten years, not {options.delay!r}")
        ms = round(options.delay * 1000)
        return str(ms), ms
    at = options.at
    if at is None and declared.schedule_field:
        at = _scheduled(declared, said)
    if at is None:
        return _NOW
    if not isinstance(at, datetime):
        raise PayloadError(declared.name, "", f"at is a datetime, not {at!r:.80}")
    if at.tzinfo is None:
        raise PayloadError(
            declared.name, "", "at must have a time zone: without one it means another moment elsewhere"
        )
    due_ms = round(at.timestamp() * 1000)
    ahead_ms = due_ms - int(time.time() * 1000)
    if ahead_ms > MAX_DELAY_S * 1000:
        raise PayloadError(
            declared.name, declared.schedule_field, "a job may be delayed for ten years at the most"
        )
    return f"@{max(0, due_ms)}", max(0, ahead_ms)


def _scheduled(declared: Declaration, value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError as error:
        raise PayloadError(declared.name, declared.schedule_field, str(error)) from None


def _headers(declared: Declaration, headers: Mapping[str, str]) -> dict[str, str]:
    if len(headers) > MAX_HEADERS:
        raise PayloadError(
            declared.name, "", f"a job has {MAX_HEADERS} headers at the most, not {len(headers)}"
        )
    for name, value in headers.items():
        for text in (name, value):
            if type(text) is not str or len(text) > MAX_HEADER or not text.isprintable():
                raise PayloadError(
                    declared.name,
                    "",
                    f"header {name!r:.80}: names and values are printable text up to {MAX_HEADER} characters",
                )
        if name.lower() == DUE_HEADER:
            raise PayloadError(declared.name, "", f"the header {DUE_HEADER} is jobrunner's own")
    return dict(headers)
