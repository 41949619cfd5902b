"""Random calls that do the same to the store and to what it should hold.

The model knows what should hold and nothing of how. A run is named by its seed and can be repeated.
"""

import random
from collections import Counter

import pytest

from jobrunner.errors import LateExchangeError
from jobrunner.model import State
from jobrunner.store import calls
from jobrunner.store.answers import Enqueued

from .conftest import LEASE, job
from .expected import NOTHING, OWN_MS, Expected, Known

MAX_CRASHES, DELAYS, MAX_STEPS, MAX_LOGS = 3, (10, 40), 16, 15
LINE = b'{"kind":"note","what":"x"}'
GOES = {  # outcome -> where the job goes, what it charges, how it is counted
    "complete": ("completed", NOTHING, "completed"),
    "retry": ("delayed", (1, 0, 0), "retried"),
    "snooze": ("delayed", (1, 1, 0), "snoozed"),
    "release": ("waiting", (1, 1, 0), "released"),
    "fail": ("failed", (1, 0, 0), "failed"),
    "cancel": ("cancelled", (1, 0, 0), "cancelled"),
    "park": ("parked", (1, 1, 0), "parked"),
    "crash": ("delayed", (1, 0, 1), "crashed"),
}
TENANTS = ("", "t1", "t2")
WEIGHTS = {"enqueue": 5, "exchange": 12, "extend": 3, "recover": 3, "note": 2, "cancel": 1, "retry": 1} | {
    "remove": 1,
    "trim": 1,
    "pause": 1,
    "limit": 2,
    "wait": 6,
}


class Model(Expected):
    """Random calls; each says what the store should answer."""

    def __init__(self, bench, seed):
        super().__init__(bench)
        self.chance = random.Random(seed)
        self.most = self.chance.choice((0, 2))
        self.rate = self.chance.choice((None, None, (20, 1000, 5)))
        self.rate_each = self.chance.choice((None, (6, 1000, 2)))

    def run(self, steps, *, compare_each=1):
        """Make random calls, and compare the whole state."""
        for number, step in enumerate(self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=steps)):
            getattr(self, step)()
            if number % compare_each == 0:
                self.compare(f"after step {number}, {step}")

    # ---- the calls

    def enqueue(self):
        batch, fresh, known, clash = [], {}, [], []
        for _ in range(self.chance.randint(1, 5)):
            past = list(self.seen if self.seen and self.chance.random() < 0.3 else self.jobs)
            if past and self.chance.random() < 0.25:
                name = self.chance.choice(past)
                band, tenant, delay = *self._head(name), 0
                there = name in self.jobs
                bad = there and self.chance.random() < 0.1
                batch.append(job(name, payload=b"[9]" if bad else b"{}", priority=band, tenant=tenant))
                if there or self.seen[name][2] > self.bench.now:
                    (clash if bad else known).append(name)
                    self.met.add("known" if there else "seen")
                    continue
                if name in fresh:
                    known.append(name)
                    continue
                self.met.add("free again")
            else:
                self.made += 1
                name, delay = f"j{self.made}", self.chance.choice((0, 0, 0, 30, 400))
                band, tenant = self.chance.choice((0, 5, 100)), self.chance.choice(TENANTS)
                batch.append(job(name, when=delay, priority=band, tenant=tenant))
            fresh[name] = (band, tenant, delay)
        said = ""
        if len(batch) == 1 and batch[0].when == "0":  # the short way in
            said = self.bench.enqueue_alone(batch[0])
            assert said == "limited" or (said == "taken") == (batch[0].id in fresh)
            self.met.add(f"alone: {said}")
        answer = Enqueued("ok", []) if said == "taken" else self.bench.enqueue(*batch)
        if clash:
            assert (answer.status, answer.ids) == ("conflict", clash)
            self.met.add("conflict")
            return
        assert (answer.status, answer.ids) == ("ok", known)
        in_line = False
        for name, (band, tenant, delay) in fresh.items():
            self.jobs[name] = Known(band, tenant, self.bench.now)
            if delay:
                self.move(name, "delayed", due=self.bench.now + delay)
            else:
                in_line |= self.admit(name)
        self.stats["enqueued"] += len(fresh)
        if in_line:
            assert self.token(), "a job that can run wakes a consumer"
        if self.chance.random() < 0.2:  # its answer was lost
            assert self.bench.enqueue(*batch).ids == [one.id for one in batch]

    def _head(self, name):
        known = self.jobs.get(name)
        return (known.band, known.tenant) if known else self.seen[name][:2]

    def exchange(self):
        worker = self.chance.choice(list(self.held))
        settle = self._settlements(worker)
        request = self.bench.request(
            self.chance.randint(0, 5),
            plain=[one for one in settle if len(one) == 2],
            settle=[one for one in settle if len(one) > 2],
            worker=worker,
            promote=self.chance.choice((1, 100)),
            keep=self.chance.choice((1000, 1000, 5)),
            own_ms=OWN_MS,
            max_active_per_tenant=self.most,
            rate="{} {} {}".format(*self.rate or (0, 0, 0)),
            rate_per_tenant="{} {} {}".format(*self.rate_each) if self.rate_each else "0",
        )
        ordered = [one for one in settle if len(one) == 2] + [one for one in settle if len(one) > 2]
        self.apart = {tenant for tenant in TENANTS if self.held_of(tenant)}
        answer = self.bench.send(request)
        self.look()
        self._settled(worker, request, ordered, answer)
        for name in [name for name in self.of("delayed") if self.jobs[name].due <= self.bench.now][
            : request.promote
        ]:
            self.admit(name)
        self._reserved(worker, request, answer)
        ids = [one.id for one in answer.jobs]
        fault = self.chance.random()
        if fault < 0.2:
            ids = self._again(request, answer)
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
            entry = self.chance.choice((b"", LINE))
            settle.append((*pair, outcome, self.chance.choice((0, 20, 300)), entry) if outcome else pair)
        return settle

    def _settled(self, worker, request, settle, answer):
        before, verdicts, now, done, completed, back = (
            self.applied.get(worker, set()),
            {},
            set(),
            set(),
            0,
            [],
        )
        for name, nonce, *rest in settle:
            outcome, delay, entry = rest or ("complete", 0, b"")
            if name in done:
                verdicts[name] = "already"
            elif not self.holds(name, nonce):
                verdicts[name] = "already" if (name, nonce) in before else "stale"
                self.met.add(verdicts[name])
                if verdicts[name] == "stale":
                    self.stats["stale"] += 1
                    continue
            else:
                done.add(name)
                place, charge, counted = GOES[outcome]
                if place in ("delayed", "waiting", "parked") and self.jobs[name].lease[3]:
                    (place, charge, counted), verdicts[name] = GOES["cancel"], "cancelled"
                    self.met.add("cancelled instead")
                if place == "waiting":
                    back.append(name)
                    place = "held" if self.held_of(self.jobs[name].tenant) else "waiting"
                self.move(name, place, charge=charge, due=self.bench.now + delay)
                self.jobs[name].lines += bool(entry)
                self.stats[counted] += 1
                completed += place == "completed"
                self.met.add(outcome)
            now.add((name, nonce))
        self.applied[worker] = now
        for name in reversed(back):  # in front of all others, in their own order
            self.move(name, "held" if self.held_of(self.jobs[name].tenant) else "waiting", front=True)
        assert answer.refused == verdicts
        if completed:
            over = min(len(self.of("completed")) - request.keep, 100 + completed)
            for name in self.of("completed")[: max(0, over)]:
                self.forget(name, remember=True)
                self.met.add("trimmed")

    def _reserved(self, worker, request, answer):
        best = [] if self.paused else self.can_run()
        self.met |= {"rate of a tenant"} if self.out_of_rate() else set()
        taken = [one.id for one in answer.jobs]
        assert len(taken) == min(request.want, len(best))
        assert [self.jobs[name].band for name in taken] == best[: len(taken)], "a higher priority goes first"
        for one in answer.jobs:
            known = self.jobs[one.id]
            assert self.lined[known.band, known.tenant][0] == one.id, "first in, first out within a tenant"
            assert tuple(map(int, (one.counts or b"0 0 0").split())) == known.counts
            self.met |= {"ran from held"} if known.place == "held" else set()
            self.move(one.id, "active")
            known.lease = [request.nonce, worker, self.bench.now + LEASE, False]
            self.spend("*", self.rate)
            if known.tenant:
                self.spend(known.tenant, self.rate_each)
        if self.tokens("*", self.rate) < 1 and not self.paused and self.can_wait():
            assert 0 <= answer.due_ms <= self.rate[1] / self.rate[0] + 1
            self.met.add("rate")
        self.stats["started"] += len(taken)
        if len(best) > len(taken):
            assert self.token(), "jobs that are left wake the next consumer"
        self._set_apart()

    def _set_apart(self):
        """Which of the jobs in line the exchange came to and held: of limited tenants, or behind an older held one."""
        held = {name for name, score in self.bench.scores("parked").items() if score < 0}
        for name in held:
            known = self.jobs[name]
            if known.place == "waiting":
                is_limited = known.tenant in self.paused_tenants or self.most_of.get(known.tenant, self.most)
                is_limited = is_limited or self.rate_each
                assert known.tenant
                assert is_limited or known.tenant in self.apart
                known.place = "held"
                self.met.add("held")

    def _again(self, request, answer):
        """The answer was lost: the same again, perhaps after a while. The ids that are still held."""
        for _ in range(self.chance.choice((0, 1, 2, 5))):
            self.bench.tick(self.chance.choice((1, 100, 400, 600)))
            self.recover()
        self.look()
        kept = [one.id for one in answer.jobs if self.holds(one.id, request.nonce)]
        for name in kept:
            self.jobs[name].lease[2] = self.bench.now + LEASE
        again = self.bench.send(request)
        assert [one.id for one in again.jobs] == kept
        assert again.refused == answer.refused
        self.met.add("replay")
        return kept

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
        good = [name for name, nonce in pairs if self.holds(name, nonce)]
        assert answer.lost == [name for name, nonce in pairs if not self.holds(name, nonce)]
        assert set(answer.cancelled) == {name for name in good if self.jobs[name].lease[3]}
        for name in good:
            self.jobs[name].lease[2] = self.bench.now + LEASE

    def recover(self):
        limit = self.chance.choice((2, 100))
        self.look()
        active = [name for name, known in self.jobs.items() if known.lease]
        active.sort(key=lambda name: (self.jobs[name].lease[2], name.encode()))
        expired = [name for name in active if self.jobs[name].lease[2] < self.bench.now]
        fates = {"delayed": [], "failed": [], "cancelled": []}
        for name in expired[:limit] if self.bench.now >= self.grace else []:
            known = self.jobs[name]
            buried = known.counts[2] + 1 >= MAX_CRASHES
            fate = "cancelled" if known.lease[3] else "failed" if buried else "delayed"
            fates[fate].append(name)
            self.move(name, fate, charge=(1, 0, 1))
            known.lines += 1
            self.met.add(f"recovered: {fate}")
        self.stats += Counter(
            crashed=sum(map(len, fates.values())),
            buried=len(fates["failed"]),
            cancelled=len(fates["cancelled"]),
        )
        answer = self.bench.recover(
            limit, max_crashes=MAX_CRASHES, delays=DELAYS, seed=self.chance.randrange(2**31)
        )
        assert (answer.delayed, answer.buried, answer.cancelled) == tuple(fates.values())
        for name in fates["delayed"]:  # the wait has jitter: read it, within its bounds
            known = self.jobs[name]
            bound = DELAYS[min(known.counts[2], len(DELAYS)) - 1]
            known.due = int(self.bench.redis.zscore(self.bench.keys["later"], name))
            assert bound // 2 <= known.due - self.bench.now <= bound

    def note(self):
        pairs = [pair for held in self.held.values() for pair in held] + self.old[-3:]
        notes, lost, full = [], [], []
        for name, nonce in self.chance.sample(pairs, min(3, len(pairs))):
            kind, text = self.chance.choice(
                [
                    ("step", b'["s",%d]' % len(pairs)),
                    ("progress", b"[0.5]"),
                    ("log", b"line %d\n" % len(pairs)),
                ]
            )
            notes.append((name, nonce, kind, text))
            if not self.holds(name, nonce):
                lost.append(name)
                continue
            known = self.jobs[name]
            if kind == "progress":
                known.progress = b"%d %s" % (self.bench.now, text)
            elif kind == "step" and len(known.steps + text) + 1 > MAX_STEPS:
                full.append(name)
                self.met.add("steps full")
            elif kind == "step":
                known.steps += text + b"\n"
            else:
                known.logs += text
                while len(known.logs) > MAX_LOGS:
                    known.logs = known.logs.partition(b"\n")[2]
                    self.met.add("logs full")
        if notes:
            answer = self.bench.note(*notes, max_steps=MAX_STEPS, max_logs=MAX_LOGS)
            assert (answer.lost, answer.full) == (lost, full)

    def cancel(self):
        for name in self.chance.sample(list(self.jobs), min(2, len(self.jobs))):
            known = self.jobs[name]
            match known.place:
                case "waiting" | "delayed" | "parked" | "held":
                    verdict = "cancelled"
                    self.move(name, "cancelled")
                    known.lines += 1
                    self.stats["cancelled"] += 1
                case "active":
                    verdict, known.lease[3] = "requested", True
                case _:
                    verdict = "ended"
            assert self.bench.cancel(name) == [verdict]

    def retry(self):
        state = self.chance.choice((State.FAILED, State.CANCELLED, State.DELAYED, State.PARKED))
        names = self.of(state.value)[:3]
        if names:
            forgive = state is not State.DELAYED
            assert self.bench.retry(state, *names, forgive=forgive) == names
            in_line = False
            for name in names:
                in_line |= self.admit(name)
                runs = self.jobs[name].counts[0]
                self.jobs[name].counts = (runs, runs, 0) if forgive else self.jobs[name].counts
            self.stats["requeued"] += len(names)
            assert self.token() or not in_line, "a job in line wakes a consumer"

    def remove(self):
        if self.jobs:
            name = self.chance.choice(list(self.jobs))
            runs = self.jobs[name].place == "active"
            assert self.bench.run(calls.remove(self.bench.keys, [name])) == ([] if runs else [name])
            if not runs:
                self.forget(name, remember=False)

    def trim(self):
        state = self.chance.choice((State.COMPLETED, State.FAILED, State.CANCELLED))
        keep, limit = self.chance.choice((0, 5, 20)), self.chance.choice((1, 3))
        gone = self.of(state.value)[: min(limit, max(0, len(self.of(state.value)) - keep))]
        call = calls.trim(self.bench.keys, state, keep=keep, keep_ms=10**9, limit=limit, own_ms=OWN_MS)
        assert self.bench.run(call) == len(gone)
        for name in gone:
            self.forget(name, remember=True)

    def pause(self):
        self.paused = not self.paused and self.chance.random() < 0.5
        self.bench.redis.hset(self.bench.keys["meta"], "paused", int(self.paused))

    def limit(self):
        """An operator pauses a tenant, lets it go on, or changes what it may run at once."""
        tenant = self.chance.choice(TENANTS[1:])
        if self.chance.random() < 0.5:
            self.paused_tenants ^= {tenant}
            fields = {f"pause:{tenant}": 1 if tenant in self.paused_tenants else ""}
        else:
            most = self.chance.choice((None, 0, 1, 3))
            self.most_of = {**self.most_of, tenant: most} if most is not None else {}
            fields = {f"max_active:{one}": self.most_of.get(one, "") for one in TENANTS[1:]}
        self.bench.run(calls.limit(self.bench.keys, fields))
        start = ""
        while start := self.bench.run(calls.turn(self.bench.keys, start, 1, max_active=self.most)):
            self.met.add("turns in steps")

    def wait(self):
        self.bench.tick(self.chance.choice((1, 10, 100, 300, 300, 700, 5000)))
        self.bench.redis.lpop(self.bench.keys["wake"])  # a consumer is woken
        if self.chance.random() < 0.7:
            return
        expired = [name for name, (*_, until) in self.seen.items() if until <= self.bench.now]
        full = [name for name, at in self.full.items() if at <= self.bench.now]
        assert self.bench.run(calls.prune(self.bench.keys, 1000)) == max(len(expired), len(full))
        self.full = {name: at for name, at in self.full.items() if name not in full}
        self.seen = {name: kept for name, kept in self.seen.items() if name not in expired}
