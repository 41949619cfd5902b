"""What a producer knows of the queues that it enqueues to: from installed plugins, else from what workers declared.

What workers declared is learnt once and kept for a minute, so that a deploy reaches producers that live long.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec

from jobrunner.declaration import Declaration, declare
from jobrunner.drafting import Drafter, Options
from jobrunner.errors import PayloadError, UnknownQueueError
from jobrunner.names import check_queue
from jobrunner.plugins import Plugins
from jobrunner.queue import Queue
from jobrunner.record import UNREADABLE

KNOWN_S = 60.0
"""Seconds for which a declaration from the store is believed."""


_PLAIN_RULES = frozenset(
    {"type", "enum", "const", "pattern", "format", "minimum", "maximum", "minLength", "maxLength"}
)
"""Rules of a schema whose value says to people what is wanted."""


class _Entry(msgspec.Struct, frozen=True):
    declared: Declaration
    queue: Queue | None
    check: Callable[[bytes], None] | None
    until: float
    """When it is to be learnt anew, by the monotonic clock."""


_NOTHING_SAID = Options()


class _Usual(threading.local):
    """A thread's drafters for jobs of which the producer says nothing beside the payload, by queue: most enqueues."""

    def __init__(self) -> None:
        self.drafters: dict[str, tuple[_Entry, Drafter]] = {}


class QueueBook:
    """The queues that a producer knows.

    Args:
        plugins: Those that are installed; each queue is looked up here first.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._entries: dict[str, _Entry] = {}
        self._usual = _Usual()
        self._hooks = plugins.implementing("jobrunner_enqueue")

    def knows(self, queue: str) -> bool:
        """Whether the queue is known; if not, ask the store and `learn`."""
        entry = self._entries.get(queue)
        if entry is not None:
            return time.monotonic() < entry.until
        owner = self._plugins.owner(queue)
        if owner is None:
            check_queue(queue)
            return False
        own = owner.queues[queue]
        self._entries[queue] = _Entry(declare(own, plugin=owner.name), own, None, math.inf)
        return True

    def learn(self, queue: str, declared: bytes | None, schema: bytes | None) -> None:
        """Take what workers declared of a queue.

        Raises:
            UnknownQueueError: They declared nothing.
        """
        if declared is None:
            known = ", ".join(self._plugins.queues) or "none"
            raise UnknownQueueError(
                f"no installed plugin declares the queue {queue!r} and no worker has served it (installed here: {known}{self._plugins.left_out}); "
                "install its plugin, or start a worker for it first"
            )
        try:
            about = msgspec.json.decode(declared, type=Declaration)
        except UNREADABLE:
            raise UnknownQueueError(
                f"what workers declared of the queue {queue!r} cannot be read; is a worker older?"
            ) from None
        about = msgspec.structs.replace(about, name=queue)
        check = _checker(queue, schema) if schema else None
        self._entries[queue] = _Entry(about, None, check, time.monotonic() + KNOWN_S)

    def declared(self, queue: str) -> Declaration:
        """What is known of a queue that is known."""
        return self._entries[queue].declared

    def usual(self, queue: str, options: Options) -> Drafter | None:
        """What makes jobs for a queue where the producer says nothing beside the payload, if this thread has it and it still
        holds; None sends the caller to `drafter`.
        """
        made = self._usual.drafters.get(queue)
        if made is None or options != _NOTHING_SAID:
            return None
        entry, drafter = made
        return drafter if time.monotonic() < entry.until else None

    def drafter(self, queue: str, options: Options) -> Drafter:
        """What makes jobs for a queue that is known.

        Raises:
            PayloadError: An option does not fit.
        """
        entry = self._entries[queue]
        if options != _NOTHING_SAID or self._hooks:
            return self._drafter(queue, entry, options)
        made = self._usual.drafters.get(queue)
        if made is None or made[0] is not entry:
            made = self._usual.drafters[queue] = (entry, self._drafter(queue, entry, options))
        return made[1]

    def _drafter(self, queue: str, entry: _Entry, options: Options) -> Drafter:
        headers = self._added_headers(queue, options.headers or {}) if self._hooks else None
        keyring = self._plugins.keyring if entry.declared.has_secrets else None
        return Drafter(
            entry.declared, options, queue=entry.queue, check=entry.check, headers=headers, keyring=keyring
        )

    def _added_headers(self, queue: str, headers: Mapping[str, str]) -> dict[str, str]:
        added: dict[str, str] = {}
        for plugin, _ in self._hooks:
            more = plugin.call("jobrunner_enqueue", queue=queue, headers={**headers, **added})
            if isinstance(more, Mapping):
                added |= more
        return added


def _checker(queue: str, schema: bytes) -> Callable[[bytes], None] | None:
    """A check by JSON Schema where the library for it is installed. It interprets the schema and fetches nothing."""
    try:
        import jsonschema  # noqa: PLC0415 - an extra
        import referencing  # noqa: PLC0415 - comes with it
    except ImportError:
        return None
    try:
        document = msgspec.json.decode(schema)
        jsonschema.Draft202012Validator.check_schema(document)
    except (msgspec.MsgspecError, jsonschema.SchemaError, RecursionError):
        return None
    validator = jsonschema.Draft202012Validator(document, registry=referencing.Registry())

    def check(raw: bytes) -> None:
        try:
            error = next(validator.iter_errors(msgspec.json.decode(raw)), None)
        except Exception:  # noqa: BLE001 - a schema that leads nowhere says nothing, and the worker looks anyway
            return
        if error is not None:
            raise _blame(
                queue, error.absolute_path, str(error.validator), error.validator_value, error.instance
            )

    return check


def _blame(queue: str, path: Iterable[object], rule: str, wanted: object, found: object) -> PayloadError:
    """What a schema's rule found, by the field's path. The value is left out: it may be a secret, and no mark tells."""
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    if rule == "required" and isinstance(wanted, list) and isinstance(found, dict):
        name = next((name for name in wanted if name not in found), "")
        return PayloadError(queue, f"{field}.{name}".lstrip("."), "missing")
    limit = f" {msgspec.json.encode(wanted).decode()[:200]}" if rule in _PLAIN_RULES else ""
    return PayloadError(queue, field, f"it does not keep the schema's rule: {rule}{limit}")
