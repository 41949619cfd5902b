"""Looking at queues and jobs, and moving jobs by hand."""

import json
import re


def test_stats_queues_and_health_agree(desk):
    """Three views of the same numbers; JSON is in camelCase for programs, tables line up for people."""
    desk.enqueue()
    desk.enqueue(number=2)

    stats = desk.stats()
    assert (stats["waiting"], stats["total"], stats["priority"], stats["workers"]) == (2, 2, 4, 0)
    assert {"oldestWaitingMs", "completedTotal", "failedTotal", "parked"} <= set(stats)
    table = desk.run("queues").out.splitlines()
    assert len({line.index("4") for line in table[1:2]}) == 1
    assert table[0].split() == ["queue", "plugin", "priority", "concurrency", "workers", "jobs"]
    health = desk.run("health", "--json")
    assert health.status == 1
    assert health.json["status"] == "degraded"
    assert "no worker" in health.json["problems"][0]


def test_failed_job_is_shown_explained_and_retried(desk):
    """What went wrong is there with its traceback, without the secret that was in it."""
    job_id = desk.enqueue(how="fail", token="sesame-open-9")
    desk.burst()

    shown = desk.run("jobs", "show", "parcel.deliver", job_id)
    assert shown.status == 0
    assert "ValueError: broken with ***" in shown.out
    assert "sesame" not in shown.out
    assert '"token":"***"' in shown.out
    assert "in deliver" in shown.out
    listed = desk.run("jobs", "list", "parcel.deliver", "--state", "failed", "--json").json
    assert listed[0]["lastError"] == "ValueError: broken with ***"
    assert "ValueError" in desk.run("jobs", "explain", "parcel.deliver", job_id).out
    logs = desk.run("jobs", "logs", "parcel.deliver", job_id)
    assert "delivering" in logs.out
    assert "sesame" not in logs.out

    assert desk.run("jobs", "retry", "parcel.deliver", job_id).status == 0
    assert desk.stats()["waiting"] == 1
    again = desk.run("jobs", "retry", "parcel.deliver", job_id)
    assert again.status == 1
    assert "is not failed" in again.out


def test_fail_on_failed_tells_by_the_exit_status(desk):
    """A burst in a pipeline should be able to break the build."""
    desk.enqueue(how="discard")

    done = desk.run("run", "--burst", "--fail-on-failed", "--log-level", "error")

    assert done.status == 1
    assert "1 job failed" in done.err


def test_jobs_are_cancelled_promoted_and_removed(desk):
    """Each verdict is said for each job."""
    waiting = desk.enqueue()
    delayed = desk.run(
        "enqueue", "parcel.deliver", json.dumps({"tenantId": "t1", "number": 2}), "--delay", "900"
    ).out.strip()

    assert desk.run("jobs", "promote", "parcel.deliver", delayed).status == 0
    cancelled = desk.run("jobs", "cancel", "parcel.deliver", waiting, "missing-1", "--reason", "moved away")
    assert cancelled.status == 1
    assert f"{waiting} cancelled" in cancelled.out
    assert "missing-1 is not there" in cancelled.out
    assert "moved away" in desk.run("jobs", "show", "parcel.deliver", waiting).out
    assert desk.run("jobs", "remove", "parcel.deliver", waiting, delayed).status == 0
    assert desk.stats()["total"] == 0
    gone = desk.run("jobs", "show", "parcel.deliver", waiting)
    assert gone.status == 1
    assert "there is no job" in gone.error


def test_paused_queue_starts_nothing_until_it_is_resumed(desk):
    """Pausing is for people who must stop one thing at night."""
    job_id = desk.enqueue()
    assert desk.run("pause", "parcel.deliver").status == 0
    assert "paused" in desk.run("stats").out
    assert "paused" in desk.run("jobs", "explain", "parcel.deliver", job_id).out

    assert desk.run("resume", "parcel.deliver").status == 0
    desk.burst()

    assert desk.stats()["completed"] == 1


def test_clear_asks_first_and_takes_one_state_or_all(desk):
    """A clear cannot be taken back, so it says how much it would delete."""
    desk.enqueue()
    desk.burst()
    desk.enqueue(number=2)

    asked = desk.run("clear", "parcel.deliver", text="n\n")
    assert asked.status == 1
    assert "Delete 2 jobs of parcel.deliver?" in asked.err
    one = desk.run("clear", "parcel.deliver", "--status", "completed", "--yes", "--json")
    assert one.json == {"cleared": 1}
    assert desk.run("clear", "parcel.deliver", "--yes").out.strip() == "1 job of parcel.deliver deleted"
    assert desk.stats()["total"] == 0
    assert desk.run("clear", "parcel.deliver", "--status", "active").status == 2


def test_running_worker_is_listed_and_a_running_job_is_cancelled(desk, start_process):
    """The handler is told within seconds, and the reason is kept."""
    import sys

    job_id = desk.enqueue(how="long")
    worker = start_process(
        [sys.executable, "-m", "jobrunner", "run", "--log-format", "json", "--log-level", "debug"],
        env=desk.environ,
        cwd=desk.folder,
    )
    worker.wait_for_line("job.started")

    assert "asked to stop" in desk.run("jobs", "cancel", "parcel.deliver", job_id, "--reason", "enough").out
    worker.wait_for_line("job.cancelled")
    (found,) = desk.run("workers", "--json").json
    assert found["queues"] == {"parcel.deliver": 3}
    assert "alive" in desk.run("workers").out
    assert desk.run("health").status == 0
    worker.terminate()
    assert worker.wait() == 0
    assert (
        desk.run("jobs", "show", "parcel.deliver", job_id, "--json").json["history"][-1]["message"]
        == "enough"
    )
    assert desk.run("workers", "--json").json == []


def test_doctor_finds_what_was_planted(desk, store_server):
    """A record in no list would never run, and nobody would know."""
    client = store_server.client()
    job_id = desk.enqueue()
    client.zrem("jr:{parcel.deliver}:wait", job_id)
    client.zadd("jr:{parcel.deliver}:wait", {"ghost": 1})

    done = desk.run("doctor", "--json")

    assert done.status == 1
    texts = [finding["text"] for finding in done.json if finding["level"] == "error"]
    assert any(re.search(rf"1 jobs have a record and are in no list.*{job_id}", text) for text in texts), (
        texts
    )
    assert any("without a record (ghost)" in text for text in texts), texts


def test_doctor_names_the_eviction_policy_and_run_refuses(desk, store_server):
    """The policy that some guides advise throws whole queues away."""
    store_server.client().config_set("maxmemory-policy", "allkeys-lru")
    try:
        done = desk.run("doctor", "--quick")
        refused = desk.run("run", "--burst")
        allowed = desk.run("run", "--burst", "--log-level", "error", JOBRUNNER_ALLOW_EVICTION="1")
    finally:
        store_server.client().config_set("maxmemory-policy", "noeviction")

    assert "maxmemory-policy: it is allkeys-lru" in done.out
    assert refused.status == 3
    assert "allkeys-lru" in refused.error
    assert "noeviction" in refused.error
    assert allowed.status == 0
