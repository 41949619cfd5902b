"""One scenario's events and the store's state at its end, ordered by job for the checker."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from rig.history import Accepted, Ended, Event, Harmed, Leased, Recovered, Settled, Started, Unknown

TERMINAL = frozenset({"completed", "failed", "cancelled"})
LIVE = frozenset({"waiting", "delayed", "active", "parked"})
TRIMMED = "trimmed"  # it ended, and the store kept only the id


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """What the store holds when a scenario is over."""

    states: Mapping[str, tuple[str, ...]]
    """Job id to the states of all the structures that hold it; one each, if all is well."""
    results: Mapping[str, str] = {}
    """Job id to the kept result; empty if the scenario does not look at results."""
    counts: Mapping[str, int] = {}
    """State to the number of jobs that the store tells people; empty if the scenario does not ask."""
    leftovers: tuple[str, ...] = ()
    """Keys and entries that should be gone: locks, slots, leases without a job."""

    @classmethod
    def of(cls, states: Mapping[str, str], *, results: Mapping[str, str] | None = None) -> Self:
        """Make a dump of a store in which each job has one state."""
        return cls(states={job_id: (state,) for job_id, state in states.items()}, results=results or {})


class Record:
    """The events of one scenario by job, with the dump."""

    def __init__(self, events: Iterable[Event], dump: Dump, *, drained: bool = True) -> None:
        """Sort the events.

        Args:
            events: of all processes, in any order.
            dump: the store's state after the last of them.
            drained: whether the scenario ran until nothing was left to do.
        """
        self.dump = dump
        self.drained = drained
        self.accepted: set[str] = set()
        self.unknown: set[str] = set()
        self.runs: dict[str, list[Started]] = defaultdict(list)  # by number, not by time
        self.endings: dict[str, dict[str, Ended]] = defaultdict(dict)
        self.settles: dict[str, list[Settled]] = defaultdict(list)
        self.lease_ends_ms: dict[tuple[str, str], int] = {}
        self.harms: dict[str, list[Harmed]] = defaultdict(list)
        self.recovered_ms: dict[str, list[int]] = defaultdict(list)
        for event in events:
            self._add(event)
        self.unknown -= self.accepted
        for runs in self.runs.values():
            runs.sort(key=lambda run: (run.run, run.at_ms))

    def _add(self, event: Event) -> None:
        match event:
            case Accepted():
                self.accepted.add(event.job_id)
            case Unknown():
                self.unknown.add(event.job_id)
            case Leased():
                key = event.job_id, event.nonce
                self.lease_ends_ms[key] = max(event.until_ms, self.lease_ends_ms.get(key, 0))
            case Started():
                self.runs[event.job_id].append(event)
            case Ended():
                self.endings[event.job_id][event.nonce] = event
            case Settled():
                self.settles[event.job_id].append(event)
            case Recovered():
                self.recovered_ms[event.job_id].append(event.at_ms)
            case Harmed():
                for job_id in event.leased:
                    self.harms[job_id].append(event)

    def accepted_settles(self, job_id: str, outcomes: frozenset[str]) -> list[Settled]:
        """Return the settles of a job that the store accepted, of these outcomes, in the order given."""
        return [
            settle
            for settle in self.settles.get(job_id, ())
            if settle.verdict == "accepted" and settle.outcome in outcomes
        ]

    def harm_between(self, earlier: Started, later: Started) -> Harmed | None:
        """Find the harm that took the earlier run's lease away before the later run began.

        A worker that was frozen between its lease and its handler begins after the harm, even after the later
        run; one that was killed does not.
        """
        for harm in self.harms.get(earlier.job_id, ()):
            in_time = harm.since_ms <= later.at_ms and (harm.harm != "killed" or earlier.at_ms <= harm.at_ms)
            if in_time and harm.leased[earlier.job_id] == earlier.nonce:
                return harm
        return None
