"""Every Redis key that jobrunner uses, named in one place.

All keys of a queue share one hash tag, so a queue lives in one slot of a cluster. No name gets into a key
unchecked.
"""

from __future__ import annotations

import re

from jobrunner.errors import InvalidNameError
from jobrunner.model import State
from jobrunner.names import check_prefix, check_queue

PARTS = (
    "jobs",  # hash: id -> record as enqueued
    "wait",  # zset: id -> order
    "later",  # zset: id -> due, ms
    "active",  # zset: id -> end of the lease, ms
    "lease",  # hash: id -> nonce, tenant, worker, since; then a line with the reason where it is to stop
    "attempts",  # hash: id -> runs, unspent, crashes
    "state",  # hash: id -> journal, a line an attempt
    "done",  # zset: id -> ended, ms
    "dead",  # zset: id -> ended, ms
    "cancelled",  # zset: id -> ended, ms
    "parked",  # zset: id -> since, ms; minus its order where it is held for its tenant
    "held",  # zset: tenant, order and id of a job whose tenant may start none now
    "turns",  # zset: tenant that has held jobs and may start one -> its place in line
    "seen",  # zset: id that was trimmed -> until when it is remembered, ms
    "share",  # zset: band and tenant -> its last tag
    "rates",  # zset: tenant, or * for the queue -> when its bucket is full again, ms
    "refill",  # zset: tenant that has held jobs and an empty bucket -> when it may start one, ms
    "unique",  # hash: unique key -> the job that has it until it ends
    "uniques",  # hash: id -> its unique key
    "wake",  # list: at most one token
    "stats",  # hash: counters, buckets, minutes
    "tally",  # hash: state|tenant -> jobs
    "meta",  # hash: pause, limits, the outage clock
    "events",  # stream: one small entry a batch
    "steps",  # hash: id -> durable steps, a line each
    "progress",  # hash: id -> the last report
    "logs",  # hash: id -> log lines
)

LISTS: dict[State, str] = {
    State.WAITING: "wait",
    State.DELAYED: "later",
    State.ACTIVE: "active",
    State.COMPLETED: "done",
    State.FAILED: "dead",
    State.CANCELLED: "cancelled",
    State.PARKED: "parked",
}
"""Which structure holds the jobs of a state; a job is in one of them."""

PERMANENT = ("meta", "stats", "events", "seen", "rates")
"""What may be left of a queue that has no job: flags, counters, the capped stream, ids and buckets that expire."""

_CONSUMER = re.compile(r"[\w.-]{1,128}")


class QueueKeys:
    """The keys of one queue.

    Args:
        prefix: What all keys begin with.
        queue: The queue's name.

    Raises:
        InvalidNameError: Either cannot be part of a key.
    """

    __slots__ = ("_names", "queue", "remembered")

    def __init__(self, prefix: str, queue: str) -> None:
        base = f"{check_prefix(prefix)}:{{{check_queue(queue)}}}:"
        self.queue = queue
        self.remembered: dict[str, tuple[object, ...]] = {}
        """Script -> its keys as they are sent."""
        self._names = {part: base + part for part in PARTS}
        self._names["memory"] = base + "memory:"

    def __getitem__(self, part: str) -> str:
        return self._names[part]

    def of(self, state: State) -> str:
        """The structure that holds the jobs of a state."""
        return self._names[LISTS[state]]

    def memory(self, consumer: str) -> str:
        """The hash that remembers a consumer's last exchange.

        Raises:
            InvalidNameError: The consumer's name does not fit into a lease, where it stands between spaces.
        """
        if not _CONSUMER.fullmatch(consumer):
            raise InvalidNameError(
                f"consumer name {consumer[:80]!r} is not allowed: use 1 to 128 of letters, digits, '.', '_' and '-'"
            )
        return self._names["memory"] + consumer


class FleetKeys:
    """The keys that belong to no queue."""

    __slots__ = ("queues", "schemas", "tokens", "workers")

    def __init__(self, prefix: str) -> None:
        base = f"{check_prefix(prefix)}:{{!fleet}}:"
        self.queues = base + "queues"
        """hash: queue -> what its workers declare, JSON."""
        self.workers = base + "workers"
        """hash: worker -> its last report, JSON."""
        self.schemas = base + "schemas"
        """hash: queue -> JSON Schema of its payload."""
        self.tokens = base + "tokens"
        """hash: token's id -> what is known of it, JSON: its role and its digest, never itself."""
