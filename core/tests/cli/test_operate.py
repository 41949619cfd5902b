"""Looking at queues and jobs, and moving jobs by hand."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import termios
import time

import pytest


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

    done = desk.process("run", "--burst", "--fail-on-failed", "--log-level", "error")

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


def test_paused_tenant_is_held_and_the_reason_is_told_everywhere(desk):
    """One tenant's trouble must not stop the others, and nobody should have to guess why a job stands still."""
    assert desk.run("pause", "parcel.deliver", "--tenant", "t1").out.startswith(
        "t1 in parcel.deliver is paused"
    )
    held, other = desk.enqueue(), desk.enqueue(tenantId="t2")
    desk.burst()

    (listed,) = desk.run("jobs", "list", "parcel.deliver", "--state", "parked", "--json").json
    assert (listed["id"], listed["scoreAt"]) == (held, None)
    assert listed["reason"].startswith("tenant t1 is paused")
    assert "tenant t1 is paused" in desk.run("jobs", "explain", "parcel.deliver", held).out
    assert "tenant t1 is paused" in desk.run("jobs", "show", "parcel.deliver", held).out
    assert "is paused" in desk.run("jobs", "list", "parcel.deliver", "--state", "parked").out
    assert desk.run("jobs", "show", "parcel.deliver", other, "--json").json["state"] == "completed"
    assert (desk.stats()["parked"], desk.stats()["held"]) == (1, 1)
    assert desk.run("jobs", "retry", "parcel.deliver", held).status == 1, "it is the tenant that is let go"

    assert desk.run("resume", "parcel.deliver", "--tenant", "t1").out == "t1 in parcel.deliver goes on\n"
    desk.burst()
    assert desk.run("jobs", "show", "parcel.deliver", held, "--json").json["state"] == "completed"


@pytest.mark.parametrize("gone", ["held", "parked"])
def test_doctor_finds_a_held_job_that_stands_in_one_list_only(desk, store_server, gone):
    """Held jobs stand in two lists, and one without the other would never run."""
    desk.run("pause", "parcel.deliver", "--tenant", "t1")
    held = desk.enqueue()
    assert "every job is in its place" in desk.run("doctor").out
    with contextlib.closing(store_server.client()) as client:
        key = f"jr:{{parcel.deliver}}:{gone}"
        (entry,) = client.zrange(key, 0, -1)
        client.zrem(key, entry)
    found = desk.run("doctor")
    assert found.status == 1
    assert "held for a tenant in one list" in " ".join(found.out.split())
    assert held[:20] in found.out


def test_tenant_that_cannot_be_one_is_refused(desk):
    """It would become part of a field's name."""
    assert "tenant" in desk.run("pause", "parcel.deliver", "--tenant", "a b").error


def test_clear_asks_first_and_takes_one_state_or_all(desk):
    """A clear cannot be taken back, so it says how much it would delete."""
    desk.enqueue()
    desk.burst()
    desk.enqueue(number=2)

    asked = desk.process("clear", "parcel.deliver", text="n\n")
    assert asked.status == 1
    assert "Delete 2 jobs of parcel.deliver?" in asked.err
    one = desk.run("clear", "parcel.deliver", "--status", "completed", "--yes", "--json")
    assert one.json == {"cleared": 1}
    assert desk.run("clear", "parcel.deliver", "--yes").out.strip() == "1 job of parcel.deliver deleted"
    assert desk.stats()["total"] == 0
    assert desk.run("clear", "parcel.deliver", "--status", "active").status == 2


def test_running_worker_is_listed_and_a_running_job_is_cancelled(desk, start_process):
    """The handler is told within seconds, and the reason is kept."""
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
    assert any(re.search(rf"have a record and are in no list.*: 1 \({job_id}\)", text) for text in texts), (
        texts
    )
    assert any("without a record: 1 (ghost)" in text for text in texts), texts


def test_doctor_names_the_eviction_policy_and_run_refuses(desk, store_server):
    """The policy that some guides advise throws whole queues away."""
    store_server.client().config_set("maxmemory-policy", "allkeys-lru")
    try:
        done = desk.run("doctor", "--quick")
        refused = desk.process("run", "--burst")
        allowed = desk.process("run", "--burst", "--log-level", "error", JOBRUNNER_ALLOW_EVICTION="1")
    finally:
        store_server.client().config_set("maxmemory-policy", "noeviction")

    assert "maxmemory-policy: it is allkeys-lru" in done.out
    assert refused.status == 3
    assert "allkeys-lru" in refused.error
    assert "noeviction" in refused.error
    assert allowed.status == 0


def test_health_is_degraded_where_a_worker_is_missing_even_for_a_delayed_job(desk):
    """The word is the API's too, and a script that pages somebody goes by the exit status."""
    desk.run("enqueue", "parcel.deliver", json.dumps({"tenantId": "t1", "number": 1}), "--delay", "900")
    degraded = desk.run("health", "--json")
    desk.burst()
    desk.run("clear", "parcel.deliver", "--yes")
    healthy = desk.run("health")

    assert (degraded.status, degraded.json["status"]) == (1, "degraded")
    assert "1 job is delayed" in degraded.json["problems"][0]
    assert (healthy.status, healthy.out.split(":")[0]) == (0, "healthy")


def test_list_without_a_job_says_which_others_there_are_and_how_to_see_them(desk):
    """Whoever enqueued with a delay asks for waiting ones first, and would take them for lost."""
    assert desk.run("jobs", "list", "parcel.deliver").err == "parcel.deliver has no waiting job\n"
    delayed = json.dumps({"tenantId": "t1", "number": 1})
    desk.run("enqueue", "parcel.deliver", delayed, "--delay", "900")
    desk.run("enqueue", "parcel.deliver", delayed, "--delay", "900")
    desk.enqueue(number=2)
    waiting = desk.run("jobs", "list", "parcel.deliver", "--skip", "1")
    desk.burst()

    told = desk.run("jobs", "list", "parcel.deliver")
    assert (told.status, told.out) == (0, "")
    assert told.err == (
        "parcel.deliver has no waiting job, but 2 delayed and 1 completed: --state delayed, --state completed\n"
    )
    assert len(desk.run("jobs", "list", "parcel.deliver", "--state", "delayed").out.splitlines()) == 3
    assert waiting.err == "parcel.deliver has no further waiting job\n"
    assert desk.run("jobs", "list", "parcel.deliver", "--json").json == []


def test_pages_go_on_by_cursor_while_jobs_come_and_go(desk):
    """A page by number would leave out a job for each one that ran meanwhile."""
    ids = [desk.enqueue(number=number) for number in range(5)]
    first = desk.run("jobs", "list", "parcel.deliver", "--limit", "2", "--json")
    assert desk.run("jobs", "remove", "parcel.deliver", *ids[:2]).status == 0

    after = first.json[-1]["cursor"]
    second = desk.run("jobs", "list", "parcel.deliver", "--limit", "2", "--after", after, "--json")
    last = desk.run(
        "jobs", "list", "parcel.deliver", "--limit", "2", "--after", second.json[-1]["cursor"], "--json"
    )

    pages = [[job["id"] for job in page.json] for page in (first, second, last)]
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert f"--after {after}" in first.err
    assert last.err == ""
    wrong = desk.run("jobs", "list", "parcel.deliver", "--after", "nonsense")
    assert (wrong.status, "is no cursor" in wrong.error) == (2, True)


def test_explain_tells_the_place_in_line_and_who_serves(desk):
    """The first question of support: when is it my customer's turn?"""
    desk.enqueue(number=1)
    job_id = desk.enqueue(number=2)

    told = desk.run("jobs", "explain", "parcel.deliver", job_id).out

    assert "it is number 2 in line of 2 jobs" in told
    assert "no live worker serves the queue" in told


def test_payload_that_nobody_here_knows_is_hidden_until_it_is_asked_for(desk):
    """Without the plugin nobody can tell which fields are secret; with it they stay masked, asked or not."""
    job_id = desk.enqueue(token="sesame-open-9")
    desk.process("run", "--burst", "--log-level", "error")

    hidden = desk.run("jobs", "show", "parcel.deliver", job_id, JOBRUNNER_PLUGINS="")
    asked = desk.run("jobs", "show", "parcel.deliver", job_id, "--reveal", JOBRUNNER_PLUGINS="")
    masked = desk.run("jobs", "show", "parcel.deliver", job_id, "--reveal")

    assert "sesame" not in hidden.out
    assert "install the queue's plugin" in hidden.out
    assert "sesame-open-9" in asked.out
    assert "sesame" not in masked.out


def test_lease_of_a_worker_that_is_gone_is_found(desk, start_process, store_server):
    """Where no other worker serves the queue, such a job would stay active with nobody to say why."""
    job_id = desk.enqueue(how="long")
    words = [sys.executable, "-m", "jobrunner", "run", "--log-format", "json", "--log-level", "debug"]
    worker = start_process(words, env=desk.environ, cwd=desk.folder)
    worker.wait_for_line("job.started")
    while not (alive := desk.run("workers", "--json").json):  # it reports beside its work
        time.sleep(0.05)
    runs = desk.run("jobs", "explain", "parcel.deliver", job_id).out

    worker.kill()
    worker.wait()
    store_server.client().delete("jr:{!fleet}:workers")  # as after a minute

    found = desk.run("doctor", "--json").json
    texts = [one["text"] for one in found if one["level"] == "warning"]
    assert [(one["alive"], one["running"], one["failed"]) for one in alive] == [
        (True, alive[0]["running"], 0)
    ]
    assert f"it runs on {alive[0]['id']}, attempt 1" in runs
    assert any("leased by workers that are gone" in text and job_id in text for text in texts), texts
    assert "has not reported lately" in desk.run("jobs", "explain", "parcel.deliver", job_id).out


@pytest.mark.long
def test_table_fits_a_narrow_terminal_without_breaking_a_word(desk):
    """At 80 columns a table of eleven columns leaves out what is nought; an id can still be copied whole."""
    job_id = desk.enqueue(how="fail")
    desk.burst()

    stats = at_terminal(desk, 60, "stats")
    listed = at_terminal(desk, 80, "jobs", "list", "parcel.deliver", "--state", "failed")

    assert [line.split() for line in stats] == [["queue", "failed"], ["parcel.deliver", "1"]]
    assert listed[1].split()[0] == job_id
    assert "priority" in listed[0]
    assert "ValueError: broken" in listed[1]


def at_terminal(desk, columns, *words):
    """The lines that a command shows at a terminal of so many columns, without their colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))
    command = [sys.executable, "-m", "jobrunner", *words]
    environ = desk.environ | {"TERM": "xterm"}
    environ.pop("COLUMNS", None)
    with subprocess.Popen(command, env=environ, cwd=desk.folder, stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert process.returncode == 0
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()]


def test_doctor_prints_the_users_of_a_store_without_reaching_it(desk):
    """Whoever needs them may not be let in yet, and a fresh password is better than one to be changed."""
    there = {"REDIS_URL": "redis+cluster://127.0.0.1:1,127.0.0.1:2", "JOBRUNNER_PREFIX": "mine"}
    done, again = desk.run("doctor", "--acl", **there), desk.run("doctor", "--acl", "--json", **there)
    lines = done.out.splitlines()
    assert [line.split()[2] for line in lines] == ["mine-worker", "mine-producer", "mine-operator"]
    assert all(line.startswith("ACL SETUSER mine-") and "+cluster|slots" in line for line in lines)
    assert "~mine:{*}:* " in lines[0]
    assert "~mine:{*}:jobs " in lines[1]
    assert "~mine:{*}:* " not in lines[1]
    assert (done.status, again.status) == (0, 0)
    assert [user["role"] for user in again.json] == ["worker", "producer", "operator"]
    assert again.json[0]["command"] != lines[0], "a password is used once"


def test_doctor_puts_back_what_was_planted_and_says_what_it_did(desk, store_server):
    """Finding it is half of the work at three in the morning."""
    client = store_server.client()
    job_id = desk.enqueue()
    client.zrem("jr:{parcel.deliver}:wait", job_id)
    client.zadd("jr:{parcel.deliver}:wait", {"ghost": 1})

    done = desk.run("doctor", "--fix", "--json")
    again = desk.run("doctor", "--fix")
    refused = desk.run("doctor", "--fix", "--quick")

    fixed = [finding["text"] for finding in done.json if finding["level"] == "fixed"]
    assert any(f"in line again: 1 ({job_id})" in text for text in fixed), fixed
    assert any("is gone: 1 (ghost)" in text for text in fixed), fixed
    assert any("every job is in its place" in finding["text"] for finding in done.json)
    assert not [finding for finding in done.json if finding["level"] == "error"]
    assert "fixed" not in again.out
    assert "leave out --quick" in refused.error
    desk.burst()
    assert desk.run("jobs", "show", "parcel.deliver", job_id, "--json").json["state"] == "completed"


def test_started_line_tells_what_is_not_at_its_default(desk):
    """The first question about a worker that does odd things is how it is set; no answer to it may show a secret."""
    key = "k1:" + "A" * 43 + "="
    (desk.folder / "parcel.py").write_text(
        (desk.folder / "parcel.py")
        .read_text()
        .replace("from typing import", "import jobrunner\nfrom typing import")
        + """

class ParcelSettings(msgspec.Struct, frozen=True, kw_only=True):
    password: Annotated[str, Secret] = ""
    carrier: str = "http://here"
    zones: tuple[str, ...] = ()
    quiet: bool = False


@hookimpl
def jobrunner_settings():
    return ParcelSettings
"""
    )
    done = desk.process(
        *("run", "--burst", "--log-format", "json", "--grace", "7"),
        JOBRUNNER_ENCRYPTION_KEYS=key,
        QUEUE_CONCURRENCY="9",
        JOBRUNNER_PARCEL_PASSWORD="hush-hush",
        JOBRUNNER_PARCEL_CARRIER="https://me:hush-hush@carrier.example/x",
        JOBRUNNER_PARCEL_ZONES="north,south",
    )

    (started,) = [json.loads(line) for line in done.out.splitlines() if '"worker.started"' in line]
    assert started["grace_s"] == 7
    assert started["settings"] == {
        "JOBRUNNER_PLUGINS": '["./parcel.py"]',
        "JOBRUNNER_LOG_FORMAT": "json",
        "QUEUE_CONCURRENCY": "9",
        "JOBRUNNER_ENCRYPTION_KEYS": "***",
        "JOBRUNNER_PARCEL_PASSWORD": "***",
        "JOBRUNNER_PARCEL_CARRIER": "https://***@carrier.example/x",
        "JOBRUNNER_PARCEL_ZONES": '["north","south"]',
    }
    assert "hush-hush" not in done.out
    assert "AAAA" not in done.out


def test_workers_here_is_a_probe(desk, start_process):
    """Exit 1 until a worker of this host has reported, and again when it is gone."""
    assert desk.run("workers", "--here").status == 1
    worker = start_process([sys.executable, "-m", "jobrunner", "run"], env=desk.environ, cwd=desk.folder)
    worker.wait_for_line("worker.started")
    for _ in range(100):
        if desk.run("workers", "--here").status == 0:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the worker never reported")

    worker.terminate()
    assert worker.wait() == 0
    assert desk.run("workers", "--here").status == 1
