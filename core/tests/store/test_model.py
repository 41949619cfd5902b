"""Random calls against a plain-Python model of a queue; the whole state is compared after each.

The model knows what should hold and nothing of how. A run is named by its seed and can be repeated.
"""

import random

import pytest

from jobrunner.errors import LateExchangeError
from jobrunner.model import State
from jobrunner.store import calls

from .conftest import LEASE, Bench, job

MAX_CRASHES, DELAYS = 3, (10, 40)
GOES = {
    "complete": ("completed", (0, 0, 0)),
    "retry": ("delayed", (1, 0, 0)),
    "snooze": ("delayed", (1, 1, 0)),
    "release": ("waiting", (1, 1, 0)),
    "fail": ("failed", (1, 0, 0)),
    "cancel": ("cancelled", (1, 0, 0)),
    "park": ("parked", (1, 1, 0)),
    "crash": ("delayed", (1, 0, 1)),
}
TENANTS = ("", "t1", "t2")


class Model:
    """What the queue should hold, and random calls that do the same to it and to the store."""

    def __init__(self, bench, seed):
        self.bench = bench
        self.chance = random.Random(seed)
        self.place, self.due, self.band, self.tenant = {}, {}, {}, {}
        self.lease = {}  # id -> [nonce, worker, ends, asked to stop]
        self.counts = {}
        self.held = {"w1": [], "w2": [], "w3": []}  # what each worker believes
        self.old = []  # leases once held, for late settlements
        self.applied = {}
        self.tick = self.grace = 0
        self.paused = False
        self.made = 0
        self.met = set()

    # ---- what every call of a worker does first

    def look(self):
        gap = abs(self.bench.now - self.tick)
        if gap > LEASE / 2:
            self.grace = self.bench.now + LEASE
            self.met.add("outage")
        if gap > LEASE / 10:
            self.tick = self.bench.now

    def move(self, name, place, *, charge=(0, 0, 0), due=0):
        if lease := self.lease.pop(name, None):
            self.old.append((name, lease[0]))
        if charge != (0, 0, 0):
            self.counts[name] = tuple(
                a + b for a, b in zip(self.counts.get(name, (0, 0, 0)), charge, strict=True)
            )
        self.place[name], self.due[name] = place, due

    # ---- the calls

    def enqueue(self):
        batch, fresh, known, clash = [], [], [], []
        for _ in range(self.chance.randint(1, 5)):
            if self.place and self.chance.random() < 0.25:
                name = self.chance.choice(list(self.place))
                bad = self.chance.random() < 0.1
                batch.append(
                    job(
                        name,
                        payload=b"[9]" if bad else b"{}",
                        priority=self.band[name],
                        tenant=self.tenant[name],
                    )
                )
                (clash if bad else known).append(name)
            else:
                self.made += 1
                name, delay = f"j{self.made}", self.chance.choice((0, 0, 0, 30, 400))
                band, tenant = self.chance.choice((0, 5, 100)), self.chance.choice(TENANTS)
                batch.append(job(name, when=delay, priority=band, tenant=tenant))
                fresh.append((name, band, tenant, delay))
        answer = self.bench.enqueue(*batch)
        if clash:
            assert (answer.status, answer.ids) == ("conflict", clash)
            self.met.add("conflict")
            return
        assert (answer.status, answer.ids) == ("ok", known)
        for name, band, tenant, delay in fresh:
            self.band[name], self.tenant[name] = band, tenant
            self.place[name], self.due[name] = "delayed" if delay else "waiting", self.bench.now + delay
        if self.chance.random() < 0.2:  # its answer was lost
            assert self.bench.enqueue(*batch).ids == [one.id for one in batch]

    def exchange(self):
        worker = self.chance.choice(list(self.held))
        settle = self._settlements(worker)
        request = self.bench.request(
            self.chance.randint(0, 5),
            plain=[one for one in settle if len(one) == 2],
            settle=[one for one in settle if len(one) > 2],
            worker=worker,
            promote=self.chance.choice((1, 100)),
        )
        ordered = [one for one in settle if len(one) == 2] + [one for one in settle if len(one) > 2]
        answer = self.bench.send(request)
        self._apply(worker, request, ordered, answer)
        ids = [one.id for one in answer.jobs]
        fault = self.chance.random()
        if fault < 0.2:  # the answer is lost: the same again, perhaps after a while
            for _ in range(self.chance.choice((0, 1, 2, 5))):
                self.bench.tick(self.chance.choice((1, 100, 400, 600)))
                self.recover()
            self.look()
            kept = [name for name in ids if self.lease.get(name, ("",))[0] == request.nonce]
            for name in kept:
                self.lease[name][2] = self.bench.now + LEASE
            again = self.bench.send(request)
            assert [one.id for one in again.jobs] == kept
            assert again.refused == answer.refused
            self.met.add("replay")
            ids = kept
        if fault > 0.95:  # the worker dies before it reads the answer
            self.held[worker] = []
            return
        self.held[worker] += [(name, request.nonce) for name in ids]
        if self.chance.random() < 0.05:
            self._late(worker)

    def _settlements(self, worker):
        settle = []
        for _ in range(self.chance.randint(0, 4)):
            if self.held[worker] and self.chance.random() < 0.85:
                pair = self.held[worker].pop(self.chance.randrange(len(self.held[worker])))
            elif self.old:
                pair = self.chance.choice(self.old[-50:])
            else:
                continue
            outcome = self.chance.choice(("", "", *GOES))
            settle.append((*pair, outcome, self.chance.choice((0, 20, 300)), b"") if outcome else pair)
        return settle

    def _apply(self, worker, request, settle, answer):
        self.look()
        before, verdicts, now, done = self.applied.get(worker, set()), {}, set(), set()
        for name, nonce, *rest in settle:
            outcome, delay = (rest[0], rest[1]) if rest else ("complete", 0)
            lease = self.lease.get(name)
            if name in done:
                verdicts[name] = "already"
            elif not lease or lease[0] != nonce:
                verdicts[name] = "already" if (name, nonce) in before else "stale"
                self.met.add(verdicts[name])
                if verdicts[name] == "stale":
                    continue
            else:
                done.add(name)
                place, charge = GOES[outcome]
                if place in ("delayed", "waiting") and lease[3]:
                    (place, charge), verdicts[name] = GOES["cancel"], "cancelled"
                    self.met.add("cancelled instead")
                self.move(name, place, charge=charge, due=self.bench.now + delay)
                self.met.add(outcome)
            now.add((name, nonce))
        self.applied[worker] = now
        assert answer.refused == verdicts
        due = sorted(
            (at, name.encode())
            for name, at in self.due.items()
            if self.place[name] == "delayed" and at <= self.bench.now
        )
        for _, name in due[: request.promote]:
            self.move(name.decode(), "waiting")
        waiting = [name for name, place in self.place.items() if place == "waiting"]
        taken = [one.id for one in answer.jobs]
        assert len(taken) == (0 if self.paused else min(request.want, len(waiting)))
        assert set(taken) <= set(waiting)
        best = sorted((self.band[name] for name in waiting), reverse=True)
        assert [self.band[name] for name in taken] == best[: len(taken)], "a higher priority goes first"
        for one in answer.jobs:
            stored = tuple(map(int, one.counts.split())) if one.counts else (0, 0, 0)
            assert stored == self.counts.get(one.id, (0, 0, 0))
            self.place[one.id] = "active"
            self.lease[one.id] = [request.nonce, worker, self.bench.now + LEASE, False]

    def _late(self, worker):
        self.bench.serials[worker] -= 2
        old = self.bench.request(1, worker=worker)
        self.bench.serials[worker] += 1
        with pytest.raises(LateExchangeError):
            self.bench.send(old)
        self.look()
        self.met.add("late")

    def extend(self):
        pairs = [pair for held in self.held.values() for pair in held if self.chance.random() < 0.7]
        self.look()
        pairs = list(dict.fromkeys(pairs))
        answer = self.bench.extend(*pairs)
        good = [name for name, nonce in pairs if name in self.lease and self.lease[name][0] == nonce]
        lost = [name for name, nonce in pairs if not (name in self.lease and self.lease[name][0] == nonce)]
        assert answer.lost == lost
        assert set(answer.cancelled) == {name for name in good if self.lease[name][3]}
        for name in good:
            self.lease[name][2] = self.bench.now + LEASE

    def recover(self):
        limit = self.chance.choice((2, 100))
        self.look()
        expired = sorted(
            (lease[2], name.encode()) for name, lease in self.lease.items() if lease[2] < self.bench.now
        )
        fates = {"delayed": [], "failed": [], "cancelled": []}
        if self.bench.now >= self.grace:
            for _, raw in expired[:limit]:
                name = raw.decode()
                crashes = self.counts.get(name, (0, 0, 0))[2] + 1
                fate = (
                    "cancelled" if self.lease[name][3] else "failed" if crashes >= MAX_CRASHES else "delayed"
                )
                fates[fate].append(name)
                self.move(name, fate, charge=(1, 0, 1))
                self.met.add(f"recovered: {fate}")
        answer = self.bench.recover(
            limit, max_crashes=MAX_CRASHES, delays=DELAYS, seed=self.chance.randrange(2**31)
        )
        assert (answer.delayed, answer.buried, answer.cancelled) == tuple(fates.values())
        for name in fates["delayed"]:  # the wait has jitter: read it, within its bounds
            bound = DELAYS[min(self.counts[name][2], len(DELAYS)) - 1]
            due = int(self.bench.redis.zscore(self.bench.keys["later"], name))
            assert bound // 2 <= due - self.bench.now <= bound
            self.due[name] = due

    def cancel(self):
        for name in self.chance.sample(list(self.place), min(2, len(self.place))):
            match self.place[name]:
                case "waiting" | "delayed" | "parked":
                    verdict = "cancelled"
                    self.move(name, "cancelled")
                case "active":
                    verdict, self.lease[name][3] = "requested", True
                case _:
                    verdict = "ended"
            assert self.bench.cancel(name) == [verdict]

    def retry(self):
        state = self.chance.choice((State.FAILED, State.CANCELLED, State.DELAYED, State.PARKED))
        names = [name for name, place in self.place.items() if place == state.value][:3]
        if names:
            forgive = state is not State.DELAYED
            assert self.bench.retry(state, *names, forgive=forgive) == names
            for name in names:
                self.move(name, "waiting")
                if forgive and name in self.counts:
                    self.counts[name] = (self.counts[name][0], self.counts[name][0], 0)

    def remove(self):
        if self.place:
            name = self.chance.choice(list(self.place))
            gone = self.bench.run(calls.remove(self.bench.keys, [name]))
            assert gone == ([] if self.place[name] == "active" else [name])
            if gone:
                for known in (self.place, self.due, self.counts, self.band, self.tenant):
                    known.pop(name, None)

    def pause(self):
        self.paused = not self.paused and self.chance.random() < 0.5
        self.bench.redis.hset(self.bench.keys["meta"], "paused", int(self.paused))

    def wait(self):
        self.bench.tick(self.chance.choice((1, 10, 100, 300, 300, 700, 5000)))

    # ---- running and comparing

    def run(self, steps):
        weights = {
            "enqueue": 5,
            "exchange": 12,
            "extend": 3,
            "recover": 3,
            "cancel": 1,
            "retry": 1,
            "remove": 1,
        }
        weights |= {"pause": 1, "wait": 6}
        for number, step in enumerate(self.chance.choices(list(weights), list(weights.values()), k=steps)):
            getattr(self, step)()
            self.compare(f"after step {number}, {step}")

    def compare(self, when):
        bench = self.bench
        assert bench.where() == self.place, when
        assert {name.decode() for name in bench.redis.hkeys(bench.keys["jobs"])} == set(self.place), when
        leases = {}
        for name, raw in bench.redis.hgetall(bench.keys["lease"]).items():
            nonce, tenant, worker, _ = raw.decode().split("\n")[0].split(" ")
            leases[name.decode()] = [nonce, worker, "\n" in raw.decode()]
            assert tenant == self.tenant[name.decode()]
        assert leases == {name: [one[0], one[1], one[3]] for name, one in self.lease.items()}, when
        ends = {
            name.decode(): int(at)
            for name, at in bench.redis.zrange(bench.keys["active"], 0, -1, withscores=True)
        }
        assert ends == {name: one[2] for name, one in self.lease.items()}, when
        counts = {
            name.decode(): tuple(map(int, raw.split()))
            for name, raw in bench.redis.hgetall(bench.keys["attempts"]).items()
        }
        assert counts == self.counts, when
        assert bench.tally() == bench.recount(), when


@pytest.mark.parametrize("seed", range(3))
def test_store_does_what_the_model_does(server, seed):
    """500 random calls a seed, the whole state compared after each."""
    Model(Bench(server), seed).run(500)


def test_the_random_calls_meet_every_rule(server):
    """A model that never sees a replay or an outage would prove nothing."""
    if server.name != "fakeredis":
        pytest.skip("one server is enough to count what is met")
    model = Model(Bench(server), 11)
    model.run(1500)
    wanted = {*GOES, "stale", "already", "late", "replay", "outage", "conflict", "cancelled instead"}
    wanted |= {"recovered: delayed", "recovered: failed", "recovered: cancelled"}
    assert wanted <= model.met, wanted - model.met


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_store_does_what_the_model_does_for_long(server, seed):
    """The nightly run."""
    Model(Bench(server), seed).run(3000)
