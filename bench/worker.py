"""A worker as a real process, watched from outside: when its first and its last job ended, and what it cost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.servers import Server

POLL_S = 0.002
STALL_S = 60.0

PLUGIN = "bench.plugin"


class Drained:
    """What a drain cost: jobs a second, and microseconds of CPU a job in the worker and in the server."""

    def __init__(self, jobs: int, seconds: float, worker_s: float, server_s: float) -> None:
        self.rate = jobs / seconds
        self.worker_us = worker_s / jobs * 1e6
        self.server_us = server_s / jobs * 1e6


@contextlib.contextmanager
def worker(
    server: Server,
    file: Path,
    *,
    queue: str,
    concurrency: int = 50,
    level: str = "warning",
    lines: str = "json",
    sample: float = 1.0,
) -> Iterator[int]:
    """A worker of one queue, with lines of a level, a format and a share of the jobs; its pid."""
    environ = os.environ | {
        "REDIS_URL": server.url,
        "BENCH_FILE": str(file),
        "BENCH_CONCURRENCY": str(concurrency),
        "JOBRUNNER_LOG_LEVEL": level,
        "JOBRUNNER_LOG_FORMAT": lines,
        "JOBRUNNER_LOG_SAMPLE": str(sample),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "-m", "jobrunner", "run", "--plugin", PLUGIN, "--queue", queue]
    with file.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


def drained(
    server: Server,
    file: Path,
    jobs: int,
    *,
    concurrency: int,
    level: str = "warning",
    lines: str = "json",
    sample: float = 1.0,
) -> Drained:
    """Drain jobs that are there, and measure from the first byte to the last; see `worker` for the lines."""
    file.write_bytes(b"")
    with worker(
        server,
        file,
        queue="bench.count",
        concurrency=concurrency,
        level=level,
        lines=lines,
        sample=sample,
    ) as pid:
        first = _until(file, 1)
        begun, worker_s, server_s = time.perf_counter(), _cpu(pid), server.cpu_s
        _until(file, jobs)
        return Drained(
            jobs - first, time.perf_counter() - begun, _cpu(pid) - worker_s, server.cpu_s - server_s
        )


def _cpu(pid: int) -> float:
    return time.clock_gettime(~pid << 3 | 2)


def _until(file: Path, size: int) -> int:
    last, moved = 0, time.monotonic()
    while (now := file.stat().st_size) < size:
        if now != last:
            last, moved = now, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            raise RuntimeError(
                f"the worker stopped at {now} of {size} jobs: {file.with_suffix('.log').read_text()[-2000:]}"
            )
        time.sleep(POLL_S)
    return now
