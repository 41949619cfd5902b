"""A scenario of very many jobs that do nothing: filled, drained and counted; what it costs the server is measured."""

import json
import subprocess
import sys
from pathlib import Path

from rig.figures import Counts, percentile

from jobrunner.store.scripts import SCRIPT_KEYS, script

PLUGIN = Path(__file__).with_name("noop_plugin.py")
PINGS = Path(__file__).with_name("pings.py")
QUEUE = "chaos.noop"
PART = 3000
"""Jobs that are enqueued by one call: their handles are held in memory until it returns."""


class Crowd:
    """Very many jobs on one server.

    Args:
        scene: The scenario; its workers and producers get the plugin of this module.
    """

    def __init__(self, scene):
        self.scene = scene
        self.redis = scene.redis
        scene.environ |= {"JOBRUNNER_PLUGINS": str(PLUGIN), "JOBRUNNER_LOG_LEVEL": "warning"}
        self.enqueued = 0

    def enqueue(self, number, **options):
        """Enqueue jobs, with the options of `enqueue_many`."""
        with self.scene.producer() as producer:
            for first in range(0, number, PART):
                payloads = [{"number": first + k} for k in range(min(PART, number - first))]
                producer.enqueue_many(QUEUE, payloads, **options)
        self.enqueued += number

    def worker(self, **environ):
        """Start a worker."""
        return self.scene.worker(queue=QUEUE, wait=False, **environ)

    @property
    def completed(self):
        """Jobs that were completed, over all time."""
        return int(self.scene.stats(QUEUE).get("completed", 0))

    def until_drained(self, timeout_s=1800.0):
        """Wait until all that was enqueued is completed."""
        self.scene.until(
            lambda: self.completed >= self.enqueued, timeout_s=timeout_s, what="the end of all jobs"
        )

    def count(self, part):
        """The size of a structure."""
        return self.scene.count(part, QUEUE)

    def counts(self):
        """What became of the jobs, by the store's counters: there are too many to write each one down."""
        stats = self.scene.stats(QUEUE)
        completed, started = int(stats["completed"]), int(stats["started"])
        return Counts(
            jobs=self.enqueued,
            lost=max(0, self.enqueued - completed),
            duplicates=max(0, completed - self.enqueued),
            reruns=max(0, started - completed),
        )


class Watch:
    """Asks a server for a sign of life all the time, and reads what its scripts cost it. Use it as a context manager.

    Args:
        server: The server.
        every_s: Seconds between signs of life.
    """

    def __init__(self, server, every_s=0.01):
        self._client = server.client()
        self._pid = server.pid
        self._pinging = [sys.executable, str(PINGS), str(server.port), str(every_s)]
        self._pinger = None
        self.pings_ms = []

    def __enter__(self):
        self._client.config_set("latency-tracking-info-percentiles", "50 99 100")
        self._client.config_set("slowlog-log-slower-than", 1000)  # microseconds
        self._client.config_set("slowlog-max-len", 100_000)
        self._client.slowlog_reset()
        self._waited_s = -self._queued_s()
        self._client.config_resetstat()
        self._pinger = subprocess.Popen(
            self._pinging, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_):
        printed, _ = self._pinger.communicate(timeout=60)
        assert self._pinger.returncode == 0
        self.pings_ms = json.loads(printed)
        self._waited_s += self._queued_s()

    def _queued_s(self):
        """Seconds that the server's main thread could run and had no processor, since it began; 0 where nobody tells."""
        told = Path(f"/proc/{self._pid}/schedstat")
        return int(told.read_text().split()[1]) / 1e9 if told.exists() else 0.0

    @property
    def scripts_ms(self):
        """Median, 99th percentile and maximum of all runs of scripts, in ms, by the server's own clock."""
        told = self._client.info("latencystats")["latency_percentiles_usec_evalsha"]
        return {name: float(told[name]) / 1000 for name in ("p50", "p99", "p100")}

    @property
    def slow(self):
        """Script -> (runs of 1 ms and more, the longest one in ms)."""
        names = {script(name).sha: name for name in SCRIPT_KEYS}
        found = {}
        for entry in self._client.slowlog_get(100_000):
            words = entry["command"].split()
            name = names.get(words[1].decode()) if words[0].upper() == b"EVALSHA" else None
            if name:
                number, longest = found.get(name, (0, 0.0))
                found[name] = number + 1, max(longest, entry["duration"] / 1000)
        return found

    def told(self):
        """All of it in a sentence each."""
        times, pings = self.scripts_ms, tuple(sorted(self.pings_ms))
        slow = ", ".join(
            f"{name} {longest:.1f} ms ({number:,} of 1 ms and more)"
            for name, (number, longest) in sorted(self.slow.items())
        )
        return (
            f"Scripts: median {times['p50']:.2f} ms, p99 {times['p99']:.2f} ms, longest {times['p100']:.1f} ms"
            f"{f' ({slow})' if slow else ''}. PING beside it: p99 {percentile(pings, 0.99):.1f} ms, "
            f"longest {pings[-1]:.1f} ms. All of it is by the wall clock: the server waited {self._waited_s:.1f} s for a "
            "processor that others used."
        )
