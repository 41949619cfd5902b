"""Telling what happened: observers cannot hurt, and a log line is always one line."""

import contextlib
import io
import json
import os
import time
from typing import Any

import pytest

from jobrunner.events import Event, JobCompleted, JobFailed, ObserverFailed, ObserverSlow, WorkerStoreLost
from jobrunner.lines.plain import PlainLines
from jobrunner.logs import Logs
from jobrunner.observers import Observers
from jobrunner.settings import core_settings


def completed(**more):
    fields = {
        "timestamp": 1_800_000_000.25,
        "queue": "q",
        "plugin": "p",
        "job_id": "j",
        "tenant": "t",
        "attempt": 1,
    }
    return JobCompleted(**fields | {"worker_id": "w", "duration_ms": 5} | more)


def failed(error):
    fields = {
        "timestamp": 1.0,
        "queue": "q",
        "job_id": "j",
        "duration_ms": 1,
        "error_type": "E",
        "fingerprint": "f",
    }
    return JobFailed(**fields, error=error)


def test_observer_hears_what_its_annotation_names():
    """And the others cost nothing."""
    heard = []

    def only_failed(event: JobFailed | WorkerStoreLost) -> None:
        heard.append(event)

    observers = Observers([("one", only_failed)])
    assert not observers.wants(JobCompleted)
    observers.tell(completed())
    observers.tell(failed("x"))
    assert [type(event) for event in heard] == [JobFailed]


def test_observer_that_raises_is_told_of_and_the_next_one_still_hears():
    """One plugin's bug must not blind the others."""
    heard = []

    def broken(event: JobCompleted) -> None:
        raise RuntimeError("oops")

    observers = Observers([("broken", broken), ("good", heard.append)])
    observers.tell(completed())
    assert [type(event) for event in heard] == [ObserverFailed, JobCompleted]
    assert (heard[0].plugin, heard[0].about, heard[0].error) == ("broken", "job.completed", "oops")


@pytest.mark.parametrize("annotation", [Any, object, Event, "NotImported", None])
def test_observer_whose_annotation_names_no_event_hears_all(annotation):
    """Nobody means to hear nothing."""
    heard = []

    def observer(event):
        heard.append(event)

    if annotation is not None:
        observer.__annotations__["event"] = annotation
    Observers([("one", observer)]).tell(completed())
    assert len(heard) == 1


def test_slow_observer_is_told_of():
    """It holds the event loop, and with it every job."""
    heard = []

    def slow(event: JobCompleted) -> None:
        time.sleep(0.06)

    Observers([("slow", slow), ("good", heard.append)]).tell(completed())
    assert ObserverSlow in [type(event) for event in heard]


def logs(level="info", log_format="json"):
    stream = io.StringIO()
    settings = core_settings({"JOBRUNNER_LOG_LEVEL": level, "JOBRUNNER_LOG_FORMAT": log_format})
    return Logs(settings, stream), stream


def test_event_is_one_line_of_json_with_its_keys_in_order():
    """Pipelines and people both rely on it."""
    made, stream = logs()
    made.observer()(completed())
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert list(json.loads(line))[:9] == [
        *("event", "level", "timestamp", "queue", "plugin", "job_id", "tenant", "attempt", "worker_id"),
    ]
    assert json.loads(line)["timestamp"] == "2027-01-15T08:00:00.250Z"


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "\x1b[31mred", "\x00", "\ud800", '"} {"event":"forged"', "\u2028"]
)
def test_hostile_text_stays_inside_its_line(text):
    """A log line that an error's text can forge is worth nothing."""
    line = PlainLines().of_event(failed(text), 1.0)
    assert len(line.splitlines()) == 1 or "\u2028" in text
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["event"] == "job.failed"


def test_level_decides_what_is_written_and_what_is_made():
    """At `error` no event of a completed job is even built."""
    made, stream = logs("error")
    observers = Observers([("log", made.observer())])
    assert not observers.wants(JobCompleted)
    observers.tell(failed("x"))
    assert "job.failed" in stream.getvalue()


def test_handlers_line_carries_the_jobs_keys_is_kept_and_is_redacted():
    """A secret that is logged by mistake stays out of the log and out of the store."""
    made, stream = logs()
    kept = []
    log = made.job_logger({"logger": "handler", "job_id": "j"}, secrets=["sesame-open"], keep=kept.append)
    log.info("sent", token="sesame-open", data={"a": object()})
    try:
        raise ValueError("with sesame-open")
    except ValueError:
        log.exception("broke\nhere")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["sent", "broke\nhere"]
    assert all(line["job_id"] == "j" for line in lines)
    assert "sesame" not in stream.getvalue() + b"".join(kept).decode()
    assert "Traceback" in lines[1]["exception"]
    assert len(kept) == 2


def test_full_disk_never_reaches_a_job():
    """A logger that raised has acknowledged jobs that were lost, elsewhere."""
    stream = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w", buffering=1)  # the device that is always full
    made = Logs(core_settings({"JOBRUNNER_LOG_FORMAT": "json"}), stream)
    made.observer()(completed())
    made.job_logger({}, secrets=[], keep=lambda line: None).info("x")
    assert made._stream.dropped == 2
    with contextlib.suppress(OSError):
        stream.close()


def test_console_format_is_for_people():
    """Colours only at a terminal."""
    made, stream = logs(log_format="console")
    made.observer()(completed())
    assert "job.completed" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
