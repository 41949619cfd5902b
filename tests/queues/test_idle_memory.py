"""What a worker with all seven queues costs while nothing is to be done."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

BUDGET_KB = 80_000
"""Kilobytes of its own that such a worker may have: what each further one adds on a machine."""


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells memory of one's own"
)
def test_idle_worker_with_all_plugins_stays_in_its_budget(start_server, start_process, tmp_path):
    """Six clients, two database layers and an image library in one process add up unnoticed, a line at a time."""
    worker = start_process(
        [sys.executable, "-m", "jobrunner", "run", "--log-format", "json"],
        env={"REDIS_URL": start_server("valkey").url},
        cwd=tmp_path,
    )
    started = worker.wait_for_line("worker.started", timeout_s=60)
    assert len(re.findall(r'"([a-z.-]+)":\d+', started.partition('"queues":')[2].partition("}")[0])) == 7

    rollup = Path(f"/proc/{worker.pid}/smaps_rollup").read_text()
    own_kb = sum(int(number) for number in re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.MULTILINE))
    assert 10_000 < own_kb < BUDGET_KB
