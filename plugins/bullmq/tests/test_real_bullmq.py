"""Jobs of the real BullMQ, each of its versions, go over; what it keeps it can still run."""

import time

import pytest

pytestmark = pytest.mark.long

LEFT = {"meta", "id", "events", "marker", "pc", "stalled-check", "repeat", "wait"}
"""What BullMQ keeps of a queue without jobs; 4 has a marker in `wait` and 5 and 6 have `marker`."""


def left(redis):
    return {key.decode().split(":", 2)[2] for key in redis.keys("bull:mail:*")} - LEFT


def users(jobs, desk):
    """The user ids of jobs of ours, in their order."""
    return [desk.show(job["id"])["payload"]["userId"] for job in jobs]


def test_jobs_go_over_in_the_order_in_which_bullmq_would_run_them(desk, bull, redis):
    """Whoever has waited longest goes on being first; nobody notices the move."""
    bull.add(
        ("welcome", {"userId": 30}, {"priority": 2}),
        ("welcome", {"userId": 10}),
        ("welcome", {"userId": 20}, {"priority": 1}),
        ("welcome", {"userId": 11}),
        ("welcome", {"userId": 31}, {"priority": 2}),
        ("welcome", {"userId": 40}, {"priority": 2_000_000}),
        ("welcome", {"userId": 9}, {"lifo": True}),
    )

    done = desk.bring()

    assert done.status == 0, done.err
    assert users(desk.jobs(), desk) == [9, 10, 11, 20, 30, 31, 40]
    assert [desk.show(job["id"])["priority"] for job in desk.jobs()] == [100, 100, 100, 99, 98, 98, 0]
    assert left(redis) == set()
    assert sum(bull.ask("counts").values()) == 0


def test_delayed_jobs_keep_the_moment_when_they_are_due(desk, bull, redis):
    """A reminder for Friday comes on Friday, and one that is overdue at once."""
    before = int(time.time() * 1000)
    bull.add(
        ("welcome", {"userId": 1}, {"delay": 3_600_000}),
        ("welcome", {"userId": 2}, {"delay": 7_200_000, "priority": 7}),
        ("welcome", {"userId": 3}, {"delay": 1}),
    )
    after = int(time.time() * 1000)

    done = desk.bring()

    assert done.status == 0, done.err
    assert done.states()["delayed"]["moved"] == 3
    shown = [desk.show(job["id"]) for job in desk.jobs("delayed")]
    by_user = {job["payload"]["userId"]: job for job in shown}
    assert before + 3_600_000 <= by_user[1]["dueAt"] <= after + 3_600_000
    assert before + 7_200_000 <= by_user[2]["dueAt"] <= after + 7_200_000
    assert users(desk.jobs(), desk) == [3]
    assert by_user[2]["priority"] == 93
    assert left(redis) == set()


def test_what_bullmq_knew_of_a_job_is_in_its_headers(desk, bull):
    """People who look for a job have its old id in their own records."""
    (job_id,) = bull.add(("welcome", {"userId": 1}, {"priority": 3}))

    desk.bring()

    (job,) = desk.jobs()
    headers = desk.show(job["id"])["headers"]
    assert (headers["bullmq-queue"], headers["bullmq-id"], headers["bullmq-name"]) == (
        "mail",
        job_id,
        "welcome",
    )
    assert headers["bullmq-priority"] == "3"
    assert headers["bullmq-added"].startswith("20")
    assert job["id"].startswith(f"mail-{job_id}-")


def test_paused_queue_goes_over(desk, bull, redis):
    """To pause it first is what the guide advises; 4 and 5 then keep the jobs in another list."""
    bull.add(("welcome", {"userId": 1}))
    bull.ask("pause")
    bull.add(("welcome", {"userId": 2}), ("welcome", {"userId": 3}, {"priority": 1}))

    done = desk.bring()

    assert done.status == 0, done.err
    assert users(desk.jobs(), desk) == [1, 2, 3]
    assert left(redis) == set()


def test_flows_schedulers_and_active_jobs_stay_and_are_named(desk, bull):
    """Jobrunner has nothing that they could become; BullMQ goes on with them as if nothing had been."""
    bull.add(("welcome", {"userId": 1}))
    active = bull.ask("next")
    bull.add(("welcome", {"userId": 2}))
    bull.ask("scheduler", id="nightly", every=3_600_000, name="welcome", data={"userId": 3})
    child = {"name": "welcome", "queueName": "mail", "data": {"userId": 5}}
    bull.ask(
        "flow", flow={"name": "welcome", "queueName": "mail", "data": {"userId": 4}, "children": [child]}
    )

    done = desk.bring()

    assert done.status == 0, done.err
    assert users(desk.jobs(), desk) == [2]
    assert done.json["active"] == 1
    assert done.json["parents"] == 1
    assert done.json["schedulers"] == 1
    assert done.json["left"] == {"scheduler": 1, "flow": 1}
    assert active in bull.ids("active")
    assert len(bull.ids("waiting", "delayed", "waiting-children")) == 3
    table = desk.run("import", "bullmq", "mail", "--to", "mail.welcome").out
    for line in ("active", "waiting for children", "job schedulers", "made by job schedulers", "of flows"):
        assert line in table


def test_jobs_of_another_name_stay(desk, bull):
    """A queue of BullMQ has jobs of several kinds, one of ours has one."""
    bull.add(("welcome", {"userId": 1}), ("goodbye", {"reason": "moved"}), ("welcome", {"userId": 2}))

    done = desk.bring("--name", "welcome")

    assert done.status == 0, done.err
    assert users(desk.jobs(), desk) == [1, 2]
    assert done.json["left"] == {"name": 1}
    assert [job["name"] for job in bull.ask("jobs", states=["waiting"])] == ["goodbye"]


def test_failed_jobs_go_over_where_that_is_asked_for(desk, bull, redis):
    """They run again: nobody wants that by accident."""
    bull.add(("welcome", {"userId": 1, "fail": True}), ("welcome", {"userId": 2}))
    bull.ask("work")
    bull.ask("drained", number=2)
    bull.ask("stop")
    redis.hset("bull:mail:1", "data", '{"userId": 1}')

    nothing = desk.bring()
    done = desk.bring("--state", "failed")

    assert (nothing.status, sum(row["moved"] for row in nothing.json["states"])) == (0, 0)
    assert (done.status, done.states()["failed"]["moved"]) == (0, 1)
    (job,) = desk.jobs()
    assert desk.show(job["id"])["headers"]["bullmq-attempts"] == "1"
    assert bull.ids("failed") == set()
    assert bull.ids("completed") == {"2"}


def test_job_runs_on_one_side_only_while_bullmqs_workers_run(desk, bull, redis):
    """Two systems that both send the mail are what everybody fears of a move."""
    names = [f"w-{number}" for number in range(400)]
    bull.add(*(("welcome", {"userId": number}, {"jobId": name}) for number, name in enumerate(names)))
    bull.ask("work", concurrency=3, pace_ms=20)
    bull.ask("drained", number=5)

    done = desk.bring()

    here = {job["id"] for job in desk.jobs()}
    bull.ask("drained", number=400 - len(here))
    there = set(bull.ask("stop"))
    assert done.status == 0, done.err
    assert here
    assert there
    assert here & there == set()
    assert here | there == set(names)


def test_what_a_full_queue_refuses_is_back_in_its_order(desk, bull):
    """The rest waits in BullMQ, not in between, and its workers can go on with it."""
    bull.add(*(("welcome", {"userId": number}) for number in range(10)))

    done = desk.bring(target="mail")

    assert done.status == 1
    assert "full with 7 of 7 jobs" in done.err
    assert "7 jobs went over" in done.err
    assert len(desk.jobs(queue="mail")) == 7
    bull.ask("work")
    assert bull.ask("drained", number=3) == ["8", "9", "10"]


def test_what_a_full_queue_refuses_of_a_paused_queue_is_there_when_it_goes_on(desk, bull):
    """4 and 5 put a list of paused jobs over what stands in the other list then."""
    bull.add(*(("welcome", {"userId": number}) for number in range(4)))
    bull.ask("pause")
    bull.add(*(("welcome", {"userId": number}) for number in range(4, 8)), ("goodbye", {}))

    done = desk.bring("--name", "welcome", target="mail")
    bull.ask("resume")

    assert done.status == 1
    bull.ask("work")
    assert bull.ask("drained", number=2) == ["8", "9"]


def test_deduplicated_job_keeps_its_key_until_it_ends(desk, usual, redis):
    """A producer that has moved enqueues with `unique`, and must not double what came over."""
    usual.add(("welcome", {"userId": 1}, {"deduplication": {"id": "one"}}))

    done = desk.bring()
    again = desk.run("enqueue", "mail.welcome", '{"userId": 1}', "--unique", "one", "--json")

    (job,) = desk.jobs()
    assert done.status == 0, done.err
    assert again.json == {"id": job["id"], "queue": "mail.welcome", "created": False}
    assert left(redis) == set()
    assert usual.add(("welcome", {"userId": 1}, {"deduplication": {"id": "one"}})) == ["2"]


def test_job_whose_key_another_has_is_given_back(desk, usual):
    """BullMQ took it in, so it is not thrown away: it comes over once the other one has ended."""
    desk.run("enqueue", "mail.welcome", '{"userId": 1}', "--unique", "one", "--id", "first")
    usual.add(("welcome", {"userId": 2}, {"deduplication": {"id": "one"}}), ("welcome", {"userId": 3}))

    done = desk.bring()

    assert done.status == 1
    (problem,) = done.json["problems"]
    assert (problem["id"], "key" in problem["problem"], "first" in problem["problem"]) == ("1", True, True)
    assert usual.ids("waiting") == {"1"}
    assert sorted(users(desk.jobs(), desk)) == [1, 3]


def test_id_that_a_producer_chose_is_kept_and_doubles_nothing(desk, usual, redis):
    """A producer that has moved, and enqueues what the old one had, is told that it is there."""
    usual.add(
        ("welcome", {"userId": 1, "email": "a@b.c"}, {"jobId": "welcome-1"}),
        ("welcome", {"userId": 2}, {"jobId": "welcome-2"}),
        ("welcome", {"userId": 3}, {"jobId": "welcome-3"}),
    )
    first = desk.run("enqueue", "mail.welcome", '{"userId": 2}', "--id", "welcome-2", "--json")
    other = desk.run("enqueue", "mail.welcome", '{"userId": 99}', "--id", "welcome-3", "--json")

    done = desk.bring()

    assert first.json["created"]
    assert other.json["created"]
    assert done.status == 1
    assert done.states()["waiting"] == {
        "state": "waiting",
        "found": 3,
        "moved": 1,
        "known": 1,
        "bad": 1,
        "left": 0,
        "gone": 0,
    }
    (problem,) = done.json["problems"]
    assert (problem["id"], "another payload" in problem["problem"]) == ("welcome-3", True)
    assert usual.ids("waiting") == {"welcome-3"}
    same = '{"userId": 1, "email": "a@b.c"}'
    again = desk.run("enqueue", "mail.welcome", same, "--id", "welcome-1", "--json")
    assert not again.json["created"]


def test_counted_ids_that_come_again_are_other_jobs(desk, usual, redis):
    """BullMQ counts from 1 once a queue was obliterated; the same number is not the same job."""
    usual.add(("welcome", {"userId": 1}))
    desk.bring()
    redis.delete("bull:mail:id")
    usual.add(("welcome", {"userId": 1}))

    done = desk.bring()

    assert done.states()["waiting"]["moved"] == 1
    assert len(desk.jobs()) == 2


def test_limit_moves_the_first_in_line(desk, usual):
    """A first try with a few, and the rest later."""
    usual.add(*(("welcome", {"userId": number}) for number in range(5)))

    done = desk.bring("--limit", "2")

    assert done.status == 0, done.err
    assert users(desk.jobs(), desk) == [0, 1]
    assert usual.ids("waiting") == {"3", "4", "5"}
    desk.bring()
    assert users(desk.jobs(), desk) == [0, 1, 2, 3, 4]


def test_other_prefix_and_another_server(desk, start_bull, start_server):
    """BullMQ often has a Redis of its own; its password need not stand on the command line."""
    server = start_server()
    bull = start_bull(server, prefix="{acme}")
    bull.add(("welcome", {"userId": 1}))

    by_option = desk.bring("--from", server.url, "--from-prefix", "{acme}")
    bull.add(("welcome", {"userId": 2}))
    by_variable = desk.bring("--from-prefix", "{acme}", BULLMQ_URL=server.url)

    assert (by_option.status, by_variable.status) == (0, 0)
    assert users(desk.jobs(), desk) == [1, 2]
    assert bull.ids("waiting") == set()
