"""OTLP: every line is a LogsData message, read here by OpenTelemetry's own schema of it."""

import pytest
from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData, SeverityNumber

from jobrunner.events import EVENTS, JobCompleted, JobFailed, WorkerStarted, event_name
from jobrunner.lines.otlp import OtlpLines
from jobrunner.logs import Logs

from .conftest import HOSTILE, TRACE, filled

NUMBERS = {
    "debug": SeverityNumber.SEVERITY_NUMBER_DEBUG,
    "info": SeverityNumber.SEVERITY_NUMBER_INFO,
    "warning": SeverityNumber.SEVERITY_NUMBER_WARN,
    "error": SeverityNumber.SEVERITY_NUMBER_ERROR,
}


def read(line):
    """The resource's attributes and the one record of a line; a field that the schema does not know is an error."""
    assert "\n" not in line.rstrip("\n")
    data = json_format.Parse(line, LogsData())
    (resource_logs,) = data.resource_logs
    (scope_logs,) = resource_logs.scope_logs
    (record,) = scope_logs.log_records
    assert scope_logs.scope.name == "jobrunner"
    return attributes(resource_logs.resource), record


def attributes(message):
    names = [pair.key for pair in message.attributes]
    assert len(set(names)) == len(names), "the specification wants each key once"
    return {pair.key: plain(pair.value) for pair in message.attributes}


def plain(value):
    kind = value.WhichOneof("value")
    match kind:
        case "kvlist_value":
            return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
        case "array_value":
            return [plain(one) for one in value.array_value.values]
        case None:
            return None
        case _:
            return getattr(value, kind)


def record_of(event, sample=1.0):
    return read(OtlpLines("jobrunner", "1.2").of_event(event, sample))[1]


@pytest.mark.parametrize("kind", EVENTS, ids=event_name)
def test_event_is_one_record_with_all_its_keys(kind):
    """A Collector drops a line that its schema cannot read, and says so only in its own log."""
    event = filled(kind)
    resource, record = read(OtlpLines("shop", "1.2").of_event(event, 1.0))

    assert resource == {"service.name": "shop", "service.version": "1.2"}
    assert record.time_unix_nano == record.observed_time_unix_nano == 1_800_000_000_250_000_000
    assert (record.severity_number, record.severity_text) == (NUMBERS[kind.level], kind.level)
    assert record.event_name == record.body.string_value == event_name(kind)
    told = {
        name: getattr(event, name)
        for name in event.__struct_fields__
        if name not in ("timestamp", "trace_id")
    }
    assert sorted(map(repr, attributes(record).values())) == sorted(map(repr, told.values()))


def test_names_are_those_of_the_semantic_conventions():
    """So that a backend finds the queue, the job and the error without being told."""
    record = record_of(filled(JobFailed))
    found = attributes(record)
    assert found["messaging.destination.name"].startswith("queue")
    assert found["messaging.message.id"].startswith("job_id")
    assert found["exception.type"].startswith("error_type")
    assert found["exception.message"].startswith('error "quoted"\n')
    assert found["exception.stacktrace"].startswith("traceback")
    assert found["jobrunner.duration_ms"] == 7
    assert attributes(record_of(filled(WorkerStarted)))["jobrunner.queues"] == {"publish.dispatch": 2, "a": 3}


def test_trace_is_the_records_own():
    """Backends join logs and traces by this field, not by an attribute."""
    raw = OtlpLines("s", "1").of_event(filled(JobCompleted), 1.0)
    assert (
        f'"traceId":"{TRACE}"' in raw
    )  # the JSON has it as hexadecimal digits, where Protobuf's own has base64
    assert "traceId" not in OtlpLines("s", "1").of_event(
        JobCompleted(timestamp=1.0, queue="q", job_id="j", duration_ms=1), 1.0
    )


def test_what_is_empty_is_left_out_and_a_sample_says_its_share():
    """Fewer bytes; and counts can be scaled."""
    event = JobCompleted(timestamp=1.0, queue="q", job_id="j", duration_ms=0)
    assert set(attributes(record_of(event))) == {
        *("messaging.destination.name", "messaging.message.id"),
        *("jobrunner.attempt", "jobrunner.duration_ms", "jobrunner.wait_ms"),
    }
    assert attributes(record_of(event, 0.25))["jobrunner.sample"] == 0.25


def test_service_has_the_name_that_opentelemetry_is_told(logs):
    """One variable names the service in traces and in logs."""
    made, stream = logs("otel", OTEL_SERVICE_NAME="shop")
    made.observer()(filled(JobFailed))
    assert read(stream.getvalue())[0]["service.name"] == "shop"
    assert isinstance(made, Logs)


def test_handlers_line_keeps_the_names_of_its_own_keys(handler_log):
    """They are the handler's vocabulary, and values keep their types."""
    log, stream = handler_log("otel")
    log.warning("sent it", receipt="r1", size=12, ratio=0.5, ok=True, to={"a": [1, None]})
    try:
        raise ValueError("broken")
    except ValueError:
        log.critical("broke", exc_info=True)

    sent, broke = (read(line)[1] for line in stream.getvalue().splitlines())
    found = attributes(sent)
    assert (sent.body.string_value, sent.severity_text, sent.event_name) == ("sent it", "warning", "")
    assert (found["messaging.destination.name"], found["jobrunner.logger"]) == ("mail.send", "handler")
    own = {name: found[name] for name in ("receipt", "size", "ratio", "ok", "to")}
    assert own == {"receipt": "r1", "size": 12, "ratio": 0.5, "ok": True, "to": {"a": [1, None]}}
    assert broke.severity_number == SeverityNumber.SEVERITY_NUMBER_FATAL
    assert "ValueError: broken" in attributes(broke)["exception.stacktrace"]


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_a_handler_logs_breaks_the_line_or_the_job(handler_log, value):
    """A line that raises would fail the job, and one that cannot be read is lost in the Collector."""
    log, stream = handler_log("otel")
    log.info(str(type(value)), value=value)
    if isinstance(value, str):
        log.info(value)
    for line in stream.getvalue().rstrip("\n").split("\n"):
        assert read(line)[1].severity_text == "info"
