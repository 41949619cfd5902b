"""A worker that is killed in the middle of a month: real processes, a real store, and calls that are counted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from content_chat import Chat, Reply, completion
from content_desk import month

from jobrunner import SyncClient
from jobrunner_content import Post, PostStore

pytestmark = pytest.mark.long

KILLED_AT = 4
WAIT_S = 120.0
"""Seconds for a whole lease of 30 to run out, and a loaded machine."""

StartWorker = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def environ(tmp_path: Path, database: str) -> dict[str, str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REDIS_", "JOBRUNNER_", "QUEUE_"))
    }
    return clean | {
        "REDIS_URL": f"embedded://{tmp_path / 'store'}",
        "JOBRUNNER_CONTENT_DATABASE_URL": database,
        "JOBRUNNER_CONTENT_WRITER": "openai",
        "JOBRUNNER_CONTENT_OPENAI_TIMEOUT": "600",
    }


@pytest.fixture
def start_worker(environ: dict[str, str], tmp_path: Path) -> Iterator[StartWorker]:
    with ExitStack() as started:

        def start() -> subprocess.Popen[bytes]:
            log = started.enter_context((tmp_path / "worker.log").open("ab"))
            command = [sys.executable, "-m", "jobrunner", "run", "--plugin", "content"]
            worker = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
            started.callback(worker.wait)
            started.callback(worker.kill)
            return worker

        yield start


async def read(posts: PostStore) -> list[Post | None]:
    return [await posts.find("demo-tenant", f"december-{number:03d}") for number in range(1, 7)]


async def test_month_goes_on_where_a_killed_worker_left_it(
    environ: dict[str, str], start_worker: StartWorker, posts: PostStore
) -> None:
    """No text is paid for twice, no post is written twice, and none is missing."""
    fourth, released = threading.Event(), threading.Event()

    def reply(number: int) -> Reply:
        if number == KILLED_AT:
            fourth.set()
            released.wait(WAIT_S)
        return completion(hook=f"Call {number}")

    with Chat(reply) as chat, SyncClient.from_env(environ) as client:
        environ["JOBRUNNER_CONTENT_OPENAI_URL"] = chat.url
        handle = client.enqueue("content.generate.monthly", month(), job_id="december")
        worker = start_worker()
        assert fourth.wait(WAIT_S), "the worker asked for no fourth post"
        worker.kill()
        worker.wait()
        released.set()
        before = await read(posts)

        another = start_worker()
        result = handle.result(timeout=WAIT_S)
        another.terminate()

        assert another.wait(WAIT_S) == 0

    after = await read(posts)
    calls = Counter(asked.brief["number"] for asked in chat.asked)
    assert result["count"] == 6
    assert calls == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1, 6: 1}
    assert [post is None for post in before] == [False, False, False, True, True, True]
    assert after[:3] == before[:3]
    assert [post.text.hook for post in after if post] == [f"Call {call}" for call in (1, 2, 3, 5, 6, 7)]
