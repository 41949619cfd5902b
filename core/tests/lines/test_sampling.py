"""A sample of the jobs: fewer lines, the same jobs everywhere, and never one less about what went wrong."""

import json

import pytest

from jobrunner.errors import SettingsError
from jobrunner.events import EVENTS, JobCompleted, JobEnqueued, JobStarted, event_name
from jobrunner.lines.sampling import ROUTINE, Sampling
from jobrunner.names import JobIds
from jobrunner.settings import core_settings

from .conftest import filled


def test_share_of_jobs_is_as_asked_for_ids_of_any_kind():
    """Ids made here have the time in front, and producers count: neither may tilt the sample."""
    ids = JobIds()
    for made in ([ids.new() for _ in range(20_000)], [f"order-{number}" for number in range(20_000)]):
        held = sum(Sampling(0.1).holds(job_id) for job_id in made)
        assert 1_700 < held < 2_300  # five standard deviations and more


def test_larger_sample_holds_the_smaller_one():
    """Who raises the share while looking for something keeps the jobs that were there."""
    ids = [f"j{number}" for number in range(5_000)]
    small, large = ({job_id for job_id in ids if Sampling(share).holds(job_id)} for share in (0.1, 0.3))
    assert small < large


def test_sample_of_none_and_of_all():
    """The ends of the scale mean what they say."""
    ids = [f"j{number}" for number in range(2_000)]
    assert not any(Sampling(0).holds(job_id) for job_id in ids)
    assert all(Sampling(1).holds(job_id) for job_id in ids)


def test_only_what_every_job_says_is_sampled():
    """Failures, retries, lost leases and all warnings are always written."""
    sampled = [event_name(kind) for kind in EVENTS if Sampling(0).of_event(filled(kind)) == 0]
    assert sampled == ["job.enqueued", "job.started", "job.completed"]
    assert all(kind.level in ("debug", "info") for kind in ROUTINE)


@pytest.mark.parametrize("log_format", ["json", "console", "ecs", "otel"])
def test_jobs_lines_are_written_together_with_their_share_or_not_at_all(logs, log_format):
    """Half a story of a job explains nothing; and a count of lines is scaled by what they say."""
    made, stream = logs(log_format, level="debug", JOBRUNNER_LOG_SAMPLE="0.5")
    tell = made.observer()
    ids = [f"job-{number}" for number in range(200)]
    for job_id in ids:
        tell(JobEnqueued(timestamp=1.0, queue="q", job_id=job_id))
        tell(JobStarted(timestamp=1.0, queue="q", job_id=job_id, run=1))
        tell(JobCompleted(timestamp=1.0, queue="q", job_id=job_id, duration_ms=1))
        log = made.job_logger({"job_id": job_id}, secrets=[], keep=lambda line: None)
        log.info("at work")

    lines = stream.getvalue().splitlines()
    counts = [sum(_names(line, job_id) for line in lines) for job_id in ids]
    assert set(counts) == {0, 4}
    assert 60 < counts.count(4) < 140
    assert all("sample" in line and "0.5" in line for line in lines)


def _names(line, job_id):
    return f'"{job_id}"' in line or any(word.endswith(f"={job_id}") for word in line.split())


def test_handlers_warnings_are_written_and_all_its_lines_are_kept(logs):
    """What is not in the stream is still to be had by `jobrunner jobs logs`."""
    made, stream = logs("json", JOBRUNNER_LOG_SAMPLE="0")
    kept = []
    log = made.job_logger({"job_id": "j"}, secrets=[], keep=kept.append)
    log.info("routine")
    log.warning("odd")
    log.error("bad")
    log.critical("worse")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["odd", "bad", "worse"]
    assert not any("sample" in line for line in lines), "they stand for themselves alone"
    assert [json.loads(line)["event"] for line in kept] == ["routine", "odd", "bad", "worse"]


@pytest.mark.parametrize("wrong", ["-0.1", "1.5", "ten", "10%"])
def test_share_that_is_none_is_refused_by_its_variable(wrong):
    """A wrong share would lose lines in silence."""
    with pytest.raises(SettingsError, match="JOBRUNNER_LOG_SAMPLE"):
        core_settings({"JOBRUNNER_LOG_SAMPLE": wrong})
