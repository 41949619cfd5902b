"""The reference pages say what the code says, and every line that a worker writes fits the schema."""

import io
import json

import jsonschema
import msgspec
import pytest
from rig.snippets import ROOT

from jobrunner import Client, Discard, Job, Queue, Retry, RetryPolicy, Snooze, SyncJob, hookimpl
from jobrunner.discovery import Found
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins, from_object
from jobrunner.settings import core_settings
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store
from jobrunner.worker.worker import Worker, WorkerOptions

from .pages import program


def test_reference_pages_are_up_to_date():
    """A hook, event, setting or error that is not in the reference does not exist for its readers."""
    for name, text in program("build_reference").pages().items():
        assert (ROOT / "docs/reference" / name).read_text("utf-8") == text, (
            "run python docs/build_reference.py"
        )


class Work(msgspec.Struct, rename="camel"):
    tenant_id: str
    how: str


async def work(job: Job[Work]) -> str:
    job.log.info("at work", number=1, text="two\nlines")
    match job.payload.how:
        case "fail":
            raise ValueError("no\nway")
        case "discard":
            raise Discard("not wanted")
        case "retry" if job.attempt == 1:
            raise Retry(after=0.01)
        case "snooze" if job.run == 1:
            raise Snooze(0.01)
    return "done"


def plain(job: SyncJob[Work]) -> None:
    job.log.warning("in a thread", exc_info=False)


class Observed:
    @hookimpl
    def jobrunner_queues(self):
        once = RetryPolicy(max_attempts=2, base=0.01, cap=0.01)
        return [Queue("line.work", Work, work, retry=once), Queue("line.plain", Work, plain)]

    @hookimpl
    def jobrunner_event(self, event):
        raise RuntimeError("an observer that fails must be told of, too")


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_every_line_of_a_worker_fits_the_schema(real_server, level):
    """A pipeline that was built against the schema must not meet a line that it cannot read."""
    environ = {"JOBRUNNER_LOG_LEVEL": level, "JOBRUNNER_LOG_FORMAT": "json"}
    plugins = Plugins([from_object(Observed(), Found(name="observed", target="here"), environ)])
    settings, address, stream = core_settings(environ), parse_url(real_server.url), io.StringIO()
    client = Client(open_store(address), plugins)
    for how in ("well", "fail", "discard", "retry", "snooze"):
        await client.enqueue("line.work", {"tenantId": "t1", "how": how})
    await client.enqueue("line.plain", {"tenantId": "t1", "how": "well"})

    worker = Worker(
        plugins, address, settings, environ, WorkerOptions(burst=True), Logs(settings, stream), listen=False
    )
    assert await worker.run() == 0
    await client.close()

    schema = jsonschema.Draft202012Validator(
        json.loads((ROOT / "docs/reference/events.schema.json").read_text("utf-8"))
    )
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        schema.validate(line)
    told = {line["event"] for line in lines}
    assert told >= {
        *("worker.started", "job.completed", "job.failed", "job.retried", "job.snoozed", "worker.stopping"),
        *("worker.stopped", "observer.failed", "at work", "in a thread"),
    }
    assert "Work(" not in stream.getvalue(), "payloads are never logged"
