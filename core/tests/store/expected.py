"""What a queue should hold, in plain Python, and the comparison with what the store holds."""

from collections import Counter

from .conftest import LEASE

OWN_MS = 20_000
NOTHING = (0, 0, 0)


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
        if place == "waiting":
            line = self.lined.setdefault((known.band, known.tenant), [])
            line.insert(0 if front else len(line), name)
        known.counts = tuple(a + b for a, b in zip(known.counts, charge, strict=True))
        known.place, known.due, known.since = place, due, self.bench.now

    def leave_line(self, name):
        known = self.jobs[name]
        if known.place == "waiting":
            self.lined[known.band, known.tenant].remove(name)

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
        assert bench.where() == {name: known.place for name, known in jobs.items()}, when
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
            "parked": "parked",
        }.items():
            assert bench.scores(part) == {name: jobs[name].since for name in self.of(place)}, when
        assert bench.scores("seen") == {name: until for name, (*_, until) in self.seen.items()}, when
        tally = Counter(f"{known.place}|{known.tenant}" for known in jobs.values() if known.tenant)
        assert {name: int(raw) for name, raw in hashes["tally"].items()} == tally, when
        counted = {name: int(raw) for name, raw in hashes["stats"].items() if name.isalpha()}
        assert counted == +self.stats, when
        assert bench.redis.llen(bench.keys["wake"]) <= 1, when
