"""Good histories to start from: what happens to some jobs when everything keeps its promise."""

import itertools
from typing import Literal, TypeVar

import msgspec
from hypothesis import strategies as st
from rig.history import Accepted, Ended, Event, Harmed, Leased, Settled, Started, Unknown
from rig.record import Dump, Record

Turn = Literal["retry", "release", "kill", "freeze", "late"]
Finish = Literal["completed", "failed", "completed, answer lost"]
LEASE_MS = 2000

E = TypeVar("E", bound=Event)


class Life(msgspec.Struct, frozen=True):
    """What becomes of one job: how it is enqueued, why it runs again each time, how it ends."""

    turns: tuple[Turn, ...] = ()
    finish: Finish = "completed"
    enqueue: Literal["accepted", "unknown", "unknown, absent"] = "accepted"


class Scenario:
    """The events and the dump of several lives, open to be spoiled before they are judged."""

    def __init__(self, *lives: Life) -> None:
        self.events: list[Event] = []
        self.states: dict[str, tuple[str, ...]] = {}
        self.results: dict[str, str] = {}
        self._ms = itertools.count(1000)
        self._names = itertools.count(1)
        for number, life in enumerate(lives):
            self._live(f"job-{number}", life)

    def record(self, *, drained: bool = True, **dump: object) -> Record:
        """Return what the checker judges; `dump` replaces fields of the dump."""
        fields: dict[str, object] = {"states": self.states, "results": self.results, **dump}
        return Record(self.events, msgspec.convert(fields, Dump), drained=drained)

    def find(self, kind: type[E]) -> list[E]:
        """Return the events of a kind, in the order in which they were added."""
        return [event for event in self.events if isinstance(event, kind)]

    def later_ms(self) -> int:
        """Return a time after all events so far."""
        return next(self._ms)

    def _live(self, job_id: str, life: Life) -> None:
        if life.enqueue == "accepted":
            self.events.append(Accepted(at_ms=next(self._ms), job_id=job_id))
        else:
            self.events.append(Unknown(at_ms=next(self._ms), job_id=job_id))
        if life.enqueue == "unknown, absent":
            return
        for run, turn in enumerate(life.turns, 1):
            self._turn(job_id, run, turn)
        self._finish(job_id, len(life.turns) + 1, life.finish)

    def _begin(self, job_id: str, run: int) -> tuple[str, str]:
        """Lease and start a run; return its nonce and worker."""
        nonce, worker = f"nonce-{next(self._names)}", f"worker-{next(self._names)}"
        at_ms = next(self._ms)
        self.events += [
            Leased(at_ms=at_ms, job_id=job_id, nonce=nonce, until_ms=at_ms + LEASE_MS),
            Started(at_ms=at_ms, job_id=job_id, run=run, nonce=nonce, worker=worker),
        ]
        return nonce, worker

    def _turn(self, job_id: str, run: int, turn: Turn) -> None:
        nonce, worker = self._begin(job_id, run)
        match turn:
            case "retry" | "release":
                outcome: Literal["retried", "released"] = "retried" if turn == "retry" else "released"
                self.events += [
                    Ended(at_ms=next(self._ms), job_id=job_id, nonce=nonce, outcome=outcome),
                    Settled(
                        at_ms=next(self._ms), job_id=job_id, nonce=nonce, outcome=outcome, verdict="accepted"
                    ),
                ]
            case "kill":
                self._harm(job_id, nonce, worker, "killed")
            case "freeze":
                # It wakes long after another run took over, returns, and is refused.
                self._harm(job_id, nonce, worker, "frozen")
                self._pass_lease()
                at_ms = next(self._ms) + LEASE_MS
                self.events += [
                    Ended(at_ms=at_ms, job_id=job_id, nonce=nonce, outcome="completed", result="stale"),
                    Settled(at_ms=at_ms, job_id=job_id, nonce=nonce, outcome="completed", verdict="refused"),
                ]
            case "late":
                # Frozen between lease and handler: it begins after the run that took over.
                self._harm(job_id, nonce, worker, "frozen")
                self._pass_lease()
                started = self.find(Started)[-1]
                self.events.remove(started)
                self.events.append(
                    Started(
                        at_ms=next(self._ms) + LEASE_MS, job_id=job_id, run=run, nonce=nonce, worker=worker
                    )
                )

    def _harm(self, job_id: str, nonce: str, worker: str, harm: Literal["killed", "frozen"]) -> None:
        since_ms, at_ms = next(self._ms), next(self._ms)
        self.events.append(
            Harmed(at_ms=at_ms, worker=worker, harm=harm, leased={job_id: nonce}, since_ms=since_ms)
        )

    def _pass_lease(self) -> None:
        self._ms = itertools.count(next(self._ms) + LEASE_MS)

    def _finish(self, job_id: str, run: int, finish: Finish) -> None:
        nonce, _ = self._begin(job_id, run)
        outcome: Literal["failed", "completed"] = "failed" if finish == "failed" else "completed"
        result = f"result of {job_id}" if outcome == "completed" else ""
        self.events.append(
            Ended(at_ms=next(self._ms), job_id=job_id, nonce=nonce, outcome=outcome, result=result)
        )
        if finish != "completed, answer lost":
            self.events.append(
                Settled(at_ms=next(self._ms), job_id=job_id, nonce=nonce, outcome=outcome, verdict="accepted")
            )
        self.states[job_id] = (outcome,)
        if result:
            self.results[job_id] = result


def lives() -> st.SearchStrategy[list[Life]]:
    """Draw the lives of one to six jobs."""
    turn: st.SearchStrategy[Turn] = st.sampled_from(["retry", "release", "kill", "freeze", "late"])
    return st.lists(
        st.builds(
            Life,
            turns=st.lists(turn, max_size=4).map(tuple),
            finish=st.sampled_from(["completed", "failed", "completed, answer lost"]),
            enqueue=st.sampled_from(["accepted", "accepted", "unknown", "unknown, absent"]),
        ),
        min_size=1,
        max_size=6,
    )
