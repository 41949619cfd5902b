"""The lease protocol as steps from state to state: what workers, a store and a bad network may do next.

Workers, a store and a network that loses, repeats and delays take steps in any order. What the scripts `exchange`,
`extend` and `recover` do is here one step each, as it is in Redis. It never talks to a real store: that the scripts do
what stands here is the business of the random model in `core/tests/store/test_model.py`. `lease_model.py` looks at all
of its states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")

Rule = Literal["nonce", "memory", "serial", "lease"]
RULES: dict[Rule, str] = {
    "nonce": "a settlement is taken only under the lease that the store holds",
    "memory": "an exchange that is sent again is answered as the first time, and changes nothing",
    "serial": "an exchange that is older than the last one is refused",
    "lease": "a job is taken back only when its lease has run out",
}

MAX_CRASHES = 2


class Job(NamedTuple):
    """A job in the store, with what only the model sees: who ran it, and what was taken."""

    place: str = "waiting"
    """`waiting`, `later`, `active`, `done` or `dead`."""
    nonce: int = 0
    """Of its lease."""
    holder: int = -1
    expired: bool = False
    crashes: int = 0
    taken: frozenset[int] = frozenset()
    """Nonces under which a settlement was accepted."""
    freed: frozenset[int] = frozenset()
    """Nonces whose lease ended: settled, or run out and taken back."""


class Exchange(NamedTuple):
    """One round trip: what it settles, and whether it wants a job."""

    worker: int
    serial: int
    nonce: int
    settles: tuple[tuple[int, int, str], ...]
    """(job, nonce, outcome)."""
    want: bool


class Answer(NamedTuple):
    """What the store says to an exchange."""

    job: int
    """-1 for none."""
    refused: tuple[int, ...]
    """Nonces whose settlement came too late."""


class Memory(NamedTuple):
    """What the store remembers of a worker's last exchange."""

    serial: int = 0
    nonce: int = 0
    job: int = -1
    refused: tuple[int, ...] = ()
    applied: frozenset[tuple[int, int]] = frozenset()


class Worker(NamedTuple):
    """A worker, between two steps."""

    alive: bool = True
    serial: int = 0
    asked: Exchange | None = None
    """The exchange that it waits for."""
    running: tuple[int, int] | None = None
    """(job, nonce)."""
    ended: tuple[int, int, str] | None = None
    """What it has to tell."""


class State(NamedTuple):
    """Everything."""

    jobs: tuple[Job, ...]
    workers: tuple[Worker, ...]
    memories: tuple[Memory, ...]
    network: frozenset[Exchange] = frozenset()
    """Exchanges that were sent and may arrive, once or again, now or much later."""
    nonces: int = 0
    deaths: int = 0
    lapses: int = 0
    broken: str = ""
    """A promise that the last step broke."""


class Bounds(NamedTuple):
    """How far the model goes: enough for every kind of trouble to meet every other, few enough to end."""

    jobs: int = 2
    workers: int = 2
    nonces: int = 3
    deaths: int = 1
    lapses: int = 2


class Model:
    """The protocol, with some rules left out if somebody wants to see what they are for.

    Args:
        bounds: How far it goes.
        without: Rules that do not hold.
    """

    def __init__(self, bounds: Bounds, without: Iterable[Rule] = ()) -> None:
        self.bounds = bounds
        self._without = frozenset(without)

    def first(self) -> State:
        """Jobs wait, workers are idle."""
        bounds = self.bounds
        return State(
            jobs=(Job(),) * bounds.jobs,
            workers=(Worker(),) * bounds.workers,
            memories=(Memory(),) * bounds.workers,
        )

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen next."""
        for number, worker in enumerate(state.workers):
            if worker.alive:
                yield from self._worker_steps(state, number, worker)
        for exchange in state.network:
            yield from self._arrives(state, exchange)
        for number, job in enumerate(state.jobs):
            yield from self._time_passes(state, number, job)

    def essence(self, state: State) -> State:
        """The state without what makes no difference any more: nonces that nobody can name again, late exchanges."""
        network = state.network
        if not self._without:
            network = frozenset(one for one in network if not self._is_late(state, one))
        named = {one.nonce for one in network} | {nonce for one in network for _, nonce, _ in one.settles}
        for worker in state.workers:
            named |= {one[1] for one in (worker.running, worker.ended) if one is not None}
        jobs = tuple(
            job._replace(
                nonce=job.nonce if job.place == "active" else 0,
                taken=job.taken & named,
                freed=job.freed & named,
            )
            for job in state.jobs
        )
        return state._replace(jobs=jobs, network=network)

    def _is_late(self, state: State, one: Exchange) -> bool:
        """Whether the store will refuse it whenever it arrives, and nobody waits for the answer."""
        memory = state.memories[one.worker]
        return state.workers[one.worker].asked != one and (
            one.serial < memory.serial or (one.serial == memory.serial and one.nonce != memory.nonce)
        )

    # ---- workers ---------------------------------------------------------------------------------------------

    def _worker_steps(self, state: State, number: int, worker: Worker) -> Iterator[tuple[str, State]]:
        name = f"worker {number}"
        if worker.asked is None and state.nonces < self.bounds.nonces:
            settles = () if worker.ended is None else (worker.ended,)
            want = worker.running is None
            if settles or want:
                nonce = state.nonces + 1
                asked = Exchange(number, worker.serial + 1, nonce, settles, want)
                yield (
                    f"{name} sends exchange {asked.serial}",
                    _with_worker(state, number, worker._replace(serial=asked.serial, asked=asked))._replace(
                        network=state.network | {asked}, nonces=nonce
                    ),
                )
        if worker.running is not None and worker.ended is None:
            job, nonce = worker.running
            for outcome in ("complete", "retry"):
                ended = worker._replace(running=None, ended=(job, nonce, outcome))
                yield f"{name} ends job {job}: {outcome}", _with_worker(state, number, ended)
        if state.deaths < self.bounds.deaths:  # what it had sent may still arrive
            dead = _with_worker(state, number, Worker(alive=False))
            yield f"{name} dies", dead._replace(deaths=state.deaths + 1)

    def _hears(self, state: State, number: int, answer: Answer) -> State:
        worker = state.workers[number]
        asked = worker.asked
        assert asked is not None
        worker = worker._replace(asked=None, ended=None if asked.settles else worker.ended)
        if answer.job >= 0:
            worker = worker._replace(running=(answer.job, asked.nonce))
        for job, nonce, _ in asked.settles:
            if nonce not in answer.refused and nonce not in state.jobs[job].taken:
                state = state._replace(broken="a worker believes a settlement that was never taken")
        return _with_worker(state, number, worker)

    # ---- the store -------------------------------------------------------------------------------------------

    def _arrives(self, state: State, exchange: Exchange) -> Iterator[tuple[str, State]]:
        """An exchange reaches the store, and may do so again; its answer is lost or heard."""
        name = f"exchange {exchange.serial} of worker {exchange.worker}"
        after, answer = self._exchange(state, exchange)
        yield f"{name} arrives, its answer is lost", after
        worker = after.workers[exchange.worker]
        if answer is not None and worker.asked == exchange:
            yield f"{name} arrives and is answered", self._hears(after, exchange.worker, answer)
        if worker.asked != exchange:  # else it is sent again until it is answered
            yield f"{name} is lost", state._replace(network=state.network - {exchange})

    def _exchange(self, state: State, exchange: Exchange) -> tuple[State, Answer | None]:
        memory = state.memories[exchange.worker]
        if exchange.nonce == memory.nonce and "memory" not in self._without:
            held = memory.job >= 0 and state.jobs[memory.job].nonce == exchange.nonce
            held = held and state.jobs[memory.job].place == "active"
            if held:  # renewed
                state = _with_job(state, memory.job, state.jobs[memory.job]._replace(expired=False))
            return state, Answer(memory.job if held else -1, memory.refused)
        if (
            exchange.serial <= memory.serial
            and exchange.nonce != memory.nonce
            and "serial" not in self._without
        ):
            return state, None
        refused: list[int] = []
        applied: set[tuple[int, int]] = set()
        for number, nonce, outcome in exchange.settles:
            state = self._settle(state, number, nonce, outcome, memory, refused, applied)
        for number, job in enumerate(state.jobs):  # what is due
            if job.place == "later":
                state = _with_job(state, number, job._replace(place="waiting"))
        found = -1
        if exchange.want:
            found = next((n for n, job in enumerate(state.jobs) if job.place == "waiting"), -1)
        if found >= 0:
            state = self._reserve(state, found, exchange)
        memories = _put(
            state.memories,
            exchange.worker,
            Memory(exchange.serial, exchange.nonce, found, tuple(refused), frozenset(applied)),
        )
        return state._replace(memories=memories), Answer(found, tuple(refused))

    def _settle(
        self,
        state: State,
        number: int,
        nonce: int,
        outcome: str,
        memory: Memory,
        refused: list[int],
        applied: set[tuple[int, int]],
    ) -> State:
        job = state.jobs[number]
        fits = job.place == "active" and job.nonce == nonce
        if not fits and "nonce" not in self._without:
            before = (number, nonce) in memory.applied
            if before:
                applied.add((number, nonce))
            else:
                refused.append(nonce)
                if nonce in job.taken:
                    return state._replace(broken="a settlement that was taken is called too late")
            return state
        applied.add((number, nonce))
        if job.taken & {nonce}:
            return state._replace(broken="a settlement is taken twice")
        if job.place in ("done", "dead"):
            return state._replace(broken="a job that ended is settled again")
        if job.place == "active" and job.nonce != nonce:
            return state._replace(broken="a settlement ends another run's lease")
        place = "done" if outcome == "complete" else "later"
        return _with_job(
            state,
            number,
            job._replace(
                place=place, holder=-1, expired=False, taken=job.taken | {nonce}, freed=job.freed | {nonce}
            ),
        )

    def _reserve(self, state: State, number: int, exchange: Exchange) -> State:
        job = state.jobs[number]
        state = _with_job(
            state,
            number,
            job._replace(place="active", nonce=exchange.nonce, holder=exchange.worker, expired=False),
        )
        if any(
            other.nonce == exchange.nonce and other_number != number
            for other_number, other in enumerate(state.jobs)
        ):
            return state._replace(broken="one nonce names two reservations")
        worker = state.workers[exchange.worker]
        if worker.alive and worker.asked != exchange:
            return state._replace(broken="a job is reserved for an exchange that nobody waits for")
        return state

    def _time_passes(self, state: State, number: int, job: Job) -> Iterator[tuple[str, State]]:
        if job.place != "active":
            return
        held = state.workers[job.holder].alive
        if not job.expired and (state.lapses < self.bounds.lapses or not held):
            lapsed = _with_job(state, number, job._replace(expired=True))
            yield f"the lease of job {number} runs out", lapsed._replace(lapses=state.lapses + held)
        if job.expired:
            holder = state.workers[job.holder]
            if holder.running == (number, job.nonce):
                yield (
                    f"worker {job.holder} renews job {number}",
                    _with_job(state, number, job._replace(expired=False)),
                )
        if job.expired or "lease" in self._without:
            crashes = job.crashes + 1
            place = "dead" if crashes >= MAX_CRASHES else "later"
            back = job._replace(
                place=place, holder=-1, expired=False, crashes=crashes, freed=job.freed | {job.nonce}
            )
            after = _with_job(state, number, back)
            if not job.expired:
                after = after._replace(broken="a job is taken back while its lease holds")
            yield f"job {number} is taken back", after


def broken(state: State) -> str:
    """The promise that does not hold in a state, or nothing."""
    if state.broken:
        return state.broken
    for job in state.jobs:
        if job.place not in ("waiting", "later", "active", "done", "dead"):
            return "a job is in no place"
        if job.place in ("done", "dead") and job.holder != -1:
            return "a job that ended is still held"
        if job.place == "active" and job.nonce in job.freed:
            return "a lease that ended is given out again"
    running = [worker.running for worker in state.workers if worker.running is not None]
    for number, nonce in running:
        job = state.jobs[number]
        others = [other for other in running if other[0] == number and other[1] != nonce]
        if others and nonce not in job.freed and any(other[1] not in job.freed for other in others):
            return "a job runs twice at once though no lease had run out"
    return ""


def _put(values: tuple[T, ...], at: int, value: T) -> tuple[T, ...]:
    return (*values[:at], value, *values[at + 1 :])


def _with_job(state: State, number: int, job: Job) -> State:
    return state._replace(jobs=_put(state.jobs, number, job))


def _with_worker(state: State, number: int, worker: Worker) -> State:
    return state._replace(workers=_put(state.workers, number, worker))
