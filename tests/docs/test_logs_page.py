"""The page about shipping logs: what it promises of formats and samples, and its recipes, on a real worker's lines."""

import io
import json
import os
import re
import sys
import tomllib

import jsonschema
import pytest
import yaml
from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from rig.snippets import ROOT

from jobrunner import Client, events
from jobrunner.logs import Logs
from jobrunner.settings import core_settings

PAGE = "docs/how-to/logs.md"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PLUGIN = """
import msgspec
from jobrunner import Job, Queue, RetryPolicy, SyncJob, hookimpl


class Parcel(msgspec.Struct):
    tenant_id: str
    how: str = ""


async def send(job: Job[Parcel]) -> None:
    job.log.info("parcel.packed", grams=12, **{"to.city": "Ulm"})
    if job.payload.how == "fail":
        raise ValueError("no way")


def weigh(job: SyncJob[Parcel]) -> None:
    job.log.info("parcel.weighed", grams=12)


@hookimpl
def jobrunner_queues() -> list[Queue]:
    once = RetryPolicy(max_attempts=1)
    return [
        Queue("parcel.send", Parcel, send, retry=once),
        Queue("parcel.weigh", Parcel, weigh, executor="process", concurrency=1),
    ]
"""


@pytest.fixture
def lines(tmp_path, shared_server, start_process):
    """Return a function: the lines of a worker that sends, fails and weighs a parcel, each job in the same trace."""

    async def of(log_format, jobs=1, **environ):
        (tmp_path / "parcel.py").write_text(PLUGIN)
        server = shared_server("valkey")
        with server.client() as raw:
            raw.flushall()
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "JOBRUNNER_"))
        }
        env = clean | {"REDIS_URL": server.url, "JOBRUNNER_PLUGINS": str(tmp_path / "parcel.py")} | environ
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        async with Client.from_env(env) as client:
            for number in range(jobs):
                for queue, how in (("parcel.send", ""), ("parcel.send", "fail"), ("parcel.weigh", "")):
                    payload = {"tenant_id": "t1", "how": how}
                    job_id = f"{queue.partition('.')[2]}{how}-{number}"
                    await client.enqueue(queue, payload, headers=headers, job_id=job_id)
        command = [sys.executable, "-m", "jobrunner", "run", "--burst", "--log-format", log_format]
        worker = start_process(command, env=env, cwd=tmp_path)
        assert worker.wait(timeout_s=90) == 0, worker.output()
        return [line for line in worker.output().splitlines() if line]

    return of


EVENTS = {
    "worker.started",
    "job.completed",
    "job.failed",
    "parcel.packed",
    "parcel.weighed",
    "worker.stopped",
}


@pytest.mark.long
async def test_json_lines_fit_the_schema_and_name_their_trace(lines):
    """Those of a process handler too, which another process writes."""
    schema = jsonschema.Draft202012Validator(
        json.loads((ROOT / "docs/reference/events.schema.json").read_text("utf-8"))
    )
    found = [json.loads(line) for line in await lines("json")]
    for line in found:
        schema.validate(line)
    assert {line["event"] for line in found} >= EVENTS
    assert {line["trace_id"] for line in found if "job_id" in line} == {TRACE}


@pytest.mark.long
async def test_ecs_lines_have_their_job_and_trace(lines):
    """The whole path, from a child process to the stream."""
    found = [json.loads(line) for line in await lines("ecs", OTEL_SERVICE_NAME="shop")]
    assert {line["message"] for line in found} >= EVENTS
    assert {line["service.name"] for line in found} == {"shop"}
    assert {line["trace.id"] for line in found if "jobrunner.job_id" in line} == {TRACE}
    packed = next(line for line in found if line["message"] == "parcel.packed")
    assert packed["labels"] == {"grams": 12, "to_city": "Ulm"}


@pytest.mark.long
async def test_otel_lines_are_read_by_opentelemetrys_schema(lines):
    """Each line is a message of its own, as the file exporter writes them."""
    names = set()
    for line in await lines("otel"):
        data = json_format.Parse(line, LogsData())
        (record,) = data.resource_logs[0].scope_logs[0].log_records
        names.add(record.body.string_value)
        assert (f'"traceId":"{TRACE}"' in line) == ('"messaging.message.id"' in line)
    assert names >= EVENTS


@pytest.mark.long
async def test_sample_keeps_jobs_whole_and_everything_about_failures(lines):
    """What the page says under 'Fewer lines'."""
    found = [json.loads(line) for line in await lines("json", jobs=8, JOBRUNNER_LOG_SAMPLE="0.5")]
    started = next(line for line in found if line["event"] == "worker.started")
    assert started["log_sample"] == 0.5
    assert started["settings"]["JOBRUNNER_LOG_SAMPLE"] == "0.5"
    assert sum(line["event"] == "job.failed" for line in found) == 8
    assert not any("sample" in line for line in found if line["event"] == "job.failed")
    routine = [
        line for line in found if line["event"] in ("job.completed", "parcel.packed", "parcel.weighed")
    ]
    assert {line["sample"] for line in routine} == {0.5}
    by_job = {}
    for line in routine:
        by_job.setdefault(line["job_id"], set()).add(line["event"])
    whole = {job_id: told for job_id, told in by_job.items() if not job_id.startswith("sendfail")}
    assert {frozenset(told) for told in whole.values()} == {
        frozenset({"job.completed", "parcel.packed"}),
        frozenset({"job.completed", "parcel.weighed"}),
    }
    assert 0 < len(whole) < 16


@pytest.mark.runs(PAGE, "vector")
def test_vectors_program_makes_events_of_lines(snippets):
    """Run by Vector's own language; a line that is no JSON must come through."""
    pyvrl = pytest.importorskip("pyvrl", reason="Vector's language is there as a wheel for Python 3.11 only")
    source = tomllib.loads(snippets[0].text)["transforms"]["jobs"]["source"]
    program = pyvrl.Transform(
        f"{source}\n."
    )  # what it ends with is what it returns; in Vector that is the event
    stream = io.StringIO()
    tell = Logs(
        core_settings({"JOBRUNNER_LOG_FORMAT": "json", "JOBRUNNER_LOG_SAMPLE": "0.5"}), stream
    ).observer()
    about = {"timestamp": 1_800_000_000.25, "queue": "parcel.send", "duration_ms": 1}
    for number in range(20):
        tell(events.JobCompleted(**about, job_id=f"j{number}"))
        tell(events.JobFailed(**about, job_id=f"f{number}", error_type="E", error="no\nway", fingerprint="1"))

    made = [
        program.remap({"message": line, "kubernetes": {"pod_name": "p1"}})
        for line in stream.getvalue().splitlines()
    ]
    failed = [event for event in made if event["event"] == "job.failed"]
    assert [(event["queue"], event["stands_for"], event["error"]) for event in failed] == [
        ("parcel.send", 1.0, "no\nway")
    ] * 20
    assert {event["stands_for"] for event in made if event["message"] == "job.completed"} == {2.0}
    assert {event["kubernetes"]["pod_name"] for event in made} == {"p1"}
    assert program.remap({"message": "Fatal Python error"}) == {"message": "Fatal Python error"}


@pytest.mark.reads(PAGE, "vector")
@pytest.mark.reads(PAGE, "fluent-bit")
@pytest.mark.reads(PAGE, "loki")
def test_recipes_name_keys_that_lines_have(snippets):
    """A label of a key that is not there is an empty stream that nobody looks for."""
    known = set(
        re.findall(
            r"^\| `(\w+)` \|", (ROOT / "docs/reference/log-formats.md").read_text("utf-8"), re.MULTILINE
        )
    )
    known |= {"event", "level", "timestamp"}
    logql, recipe, parser = (block.text for block in snippets)
    vector = tomllib.loads(recipe)
    labels = {label for label in vector["sinks"]["loki"]["labels"].values() if "{{" in label}
    assert {label.strip("{ }") for label in labels} <= known
    assert vector["sinks"]["loki"]["inputs"] == list(vector["transforms"])
    fluent = yaml.safe_load(parser)
    loki = fluent["pipeline"]["outputs"][0]
    named = re.findall(r"\$(\w+)", f"{loki['label_keys']} {loki['structured_metadata']}")
    assert set(named) <= known
    assert fluent["parsers"][0]["time_key"] in known
    assert set(re.findall(r"\.(\w+)}}", logql) + re.findall(r"\b(event|error_type)=", logql)) <= known


@pytest.mark.reads(PAGE, "opentelemetry-collector")
def test_collectors_pipelines_are_whole(snippets):
    """A receiver that no pipeline has, or a connector that is not on both sides, is refused by the Collector."""
    made = yaml.safe_load(snippets[0].text)
    pipelines = made["service"]["pipelines"].values()
    sources = {name for one in pipelines for name in one["receivers"]}
    targets = {name for one in pipelines for name in one["exporters"]}
    assert sources == {*made["receivers"], *made["connectors"]}
    assert targets == {*made["exporters"], *made["connectors"]}


@pytest.mark.reads(PAGE, "elastic")
def test_filebeat_takes_lines_apart_at_the_root(snippets):
    """Elsewhere than at the root, ECS fields are none."""
    (source,) = yaml.safe_load(snippets[0].text)["filebeat.inputs"]
    parser = next(one["ndjson"] for one in source["parsers"] if "ndjson" in one)
    assert (parser["target"], parser["expand_keys"], parser["overwrite_keys"]) == ("", True, True)
