"""Pages about running workers: their commands are typed, and a worker does what stands beside them."""

import json

import pytest
from rig.certificates import Authority
from rig.servers import ServerOptions
from rig.snippets import ROOT, blocks

pytestmark = pytest.mark.long


def started(worker):
    """What a worker says first."""
    return json.loads(worker.wait_for_line('"event":"worker.started"'))


@pytest.mark.runs("docs/how-to/run-workers.md", "run-workers")
def test_worker_runs_as_the_page_says(snippets, terminal, tmp_path, start_server):
    """Typed as it stands but for the name of the server, which is ours: TLS, user and password are there.

    The server is a Redis: the Valkey of the wheel speaks no TLS.
    """
    (command,) = snippets
    authority = Authority(tmp_path / "authority")
    server = start_server("redis", options=ServerOptions(tls=authority.issue("localhost", "127.0.0.1")))
    with server.client() as raw:
        raw.execute_command("ACL", "SETUSER", "user", "on", ">password", "~*", "&*", "+@all")
    assert command.text.count("redis.internal:6379") == 1
    terminal.environ["SSL_CERT_FILE"] = str(authority.certificate)

    worker = terminal.leave_running(command.text.replace("redis.internal:6379", f"localhost:{server.port}"))

    assert started(worker)["queues"] == {"publish.dispatch": 3}
    with server.client() as raw:
        assert "user" in {one["user"] for one in raw.client_list()}
    assert "worker.stopped" in terminal.end(worker)


@pytest.mark.runs("docs/how-to/logs.md", "fewer-lines")
def test_worker_writes_a_sample_as_the_page_says(snippets, terminal, redis_url):
    """`worker.started` says the share, as the page promises."""
    (command,) = snippets
    terminal.environ["REDIS_URL"] = redis_url

    worker = terminal.leave_running(command.text)

    assert started(worker)["log_sample"] == 0.1
    terminal.end(worker)


@pytest.mark.runs("docs/how-to/deploy.md", "while-you-write")
def test_worker_starts_anew_when_its_plugin_changes(snippets, terminal):
    """With the plugin of the front page, since the command names its file."""
    (command,) = snippets
    (plugin,) = (
        block.text for block in blocks((ROOT / "README.md").read_text("utf-8")) if "def greet" in block.text
    )
    terminal.write("greeting.py", plugin)

    worker = terminal.leave_running(command.text)
    worker.wait_for_line("worker.started")
    terminal.write("greeting.py", plugin.replace("greeting.send", "greeting.changed"))

    worker.wait_for_line("worker.started.*greeting.changed")
    terminal.end(worker)
