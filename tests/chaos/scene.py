"""One chaos scenario: a store, workers, a producer, and the judgement at its end."""

import os
import sys
import time
from pathlib import Path

from rig.checker import check, explain
from rig.figures import count, recoveries, resumptions, taken_back
from rig.history import History, Started, now_ms, read_history
from rig.record import TRIMMED, Dump, Record

from jobrunner import State, SyncClient
from jobrunner.record import Result, decode_journal
from jobrunner.store.keys import LISTS

PLUGIN = Path(__file__).with_name("chaos_plugin.py")
ROOT = Path(__file__).parents[2]
QUEUE = "chaos.work"


class Scene:
    """A scenario.

    Args:
        folder: For the history.
        url: The store, as producers and workers reach it.
        client: A client of the driver that reaches the store itself, for looking.
        start_process: Starts a real process.
        lease: Seconds.
        timeout: Seconds that a handler may run.
        max_crashes: Crashes of its worker after which a job is buried.
    """

    def __init__(self, folder, url, client, start_process, *, lease=2.0, timeout=60.0, max_crashes=3):
        self.folder = folder / "history"
        self.url = url
        self.redis = client
        self.lease = lease
        self.history = History(self.folder, "test")
        self._start = start_process
        self.workers = []
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "JOBRUNNER_"))
        }
        self.environ = clean | {
            "REDIS_URL": url,
            "JOBRUNNER_PLUGINS": str(PLUGIN),
            "JOBRUNNER_LOG_LEVEL": "debug",
            "JOBRUNNER_LOG_FORMAT": "json",
            "CHAOS_HISTORY": str(self.folder),
            "CHAOS_LEASE": str(lease),
            "CHAOS_TIMEOUT": str(timeout),
            "CHAOS_MAX_CRASHES": str(max_crashes),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]),
        }

    # ---- acting ------------------------------------------------------------------------------------------------

    def worker(self, *words, queue=QUEUE, wait=True, wrap=(), url=None, **environ):
        """Start a worker; return its process."""
        command = [*wrap, sys.executable, "-m", "jobrunner", "run", "--queue", queue, *words]
        env = self.environ | {name: str(value) for name, value in environ.items()}
        process = self._start(command, env=env | {"REDIS_URL": url or self.url}, cwd=self.folder)
        self.workers.append(process)
        if wait:
            process.wait_for_line("worker.started")
        return process

    def burst(self, *words, **more):
        """Run a worker until nothing is left to do."""
        worker = self.worker("--burst", *words, wait=False, **more)
        assert worker.wait(timeout_s=60) == 0
        return worker

    def producer(self, url=None, retry_for=30.0):
        """A client of this process."""
        return SyncClient.from_env(self.environ | {"REDIS_URL": url or self.url}, retry_for=retry_for)

    def enqueue(self, number, *, queue=QUEUE, first=0, producer=None, **payload):
        """Enqueue jobs and write each down; their ids."""
        payloads = [{"number": first + k, **payload} for k in range(number)]
        client = producer or self.producer()
        try:
            handles = client.enqueue_many(queue, payloads)
        finally:
            if producer is None:
                client.close()
        for handle in handles:
            self.history.accepted(handle.id)
        return [handle.id for handle in handles]

    def leases(self, process=None):
        """Leases as the store has them: id -> nonce; of one worker, or of all."""
        found = {}
        for job_id, lease in self.redis.hgetall(f"jr:{{{QUEUE}}}:lease").items():
            nonce, _, worker, _ = lease.decode().split("\n")[0].split(" ")
            if process is None or f"-{process.pid}-" in worker or f"-{process.pid}." in worker:
                found[job_id.decode()] = nonce
        return found

    def kill(self, process):
        """kill -9, and what it held then."""
        since = now_ms()
        process.kill()
        process.wait()
        leased = self.leases(process)
        self.history.harmed(str(process.pid), harm="killed", leased=leased, since_ms=since)
        return leased

    def freeze(self, process):
        """SIGSTOP, and what it held then."""
        since = now_ms()
        process.freeze()
        leased = self.leases(process)
        self.history.harmed(str(process.pid), harm="frozen", leased=leased, since_ms=since)
        return leased

    # ---- looking -----------------------------------------------------------------------------------------------

    def count(self, part, queue=QUEUE):
        """The size of a structure."""
        key = f"jr:{{{queue}}}:{part}"
        return self.redis.hlen(key) if part in ("lease", "jobs", "attempts") else self.redis.zcard(key)

    def until(self, condition, *, timeout_s=60.0, what="it"):
        """Wait for something to become true."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s:g} s: {self.states()}"
            time.sleep(0.02)

    def states(self, queue=QUEUE):
        """Jobs by state."""
        return {state.value: self.redis.zcard(f"jr:{{{queue}}}:{part}") for state, part in LISTS.items()}

    def until_ended(self, number, *, queue=QUEUE, timeout_s=90.0):
        """Wait until so many jobs have ended."""
        ended = ("completed", "failed", "cancelled")
        self.until(
            lambda: sum(self.states(queue)[name] for name in ended) >= number,
            timeout_s=timeout_s,
            what=f"the end of {number} jobs",
        )

    def stats(self, queue=QUEUE):
        """The queue's counters."""
        return {name.decode(): value for name, value in self.redis.hgetall(f"jr:{{{queue}}}:stats").items()}

    def record(self, *, drained=True, queue=QUEUE):
        """The history and the store as they are now."""
        return Record(read_history(self.folder), self.dump(queue), drained=drained)

    def counts(self, **more):
        """What became of the jobs."""
        return count(self.record(**more))

    def recoveries(self):
        """Seconds from each harm to the next run of each job that was leased then, shortest first."""
        return recoveries(self.record())

    def taken_back(self):
        """Seconds from each harm until the lease of each job was taken back, shortest first."""
        return taken_back(self.record())

    def resumptions(self, faults_ms):
        """Seconds from each of these times to the next outcome that the store took, shortest first."""
        return resumptions(read_history(self.folder), faults_ms)

    def runs(self):
        """Runs of each job, by the history."""
        found = {}
        for event in read_history(self.folder):
            if isinstance(event, Started):
                found[event.job_id] = found.get(event.job_id, 0) + 1
        return found

    # ---- judging -----------------------------------------------------------------------------------------------

    def dump(self, queue=QUEUE):
        """What the store holds."""
        states, results = {}, {}
        for state, part in LISTS.items():
            for job_id in self.redis.zrange(f"jr:{{{queue}}}:{part}", 0, -1):
                name = job_id.decode()
                states[name] = (*states.get(name, ()), state.value)
        for job_id, raw in self.redis.hgetall(f"jr:{{{queue}}}:state").items():
            for dated in decode_journal(raw):
                if isinstance(dated.entry, Result):
                    results[job_id.decode()] = bytes(dated.entry.value).decode()
        for job_id in self.redis.hkeys(f"jr:{{{queue}}}:jobs"):
            states.setdefault(job_id.decode(), ())
        for job_id in self.redis.zrange(f"jr:{{{queue}}}:seen", 0, -1):
            states.setdefault(job_id.decode(), (TRIMMED,))
        active = states_of(states, State.ACTIVE.value)
        leftovers = [
            job_id.decode()
            for job_id in self.redis.hkeys(f"jr:{{{queue}}}:lease")
            if job_id.decode() not in active
        ]
        return Dump(states=states, results=results, leftovers=tuple(leftovers))

    def judge(self, *, drained=True):
        """Hold the history against the store; nothing may be amiss."""
        violations = check(self.record(drained=drained))
        assert not violations, explain(violations)

    def settled_once(self, number):
        """The store counted as many completions as there are jobs: none was taken twice."""
        assert int(self.stats()["completed"]) == number, self.stats()

    def stop(self):
        """Stop all workers in order."""
        for process in self.workers:
            if process.alive:
                process.terminate()
        for process in self.workers:
            process.wait()


def states_of(states, wanted):
    return {job_id for job_id, found in states.items() if wanted in found}
