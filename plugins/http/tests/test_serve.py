"""`jobrunner serve` and `jobrunner token` as people run them: real processes on a real store."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
PARCELS = str(HERE / "parcels_plugin.py")
CONTENT = str(HERE / "content_plugin.py")


class Desk:
    """Runs the command line against one store."""

    def __init__(self, url, start_process):
        self.env = {"REDIS_URL": url, "JOBRUNNER_LOG_FORMAT": "json", "JOBRUNNER_HTTP_PORT": "0"}
        self._start = start_process

    def run(self, *words, **env):
        process = self._start(self.command(*words), env=self.env | env)
        return process.wait(), process.output()

    def command(self, *words):
        return [sys.executable, "-m", "jobrunner", *words]

    def serve(self, *words, plugin=PARCELS, **env):
        process = self._start(self.command("serve", "--plugin", plugin, *words), env=self.env | env)
        line = json.loads(process.wait_for_line('"event":"http.started"'))
        return process, line["address"]

    def token(self, *words):
        status, out = self.run("token", "new", *words, "--json")
        assert status == 0, out
        return json.loads(out)["token"]


@pytest.fixture
def desk(shared_server, start_process):
    server = shared_server("valkey")
    with server.client() as client:
        client.flushall()
    return Desk(server.url, start_process)


def test_without_a_token_it_does_not_listen(desk):
    """An open API is what people forget to close; it says how to make a token instead."""
    status, out = desk.run("serve", "--plugin", PARCELS)
    assert status == 2
    assert "jobrunner token new" in out
    assert "http.started" not in out


NEEDY = """
import msgspec
from jobrunner import hookimpl


class Needs(msgspec.Struct, frozen=True):
    url: str


@hookimpl
def jobrunner_settings():
    return Needs
"""


def test_plugin_that_is_left_out_is_told_and_so_is_a_variable_that_nobody_reads(desk, tmp_path):
    """Its queues are missing in the API and on the dashboard, and nobody would learn why."""
    info = tmp_path / "dist_needy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dist-needy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jobrunner]\nneedy = jr_test_needy\n")
    (tmp_path / "jr_test_needy.py").write_text(NEEDY)

    _, everything = desk.run("serve", PYTHONPATH=str(tmp_path))
    _, one = desk.run("serve", "--plugin", PARCELS, JOBRUNNER_PARCELS_PLUGIN_MODDE="fast")

    assert "warning: the plugin needy is left out: JOBRUNNER_NEEDY_URL: it must be set" in everything
    assert "warning: JOBRUNNER_PARCELS_PLUGIN_MODDE is no setting of the plugin parcels-plugin" in one
    assert "fast" not in one


def test_tokens_are_made_listed_and_revoked(desk):
    """A token is shown once; the list tells what it is for, and no secret."""
    token = desk.token(
        "ops", "--role", "operator", "--tenant", "acme", "--queue", "parcel.deliver", "--days", "7"
    )
    assert re.fullmatch(r"jrt_[a-z2-7]{10}_[A-Za-z0-9_-]{43}", token)
    status, out = desk.run("token", "list", "--json")
    (listed,) = json.loads(out)
    assert (status, listed["name"], listed["role"], listed["tenants"], listed["queues"]) == (
        0,
        "ops",
        "operator",
        ["acme"],
        ["parcel.deliver"],
    )
    assert token.split("_", 2)[2] not in out
    assert desk.run("token", "revoke", listed["id"]) == (0, f"revoked {listed['id']}\n")
    assert desk.run("token", "revoke", listed["id"])[0] == 1
    assert desk.run("token", "list")[0] == 0
    for wrong in (
        ("new", ""),
        ("new", "x", "--tenant", "a b"),
        ("new", "x", "--role", "root"),
        ("new", "a\nb"),
    ):
        assert desk.run("token", *wrong)[0] == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_source_documents_curl_works_as_written(desk):
    """Only the address and the token differ from what people copied from the source system's document."""
    token = desk.token("ops", "--role", "operator")
    process, address = desk.serve(plugin=CONTENT)
    script = f"""
curl -X POST {address}/api/queue/test/content/generate-monthly \\
  -H "Authorization: Bearer {token}" \\
  -H "x-tenant-id: demo-tenant" \\
  -H "Content-Type: application/json" \\
  -d '{{
    "brandId": "test-brand",
    "month": 12,
    "year": 2024,
    "contentCount": 10,
    "platforms": ["instagram", "facebook"]
  }}'
"""
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    job = json.loads(ran.stdout)
    assert (job["queue"], job["created"]) == ("content.generate.monthly", True)
    shown = httpx.get(
        f"{address}/api/queue/content.generate.monthly/jobs/{job['id']}",
        headers={"authorization": f"Bearer {token}"},
    ).json()
    assert (shown["tenant"], shown["payload"]["contentCount"]) == ("demo-tenant", 10)
    process.terminate()
    assert process.wait() == 0


def test_dev_prints_a_link_that_is_good_once_and_stays_on_this_machine(desk):
    """Trying it takes no set-up and leaves no door open."""
    process, address = desk.serve("--dev")
    token = process.wait_for_line("^token: ").removeprefix("token: ")
    link = process.wait_for_line("^open: ").split()[-1]
    assert link.startswith(f"{address}/login/")
    assert token not in link
    first = httpx.get(link)
    assert (first.status_code, "HttpOnly" in first.headers["set-cookie"]) == (303, True)
    assert httpx.get(link).status_code == 404
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{address}/api/queue/stats", headers=headers).status_code == 200
    assert json.loads(desk.run("token", "list", "--json")[1]) == []
    status, out = desk.run("serve", "--dev", "--host", "0.0.0.0", "--plugin", PARCELS)
    assert (status, "this machine only" in out) == (2, True)
    process.terminate()
    assert process.wait() == 0, process.output()
    assert "http.stopped" in process.output()


def test_worker_in_the_same_process_runs_jobs_and_stops_in_order(desk):
    """A small installation is one process."""
    token = desk.token("ops", "--role", "operator")
    process, address = desk.serve("--worker")
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}) as client:
        process.wait_for_line('"event":"worker.started"')
        answer = client.post("/api/queue/note.send/jobs", json={"payload": {"to": "me"}})
        assert answer.status_code == 202
        process.wait_for_line('"event":"job.completed"')
        assert client.get(answer.headers["location"]).json()["result"] == "me"
        assert client.get("/readyz").status_code == 200
        process.signal(signal.SIGINT)
        assert process.wait() == 0
    lines = [json.loads(line)["event"] for line in process.output().splitlines() if line.startswith("{")]
    assert lines.index("worker.stopping") < lines.index("worker.stopped") < lines.index("http.stopped")


def test_request_under_way_is_answered_before_the_end(desk):
    """A deploy must not lose the job that a producer is just handing over."""
    token = desk.token("ops", "--role", "operator")
    process, address = desk.serve()
    port = int(address.rpartition(":")[2])
    body = b'{"payload": {"to": "me"}, "id": "late"}'
    head = (
        "POST /api/queue/note.send/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head + body[:10])
        # Another request is answered, so this one, which came before it, has been taken in.
        assert httpx.get(f"{address}/livez").status_code == 200
        process.terminate()
        until_refused(port)
        client.sendall(body[10:])
        answer = b""
        while part := client.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 202")
    assert b'"id":"late"' in answer
    assert process.wait() == 0, process.output()


def until_refused(port):
    """Wait until nobody listens at a port any more."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError(f"port {port} still listens")


def test_second_one_at_a_port_says_who_is_there(desk):
    """Two servers at one port in silence would share the requests between two versions."""
    desk.token("ops")
    _, address = desk.serve()
    port = address.rpartition(":")[2]
    status, out = desk.run("serve", "--plugin", PARCELS, "--port", port)
    assert (status, f"127.0.0.1:{port}" in out) == (1, True)
    assert "Traceback" not in out


def test_store_that_is_not_there_is_one_line_and_status_3(start_process):
    """As every other command says it."""
    env = {"REDIS_URL": "redis://127.0.0.1:1", "JOBRUNNER_HTTP_PORT": "0"}
    process = start_process([sys.executable, "-m", "jobrunner", "serve", "--plugin", PARCELS], env=env)
    assert process.wait() == 3
    assert len(process.output().splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JOBRUNNER_HTTP_PORT", "99999"),
        ("JOBRUNNER_HTTP_MAX_BODY", "1"),
        ("JOBRUNNER_HTTP_PUBLIC_URL", "javascript:alert(1)"),
        ("JOBRUNNER_HTTP_CORS_ORIGINS", "*"),
        ("JOBRUNNER_HTTP_RATE", "0"),
    ],
)
def test_wrong_setting_is_named_by_its_variable(desk, variable, value, start_process):
    """One line, exit 2, and the variable's name in it."""
    process = start_process(desk.command("serve", "--plugin", PARCELS), env=desk.env | {variable: value})
    assert process.wait() == 2
    assert variable in process.output()
