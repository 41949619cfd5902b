"""What a worker with all seven queues weighs while nothing is to be done, and what its first jobs add."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from jobrunner import Client

BUDGET_KB = 80_000
"""Kilobytes that such a worker may take in all, with what it shares with others: what `ps` and a container count."""

BUSY_KB = 160_000
"""Kilobytes that it may have once a job of each heavy plugin ran: databases, mail, an image that was drawn."""

JOBS = {
    "content.generate.monthly": {
        "tenantId": "t",
        "brandId": "b",
        "month": 12,
        "year": 2026,
        "contentCount": 1,
        "platforms": ["x"],
    },
    "image.generate": {
        "tenantId": "t",
        "brandId": "b",
        "prompt": "Hello",
        "style": "minimalist",
        "dimensions": {"width": 320, "height": 320},
    },
    "analytics.pull": {
        "tenantId": "t",
        "platforms": ["x"],
        "dateRange": {"startDate": "2026-01-01T00:00:00Z", "endDate": "2026-02-01T00:00:00Z"},
        "metrics": ["likes"],
    },
    "approval.notify": {
        "tenantId": "t",
        "postId": "p",
        "brandId": "b",
        "approverIds": ["ana"],
        "notificationType": "email",
    },
}
"""A job of each plugin that loads a library of its own. The last two have no account and no approver, and fail."""


def resident_kb(pid: int) -> int:
    """What the process has in memory, as Linux counts it."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Rss: +(\d+) kB", rollup, re.MULTILINE)
    assert found is not None
    return int(found.group(1))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what is resident")
async def test_idle_worker_with_all_plugins_stays_in_its_budget(start_server, start_process, tmp_path):
    """Six clients, two database layers and an image library in one process add up unnoticed, a line at a time.

    What is large is loaded by the first job that needs it, so that many idle workers fit on a machine.
    """
    url = start_server("valkey").url
    worker = start_process(
        [sys.executable, "-m", "jobrunner", "run", "--log-format", "json"],
        env={"REDIS_URL": url},
        cwd=tmp_path,
    )
    started = worker.wait_for_line("worker.started", timeout_s=60)
    assert len(re.findall(r'"([a-z.-]+)":\d+', started.partition('"queues":')[2].partition("}")[0])) == 7

    idle = resident_kb(worker.pid)
    async with Client.from_env({"REDIS_URL": url}) as client:
        for queue, payload in JOBS.items():
            await client.enqueue(queue, payload, job_id="one", tenant="t")
    for queue in JOBS:
        worker.wait_for_line(rf'"job\.(completed|buried|failed)".*"{re.escape(queue)}"', timeout_s=60)
    busy = resident_kb(worker.pid)

    print(f"idle {idle:,} kB resident, after the first jobs {busy:,} kB")
    assert 10_000 < idle < BUDGET_KB
    assert idle < busy < BUSY_KB
