"""What a queue should hold, in plain Python, and the comparison with what the store holds."""

from collections import Counter

from .conftest import LEASE

OWN_MS = 20_000
NOTHING = (0, 0, 0)
SEEN_AS = {"held": "parked"}
READY = ("waiting", "held")


class Known:
    """What the model knows of one job."""

    def __init__(self, band, tenant, at):
        self.band, self.tenant, self.at = band, tenant, at
        self.place, self.due, self.since = "", 0, 0
        self.lease = None  # [nonce, worker, ends, asked to stop]
        self.counts, self.lines = NOTHING, 0
        self.steps = self.logs = self.progress = b""


class Expected:
    """What the queue should hold."""

    def __init__(self, bench):
        self.bench = bench
        self.jobs = {}
        self.lined = {}  # (band, tenant) -> ids in their order
        self.seen = {}  # id -> (band, tenant, until)
        self.held = {"w1": [], "w2": [], "w3": []}  # what each worker believes
        self.old = []  # leases once held, for late settlements
        self.applied = {}
        self.stats = Counter()
        self.tick = self.grace = self.made = 0
        self.paused = False
        self.most = 0  # jobs at once of a tenant, as the queue declares it
        self.paused_tenants, self.most_of = set(), {}
        self.rate = self.rate_each = None  # jobs, ms, burst
        self.full = {}  # tenant, or * -> when its bucket is full
        self.met = set()

    def look(self):
        """What every call of a worker does first."""
        gap = abs(self.bench.now - self.tick)
        if gap > LEASE / 2:
            self.grace = self.bench.now + LEASE
            self.met.add("outage")
        if gap > LEASE / 10:
            self.tick = self.bench.now

    def move(self, name, place, *, charge=NOTHING, due=0, front=False):
        known = self.jobs[name]
        if known.lease:
            self.old.append((name, known.lease[0]))
            known.lease = None
        self.leave_line(name)
        if place in READY:
            line = self.lined.setdefault((known.band, known.tenant), [])
            line.insert(0 if front else len(line), name)
        known.counts = tuple(a + b for a, b in zip(known.counts, charge, strict=True))
        known.place, known.due, known.since = place, due, self.bench.now

    def leave_line(self, name):
        known = self.jobs[name]
        if known.place in READY:
            self.lined[known.band, known.tenant].remove(name)

    def admit(self, name):
        """A job could run: in line, or held where its tenant is paused or has held jobs."""
        tenant = self.jobs[name].tenant
        is_apart = tenant in self.paused_tenants or self.held_of(tenant)
        self.move(name, "held" if is_apart else "waiting")
        return not is_apart

    def held_of(self, tenant):
        """The held jobs of a tenant."""
        return [name for name, known in self.jobs.items() if known.place == "held" and known.tenant == tenant]

    def can_run(self):
        """The bands of the jobs that could start now, highest first: those of a limited tenant as far as it may."""
        bands = []
        for tenant in {tenant for _, tenant in self.lined}:
            ready = sorted((known.band for known in self._ready(tenant)), reverse=True)
            most, active = self.most_of.get(tenant, self.most), self.active_of(tenant)
            if tenant in self.paused_tenants:
                ready = []
            elif tenant:
                ready = ready[: max(0, most - active)] if most else ready
                ready = ready[: self.tokens(tenant, self.rate_each)]
            bands += ready
        return sorted(bands, reverse=True)[: self.tokens("*", self.rate)]

    def tokens(self, name, rate):
        """How many may start by a rate."""
        if rate is None:
            return 10**6
        jobs, ms, burst = rate
        full = max(self.full.get(name, 0), self.bench.now)
        return int((self.bench.now + ms / jobs * burst - full + 0.002) / (ms / jobs))

    def spend(self, name, rate):
        if rate is not None:
            self.full[name] = max(self.full.get(name, 0), self.bench.now) + rate[1] / rate[0]

    def can_wait(self):
        """Whether jobs are there that only the queue's rate keeps from starting."""
        return any(self.jobs[name].place == "waiting" for name in self.jobs)

    def out_of_rate(self):
        """Tenants with jobs that only their own rate keeps from starting."""
        return {t for _, t in self.lined if t and self._ready(t) and self.tokens(t, self.rate_each) < 1}

    def active_of(self, tenant):
        return sum(known.lease is not None for known in self.jobs.values() if known.tenant == tenant)

    def _ready(self, tenant):
        return [known for known in self.jobs.values() if known.tenant == tenant and known.place in READY]

    def forget(self, name, *, remember):
        known = self.jobs[name]
        self.leave_line(name)
        if remember and known.at + OWN_MS > self.bench.now:
            self.seen[name] = (known.band, known.tenant, known.at + OWN_MS)
        del self.jobs[name]

    def of(self, place):
        """The ids in a place, in the order of their scores."""
        names = [name for name, known in self.jobs.items() if known.place == place]
        key = "due" if place == "delayed" else "since"
        return sorted(names, key=lambda name: (getattr(self.jobs[name], key), name.encode()))

    def holds(self, name, nonce):
        known = self.jobs.get(name)
        return bool(known and known.lease and known.lease[0] == nonce)

    def token(self):
        return self.bench.redis.llen(self.bench.keys["wake"]) == 1

    # ---- comparing

    def compare(self, when):
        """The whole queue against the whole model."""
        bench, jobs = self.bench, self.jobs
        assert bench.where() == {name: SEEN_AS.get(k.place, k.place) for name, k in jobs.items()}, when
        hashes = bench.hashes(
            "jobs", "attempts", "state", "lease", "steps", "progress", "logs", "tally", "stats"
        )
        assert set(hashes["jobs"]) == set(jobs), when
        for part in ("steps", "progress", "logs"):
            written = {name: getattr(known, part) for name, known in jobs.items() if getattr(known, part)}
            assert hashes[part] == written, when
        counts = {name: tuple(map(int, raw.split())) for name, raw in hashes["attempts"].items()}
        assert counts == {name: known.counts for name, known in jobs.items() if known.counts != NOTHING}, when
        lines = {name: raw.count(b"\n") for name, raw in hashes["state"].items()}
        assert lines == {name: known.lines for name, known in jobs.items() if known.lines}, when
        assert {name: raw.decode() for name, raw in hashes["lease"].items()}.keys() == {
            name for name, known in jobs.items() if known.lease
        }
        for name, raw in hashes["lease"].items():
            (nonce, tenant, worker, since), known = raw.decode().split("\n")[0].split(" "), jobs[name]
            assert [nonce, worker, b"\n" in raw] == [known.lease[0], known.lease[1], known.lease[3]], when
            assert (tenant, int(since)) == (known.tenant, known.since), when
        assert bench.scores("active") == {
            name: known.lease[2] for name, known in jobs.items() if known.lease
        }, when
        assert bench.scores("later") == {name: jobs[name].due for name in self.of("delayed")}, when
        for part, place in {
            "done": "completed",
            "dead": "failed",
            "cancelled": "cancelled",
        }.items():
            assert bench.scores(part) == {name: jobs[name].since for name in self.of(place)}, when
        self.compare_held(when)
        assert bench.scores("seen") == {name: until for name, (*_, until) in self.seen.items()}, when
        tally = Counter(
            f"{SEEN_AS.get(known.place, known.place)}|{known.tenant}"
            for known in jobs.values()
            if known.tenant
        )
        assert {name: int(raw) for name, raw in hashes["tally"].items()} == tally, when
        counted = {name: int(raw) for name, raw in hashes["stats"].items() if name.isalpha()}
        assert counted == +self.stats, when
        assert bench.redis.llen(bench.keys["wake"]) <= 1, when

    def compare_held(self, when):
        """Held jobs stand apart in the order of their tenants' lines, and among the parked ones too."""
        bench, jobs = self.bench, self.jobs
        parked = bench.scores("parked")
        held = [entry.split(" ") for entry in bench.ids("held")]
        assert {name: jobs[name].since for name in self.of("parked")} == {
            name: score for name, score in parked.items() if score > 0
        }, when
        assert {name: -int(order) for _, order, name in held} == {
            name: score for name, score in parked.items() if score < 0
        }, when
        for (band, tenant), line in self.lined.items():
            mine = [name for whose, _, name in held if whose == tenant and jobs[name].band == band]
            assert mine == [name for name in line if jobs[name].place == "held"], when
        bands = [(whose, -jobs[name].band) for whose, _, name in held]
        assert bands == sorted(bands), f"{when}: a higher priority goes first"
        assert set(bench.ids("turns")) <= {whose for whose, *_ in held}, when
        assert bench.redis.hexists(bench.keys["meta"], "holding") >= bool(held), when
