"""ECS: every event of the catalogue is a document that Elasticsearch can index beside every other one."""

import json

import pytest

from jobrunner.events import EVENTS, Event, JobCompleted, JobFailed, WorkerStarted, event_name
from jobrunner.lines.ecs import EcsLines

from .conftest import HOSTILE, TRACE, filled

# Elastic Common Schema 8.11, field reference: the fields that lines use, with their types.
ECS_FIELDS = {
    "@timestamp": str,
    "log.level": str,
    "log.logger": str,
    "message": str,
    "ecs.version": str,
    "service.name": str,
    "service.node.name": str,
    "event.dataset": str,
    "event.action": str,
    "event.outcome": str,
    "event.reason": str,
    "event.duration": int,
    "error.type": str,
    "error.message": str,
    "error.stack_trace": str,
    "process.exit_code": int,
    "trace.id": str,
    "labels": dict,
}


def document(event, sample=1.0):
    line = EcsLines("jobrunner").of_event(event, sample)
    assert len(line.splitlines()) == 1
    pairs = json.loads(line, object_pairs_hook=list)
    assert len({key for key, _ in pairs}) == len(pairs), "no key stands twice"
    return json.loads(line)


@pytest.mark.parametrize("kind", EVENTS, ids=event_name)
def test_event_is_a_document_of_known_fields(kind):
    """A field that the schema does not have, or of another type, is refused by an index that was made from it."""
    event = filled(kind)
    made = document(event)

    assert list(made)[:3] == ["@timestamp", "log.level", "message"]
    assert (made["@timestamp"], made["log.level"]) == ("2027-01-15T08:00:00.250Z", kind.level)
    assert made["event.action"] == event_name(kind)
    for name, value in made.items():
        if name.startswith("jobrunner."):
            assert not isinstance(value, dict), "a map's keys would become fields"
        else:
            assert isinstance(value, ECS_FIELDS[name]), name
    told = [value for name, value in vars_of(event).items() if name != "timestamp"]
    assert len(made) >= len(told) + 5, "every key of the event is there"


def vars_of(event):
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_no_field_is_both_a_value_and_an_object():
    """Elasticsearch reads `a.b` as `b` in `a`: were `a` a value in another line, one of the two would be refused."""
    names = {name for kind in EVENTS for name in document(filled(kind), 0.5)}
    inner = {name.rpartition(".")[0] for name in names if "." in name}
    parents = {".".join(name.split(".")[:count]) for name in inner for count in range(1, name.count(".") + 2)}
    assert not names & parents


def test_field_has_one_type_in_all_events():
    """An index maps a field once."""
    types = {}
    for kind in EVENTS:
        for name, value in document(filled(kind)).items():
            types.setdefault(name, set()).add(type(value))
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}


def test_duration_error_trace_and_outcome_are_where_kibana_looks():
    """Dashboards are built on these fields."""
    made = document(filled(JobFailed), 1.0)
    assert made["event.duration"] == 7_000_000
    assert made["error.type"].startswith("error_type")
    assert made["error.message"].startswith('error "quoted"\n')
    assert made["error.stack_trace"].startswith("traceback")
    assert (made["trace.id"], made["event.outcome"]) == (TRACE, "failure")
    assert document(filled(JobCompleted))["event.outcome"] == "success"


def test_maps_are_lists_of_texts():
    """A queue named `a` and one named `a.b` would be a value and an object otherwise."""
    assert document(filled(WorkerStarted))["jobrunner.queues"] == ["publish.dispatch=2", "a=3"]


def test_what_is_empty_is_left_out_and_a_sample_says_its_share():
    """Fewer bytes; and counts can be scaled."""
    event = JobCompleted(timestamp=1.0, queue="q", job_id="j", duration_ms=0)
    made = document(event, 0.25)
    assert made["event.duration"] == 0
    assert made["jobrunner.sample"] == 0.25
    assert not {"jobrunner.tenant", "trace.id", "service.node.name"} & set(made)
    assert "jobrunner.sample" not in document(event)


def test_event_of_a_plugins_own_type_is_written_too():
    """The HTTP server tells events that are not in the core's catalogue."""

    class Opened(Event, frozen=True, kw_only=True, tag="door.opened"):
        level = "warning"
        door: str

    made = document(Opened(timestamp=1.0, door="north"))
    assert (made["event.action"], made["log.level"], made["jobrunner.door"]) == (
        "door.opened",
        "warning",
        "north",
    )


def test_handlers_line_has_the_jobs_keys_and_its_own_as_labels(handler_log):
    """Labels are for keys that nobody has declared; they hold no objects, and their names no dots."""
    log, stream = handler_log("ecs")
    log.warning("sent it", receipt="r1", **{"mail.size": 12}, to={"a": [1]}, message="mine")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("broke")

    sent, broke = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (sent["message"], sent["log.level"], sent["log.logger"]) == ("sent it", "warning", "handler")
    assert (sent["jobrunner.queue"], sent["jobrunner.job_id"], sent["trace.id"]) == ("mail.send", "j1", TRACE)
    assert sent["labels"] == {"receipt": "r1", "mail_size": 12, "to": '{"a":[1]}', "message": "mine"}
    assert "event.action" not in sent
    assert "ValueError: broken" in broke["error.stack_trace"]
    assert {name for name in sent | broke if not name.startswith("jobrunner.")} <= set(ECS_FIELDS)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_a_handler_logs_breaks_the_line_or_the_job(handler_log, value):
    """A line that raises would fail the job, and one that is two lines is two lies."""
    log, stream = handler_log("ecs")
    log.info(str(type(value)), value=value)
    if isinstance(value, str):
        log.info(value)
    for line in stream.getvalue().rstrip("\n").split("\n"):
        assert json.loads(line)["log.level"] == "info"
    assert "forged" not in {
        json.loads(line).get("event") for line in stream.getvalue().rstrip("\n").split("\n")
    }
