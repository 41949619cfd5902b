"""A distribution of somebody else's adds a publishing platform and a writer; not a line of ours knows of it.

A real wheel on the path of a real worker: what `pip install` would do, without an index.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

METADATA = "Metadata-Version: 2.1\nName: acme-extras\nVersion: 3.1\nRequires-Dist: jobrunner-publish\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
POINTS = """
[jobrunner_publish.platforms]
noticeboard = acme_extras.noticeboard

[jobrunner_content.writers]
haiku = acme_extras.haiku:open_writer
"""
NOTICEBOARD = """
import os
from jobrunner_publish import Account, Context, Dialect, Post, Problem, Published

def read(answer):
    return Problem(status=answer.status_code, message=answer.text)

DIALECT = Dialect(name="Noticeboard", read=read, rules=())

async def publish(post: Post, account: Account, context: Context) -> Published:
    api = context.api(account, DIALECT, os.environ["NOTICEBOARD_URL"])
    effect = await context.effect()
    if effect.lost_at is not None:
        context.risk_duplicate("the answer was lost")
    answer = await effect.make(lambda: api.post("/notes", json={"text": post.text}))
    return Published(post_id=answer.json()["id"], url="https://board.example/1")
"""
HAIKU = """
from contextlib import asynccontextmanager
from jobrunner_content import Brief, ContentSettings, PostText

class Haiku:
    async def write(self, brief: Brief) -> PostText:
        return PostText(hook=f"Pond {brief.number}", body="A frog jumps in.", hashtags=("haiku",))

@asynccontextmanager
async def open_writer(settings: ContentSettings):
    yield Haiku()
"""
MONTH = {
    "tenantId": "acme",
    "brandId": "brand",
    "month": 12,
    "year": 2024,
    "contentCount": 3,
    "platforms": ["noticeboard"],
}


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "acme_extras-3.1-py3-none-any.whl"
    files = {
        "acme_extras/__init__.py": "",
        "acme_extras/noticeboard.py": NOTICEBOARD,
        "acme_extras/haiku.py": HAIKU,
        "acme_extras-3.1.dist-info/METADATA": METADATA,
        "acme_extras-3.1.dist-info/WHEEL": WHEEL,
        "acme_extras-3.1.dist-info/entry_points.txt": POINTS,
    }
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
        record = "".join(f"{name},,\n" for name in [*files, "acme_extras-3.1.dist-info/RECORD"])
        packed.writestr("acme_extras-3.1.dist-info/RECORD", record)
    return path


@pytest.fixture
def board():
    """A noticeboard on loopback, and what was pinned to it, with whose token."""
    pinned = []

    class Board(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pinned.append((self.path, self.headers["Authorization"], body["text"]))
            answer = json.dumps({"id": f"note-{len(pinned)}"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Board) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", pinned
        server.shutdown()
        thread.join()


def to_publish(post_id, hook, body):
    account = {"platform": "Noticeboard", "accountId": "acme", "credentials": {"accessToken": "pin-4711"}}
    return {
        "tenantId": "acme",
        "postId": post_id,
        "scheduleId": "december",
        "platforms": [account],
        "content": {"hook": hook, "body": body, "hashtags": ["haiku"]},
        "scheduledTime": "2024-12-01T09:00:00Z",
    }


@pytest.mark.long
def test_wheel_adds_a_platform_and_a_writer(wheel, board, start_server, environ, tmp_path):
    """Its writer writes a month, and its platform publishes what was written, each post once."""
    address, pinned = board
    environ |= {
        "PYTHONPATH": str(wheel),
        "REDIS_URL": start_server("valkey").url,
        "JOBRUNNER_CONTENT_WRITER": "haiku",
        "NOTICEBOARD_URL": address,
    }

    def jobrunner(*words):
        done = subprocess.run(
            [sys.executable, "-m", "jobrunner", *words],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    jobrunner("enqueue", "content.generate.monthly", json.dumps(MONTH), "--id", "december")
    jobrunner("run", "--plugin", "content", "--burst", "--fail-on-failed")
    with sqlite3.connect(tmp_path / "jobrunner-content.db") as posts:
        rows = posts.execute("SELECT post_id, hook, body FROM content_posts ORDER BY post_id").fetchall()
    assert [hook for _, hook, _ in rows] == ["Pond 1", "Pond 2", "Pond 3"]

    (tmp_path / "posts.jsonl").write_text("".join(json.dumps(to_publish(*row)) + "\n" for row in rows))
    jobrunner("enqueue", "publish.dispatch", "--file", "posts.jsonl", "--id-field", "postId")
    ran = jobrunner("run", "--plugin", "publish", "--burst", "--fail-on-failed", "--log-format", "json")

    assert sorted(pinned) == [
        ("/notes", "Bearer pin-4711", f"Pond {number}\n\nA frog jumps in.\n\n#haiku") for number in (1, 2, 3)
    ]
    assert "pin-4711" not in ran
    shown = json.loads(jobrunner("jobs", "show", "publish.dispatch", "december-001", "--json"))
    assert shown["result"]["platforms"][0]["status"] == "posted"
    assert shown["result"]["platforms"][0]["url"] == "https://board.example/1"
