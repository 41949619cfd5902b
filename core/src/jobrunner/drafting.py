"""From what a producer says to a job that the store takes. Pure: it neither sends nor waits.

Everything that can be wrong with a job is found here, before anything is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from jobrunner.codec import check_size, encode_json, fingerprint
from jobrunner.declaration import Declaration
from jobrunner.errors import PayloadError
from jobrunner.model import MAX_PRIORITY
from jobrunner.names import JobIds, check_job_id, check_tenant
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

_NONE: Mapping[str, object] = {}

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


class Checked(msgspec.Struct, frozen=True, gc=False):
    """A job that has passed every check, before it has a record; `job_id` is empty where the producer chose none."""

    raw: bytes
    job_id: str
    tenant: str
    when: str
    delay_ms: int
    unique: str


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job that is ready to be enqueued."""

    job: NewJob
    queue: str
    tenant: str
    priority: int
    delay_ms: int
    is_plain: bool
    """Whether it can run now, has no unique key, and its queue declares no bound."""


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
        self._queue = queue
        self._fields = _fields(declared, queue) if queue is not None else []
        self._check = check
        self._priority = _priority(declared, options.priority)
        self._headers = _headers(declared, {**(options.headers or {}), **(headers or {})})
        by_payload = options.at is None and options.delay is None and bool(declared.schedule_field)
        self._when = None if by_payload else _when(declared, {}, options)
        self._is_bounded = bool(declared.max_waiting or declared.max_waiting_bytes)
        self._job_id = None if options.job_id is None else check_job_id(options.job_id)

    def draft(self, payload: Payload, job_id: str | None = None) -> Draft:
        """Check a job and make it; see `check`."""
        return self.make(self.check(payload, job_id))

    def check(self, payload: Payload, job_id: str | None = None) -> Checked:
        """Find whatever is wrong with a job.

        Args:
            payload: What the job is about.
            job_id: The job's id, where it is not that of the options.

        Raises:
            PayloadError: The payload does not fit; the error names the field.
            InvalidNameError: The id or the tenant is not allowed.
        """
        declared, options = self._declared, self._options
        chosen = self._job_id if job_id is None else check_job_id(job_id)
        if self._queue is not None:
            raw, value = self._queue.codec.encode(payload)
            fields = {wire: getattr(value, name) for wire, name in self._fields} if self._fields else _NONE
        else:
            raw, fields = _encoded_by_name(declared, payload, self._check)
        tenant = _tenant(declared, fields, options.tenant) or options.parent_tenant
        when, delay_ms = self._when or _when(declared, fields, options)
        key = options.unique if options.unique is not None else fields.get(declared.unique_field or "")
        unique = "" if key is None else _unique(declared, tenant, key)
        return Checked(raw, chosen or "", tenant, when, delay_ms, unique)

    def make(self, checked: Checked) -> Draft:
        """Give a job its id and its record. Nothing that a producer said can go wrong here."""
        declared, keyring, raw, tenant = self._declared, self._keyring, checked.raw, checked.tenant
        headers = self._headers
        if checked.delay_ms:
            headers = headers | {DUE_HEADER: str(int(time.time() * 1000) + checked.delay_ms)}
        job_id, mark, unique = checked.job_id or self._ids.new(), "", checked.unique
        if checked.job_id:
            mark = keyring.mark(tenant, raw) if keyring else fingerprint(tenant, raw)
        if keyring:
            raw = keyring.seal(raw, bound_to=binding(declared.name, job_id, tenant, declared.version))
            if unique:  # it may be a field of the payload
                unique = keyring.mark(tenant, unique.encode())
        record = encode_record(self._priority, tenant, declared.version, raw, headers, mark)
        return Draft(
            job=NewJob(job_id, checked.when, record, unique),
            queue=declared.name,
            tenant=tenant,
            priority=self._priority,
            delay_ms=checked.delay_ms,
            is_plain=not unique and checked.when == "0" and not self._is_bounded,
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


def _fields(declared: Declaration, queue: Queue) -> list[tuple[str, str]]:
    """The fields of a payload that say something to the queue: each by the wire's name and by the Struct's."""
    pairs = [
        (declared.tenant_field, queue.tenant_field),
        (declared.schedule_field, queue.schedule_field),
        (declared.unique_field, queue.unique_field),
    ]
    return [(wire, name) for wire, name in pairs if name]


def _encoded_by_name(
    declared: Declaration, payload: Payload, check: Callable[[bytes], None] | None
) -> tuple[bytes, Mapping[str, object]]:
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


def _tenant(declared: Declaration, fields: Mapping[str, object], asked: str | None) -> str:
    named = fields.get(declared.tenant_field) if declared.tenant_field else None
    if named in (None, ""):
        return check_tenant(asked or "")
    if not isinstance(named, str):
        raise PayloadError(
            declared.name, declared.tenant_field, f"expected `str`, got `{type(named).__name__}`"
        )
    if asked not in (None, named):
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


def _when(declared: Declaration, fields: Mapping[str, object], options: Options) -> tuple[str, int]:
    """When the job may start as the store takes it, and roughly how many ms from now; an option beats the payload."""
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
        at = _scheduled(declared, fields.get(declared.schedule_field))
    if at is None:
        return "0", 0
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
