"""1. The main job: a file of posts is enqueued, and a worker publishes each to every platform once."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from jobrunner_sandbox import Behaviour, SandboxServer
from jobrunner_sandbox.cast import packaged


@pytest.fixture
def folder(tmp_path):
    lines = [json.dumps(one, ensure_ascii=False) for one in packaged(90)]
    lines.insert(10, "")
    (tmp_path / "posts.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def jobrunner(folder, *words, **environ):
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "JOBRUNNER_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "jobrunner", *words],
        env=clean | environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_file_of_posts_is_published_each_platform_once(folder, start_server):
    """The job that the first plugin exists for, by the two commands of the documentation."""
    url = start_server("valkey").url
    with SandboxServer.in_thread(Behaviour(seed=3)) as sandbox:
        urls = sandbox.services()
        environ = {
            "REDIS_URL": url,
            "JOBRUNNER_PUBLISH_GRAPH_URL": urls["graph"],
            "JOBRUNNER_PUBLISH_LINKEDIN_URL": urls["linkedin"],
            "JOBRUNNER_PUBLISH_X_URL": urls["x"],
            "JOBRUNNER_PUBLISH_MASTODON_URL": urls["mastodon"],
            "JOBRUNNER_PUBLISH_MEDIA_GATEWAY": urls["media"],
            "JOBRUNNER_PUBLISH_POLL_INTERVAL": "0.1",
            "PUBLISH_WORKER_CONCURRENCY": "8",
        }

        enqueued = jobrunner(folder, "enqueue", "publish.dispatch", "--file", "posts.jsonl", **environ)
        assert enqueued.stdout == "90 jobs enqueued to publish.dispatch, 1 blank line skipped\n", (
            enqueued.stderr
        )
        ran = jobrunner(folder, "run", "--plugin", "publish", "--burst", "--fail-on-failed", **environ)
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr

        posts = sandbox.ledger.posts()
        duplicates = sandbox.ledger.duplicates()
    wanted = Counter(entry["platform"] for one in packaged(90) for entry in one["platforms"])
    assert Counter(post.platform for post in posts) == wanted
    assert duplicates == []
    assert "accessToken" not in ran.stdout
    assert "demo-fjord" not in ran.stdout, "a credential is in the log"
    (stats,) = json.loads(jobrunner(folder, "stats", "publish.dispatch", "--json", **environ).stdout)
    assert (stats["completed"], stats["total"]) == (90, 90)
