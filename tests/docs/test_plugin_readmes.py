"""The READMEs of the plugins are followed: installed by pip, run, and given the job that the page enqueues.

The worker's services are the stand-ins; all else is as the page has it.
"""

import json
import re
import sys
from datetime import UTC, datetime

import httpx
import pytest
from rig.snippets import execute

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("reader")]

WHATSAPP = {"JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID": "1", "JOBRUNNER_WHATSAPP_ACCESS_TOKEN": "any"}
STARTED = '"event":"worker.started"'


@pytest.fixture
def reader(shop_terminal, start_process, monkeypatch):
    """A terminal whose variables name the stand-ins; Python here runs in its folder, with its store."""
    sandbox = start_process([sys.executable, "-m", "jobrunner", "sandbox"])
    sandbox.wait_for_line("its ledger is")
    sandbox.wait_for_line("^JOBRUNNER_WHATSAPP_GRAPH_URL=")
    shop_terminal.environ |= dict(re.findall(r"^(JOBRUNNER_\w+)=(.*)$", sandbox.output(), re.MULTILINE))
    monkeypatch.setenv("REDIS_URL", shop_terminal.environ["REDIS_URL"])
    monkeypatch.chdir(shop_terminal.folder)
    return shop_terminal


def follow(reader, commands, monkeypatch, *plugins):
    """Type what installs and runs; the worker, once it has started."""
    monkeypatch.setenv("JOBRUNNER_PLUGINS", ",".join(plugins))
    worker = reader.leave_running(commands)
    worker.wait_for_line(STARTED, timeout_s=120)
    return worker


def wait_for(worker, queue, job_id):
    """Wait until the worker has completed a job."""
    worker.wait_for_line(rf'"event":"job.completed".*"queue":"{queue}".*"job_id":"{job_id}"', timeout_s=60)


@pytest.mark.runs("plugins/content/README.md", "jobrunner-content")
@pytest.mark.runs("plugins/content/README.md", "enqueueing-with-an-editors-help")
@pytest.mark.runs("plugins/content/README.md", "the-posts")
async def test_month_of_posts_is_written_and_read(snippets, reader, monkeypatch, capsys):
    """Offline, in a SQLite file beside the worker."""
    commands, producer, look = snippets
    worker = follow(reader, commands.text, monkeypatch, "content")

    scope = await execute(producer)
    seen = await execute(look)

    assert scope["result"]["count"] == 30
    assert capsys.readouterr().out == f"{seen['post'].day} {seen['post'].text.whole}\n"
    assert seen["former"] == []
    reader.end(worker)


@pytest.mark.runs("plugins/image/README.md", "jobrunner-image")
@pytest.mark.runs("plugins/image/README.md", "payload", "python")
async def test_picture_is_drawn(snippets, reader, monkeypatch):
    """Offline, into a folder beside the worker."""
    commands, producer = snippets
    worker = follow(reader, commands.text, monkeypatch, "image")

    scope = await execute(producer)

    picture = reader.folder / "jobrunner-images" / scope["picture"]["path"]
    assert picture.stat().st_size == scope["picture"]["bytes"]
    reader.end(worker)


@pytest.mark.runs("plugins/publish/README.md", "jobrunner-publish")
@pytest.mark.runs("plugins/publish/README.md", "payload", "python")
async def test_post_is_published(snippets, reader, monkeypatch):
    """`token` and `when` are the reader's own."""
    commands, producer = snippets
    worker = follow(reader, commands.text, monkeypatch, "publish")

    await execute(producer, token="any", when=datetime.now(UTC))

    wait_for(worker, "publish.dispatch", "post-00000")
    reader.end(worker)


@pytest.mark.runs("plugins/analytics/README.md", "jobrunner-analytics")
@pytest.mark.runs("plugins/analytics/README.md", "payload", "python")
@pytest.mark.runs("plugins/analytics/README.md", "accounts")
async def test_figures_are_pulled(snippets, reader, monkeypatch):
    """The accounts are those of the page's file; it has none on X, and the job's result says so."""
    commands, producer, accounts = snippets
    reader.write("accounts.toml", accounts.text)
    worker = follow(reader, commands.text, monkeypatch, "analytics")

    job_id = (await execute(producer))["handle"].id

    wait_for(worker, "analytics.pull", job_id)
    job = json.loads(reader.type(f"jobrunner jobs show analytics.pull {job_id} --json"))
    assert (job["result"]["failed"], list(job["result"]["rows"])) == (["x"], ["facebook", "x"])
    reader.end(worker)


@pytest.mark.runs("plugins/approval/README.md", "jobrunner-approval")
@pytest.mark.runs("plugins/approval/README.md", "payload", "python")
@pytest.mark.runs("plugins/approval/README.md", "approvers")
@pytest.mark.runs("plugins/approval/README.md", "try-it-without-a-mail-server")
async def test_approvers_are_imported_and_told(snippets, reader, monkeypatch):
    """One by mail and WhatsApp, one by mail alone, for the file has no number of theirs."""
    commands, producer, people, with_stand_ins = snippets
    reader.write("people.csv", people.text)
    reader.environ |= WHATSAPP
    worker = follow(reader, commands.text, monkeypatch, "approval", "whatsapp")

    await execute(producer, when=datetime(2026, 12, 24, tzinfo=UTC))

    wait_for(worker, "approval.notify", "approve-post-00000")
    worker.wait_for_line('"event":"job.completed".*"queue":"whatsapp-messages"')
    job = json.loads(reader.type("jobrunner jobs show approval.notify approve-post-00000 --json"))
    assert [one["status"] for one in job["result"]["notices"]] == [
        "emailed",
        "enqueued",
        "emailed",
        "no_address",
    ]
    reader.end(worker)
    assert "worker.stopped" in reader.end(follow(reader, with_stand_ins.text, monkeypatch, "approval"))


@pytest.mark.runs("plugins/whatsapp/README.md", "jobrunner-whatsapp")
@pytest.mark.runs("plugins/whatsapp/README.md", "payload", "python")
@pytest.mark.runs("plugins/whatsapp/README.md", "free-text-or-a-template")
@pytest.mark.runs("plugins/whatsapp/README.md", "try-it-without-an-account")
async def test_message_is_sent_as_text_and_as_a_template(snippets, reader, monkeypatch):
    """The second one by the stand-ins that the page itself starts."""
    commands, producer, template, with_stand_ins = snippets
    worker = follow(reader, commands.text, monkeypatch, "whatsapp")

    await execute(producer)

    wait_for(worker, "whatsapp-messages", "spring-launch.4711")
    reader.end(worker)

    worker = follow(reader, template.text + with_stand_ins.text, monkeypatch, "whatsapp")
    settings = json.loads(worker.wait_for_line(STARTED))["settings"]
    payload = json.dumps({"to": "+491512345678", "message": "Hello"})
    reader.type(f"jobrunner enqueue whatsapp-messages '{payload}' --id hello-1")
    wait_for(worker, "whatsapp-messages", "hello-1")
    async with httpx.AsyncClient() as client:
        graph = httpx.URL(settings["JOBRUNNER_WHATSAPP_GRAPH_URL"])
        assert "team_note" in (await client.get(graph.join("/_sandbox/ledger"))).text
    reader.end(worker)
