"""A run that is killed at any point is finished by the next one, and no job is lost or doubled."""

import contextlib
import hashlib
import json
import signal
import sys
import time

import pytest
from rig.faults import BlackHole, DelayReply, script
from rig.servers import ServerOptions

from jobrunner.store.address import parse_url
from jobrunner.store.scripts import script as ours
from jobrunner_bullmq.scripts import script as theirs
from jobrunner_bullmq.source import Source, Standing

pytestmark = pytest.mark.long


def put(redis, *numbers):
    """Jobs as BullMQ has them, without a process of it: what is tried here is our own end."""
    for number in numbers:
        data = json.dumps({"userId": number})
        redis.hset(
            f"bull:mail:{number}", mapping={"name": "welcome", "data": data, "timestamp": "1732450000000"}
        )
        redis.lpush("bull:mail:wait", number)
    redis.hset("bull:mail:meta", "version", "bullmq:5.81.5")


@pytest.fixture
def cluster_of_one(start_server):
    """A cluster whose one node has all slots, and its address."""
    server = start_server(options=ServerOptions(cluster=True))
    client = server.client()
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    until = time.monotonic() + 20
    while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        assert time.monotonic() < until, "the cluster does not come up"
        time.sleep(0.02)  # nothing tells of it
    return server, server.url.replace("redis://", "redis+cluster://").removesuffix("/0")


def text_sha(text):
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


ENQUEUE = ours("enqueue").sha
POINTS = {
    "before it takes": ("bullmq", BlackHole(), text_sha(theirs("take"))),
    "when it has taken and does not know": ("bullmq", DelayReply(600), text_sha(theirs("take"))),
    "before it enqueues": ("jobrunner", BlackHole(), ENQUEUE),
    "when it has enqueued and does not know": ("jobrunner", DelayReply(600), ENQUEUE),
    "before it settles": ("bullmq", BlackHole(), text_sha(theirs("settle"))),
    "when it has settled and does not know": ("bullmq", DelayReply(600), text_sha(theirs("settle"))),
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("batch", [1, 2])
def test_killed_run_is_finished_by_the_next(point, batch, desk, redis, start_proxy, start_process):
    """People press Ctrl-C, and machines restart; a move of a million jobs takes a while."""
    where, fault, sha = POINTS[point]
    put(redis, *range(250))
    redis.script_load(ours("enqueue").text)
    proxies = {"bullmq": start_proxy(desk.server.url), "jobrunner": start_proxy(desk.server.url)}
    environ = {"REDIS_URL": proxies["jobrunner"].url, "BULLMQ_URL": proxies["bullmq"].url}
    rule = proxies[where].at(batch, fault, only=script(sha))
    command = [sys.executable, "-m", "jobrunner", "import", "bullmq", "mail", "--to", "mail.welcome"]

    killed = start_process(command, env=desk.environ | environ, cwd=desk.folder)
    rule.wait()
    killed.signal(signal.SIGKILL)
    killed.wait()
    for proxy in proxies.values():
        proxy.heal()
    done = desk.bring(**environ)

    assert done.status == 0, done.err
    jobs = desk.jobs()
    numbers = [desk.show(job["id"])["payload"]["userId"] for job in jobs]
    assert numbers == list(range(250))
    assert {key.decode() for key in redis.keys("bull:mail:*")} == {"bull:mail:meta", "bull:mail:events"}


def test_jobs_of_a_killed_run_are_not_finished_elsewhere(desk, redis, start_proxy, start_process):
    """They may be in the first queue; the second must not have them too."""
    put(redis, 1, 2)
    proxy = start_proxy(desk.server.url)
    rule = proxy.at(1, BlackHole(), only=script(ENQUEUE))
    command = [sys.executable, "-m", "jobrunner", "import", "bullmq", "mail", "--to", "mail.welcome"]
    environ = {"REDIS_URL": proxy.url, "BULLMQ_URL": desk.server.url}
    killed = start_process(command, env=desk.environ | environ, cwd=desk.folder)
    rule.wait()
    killed.signal(signal.SIGKILL)
    killed.wait()
    proxy.heal()
    put(redis, 3)
    before = {key: redis.dump(key) for key in redis.keys("bull:mail:*")}

    other_queue = desk.run("import", "bullmq", "mail", **environ)
    other_store = desk.run("import", "bullmq", "mail", "--to", "mail.welcome")
    other_tenant = desk.run("import", "bullmq", "mail", "--to", "mail.welcome", "--tenant", "t2", **environ)
    dry = desk.bring("--dry-run", **environ)

    for refused in (other_queue, other_store, other_tenant):
        assert refused.status == 3
        assert "were taken by a run to mail.welcome in redis://" in refused.err
        assert "run that one again first" in refused.err
    assert (dry.status, dry.json["finished"]) == (0, 2)
    assert {key: redis.dump(key) for key in redis.keys("bull:mail:*")} == before
    done = desk.bring(**environ)
    assert (done.json["finished"], done.states()["waiting"]["moved"]) == (2, 1)


def test_slow_run_cannot_undo_what_the_next_one_finished(desk, redis, start_proxy, start_process):
    """A run that hung, and that somebody took for dead, wakes up: the jobs are not its own any more."""
    put(redis, *range(10))
    proxy = start_proxy(desk.server.url)
    redis.script_load(ours("enqueue").text)
    rule = proxy.at(1, DelayReply(600), only=script(ENQUEUE))
    command = [sys.executable, "-m", "jobrunner", "import", "bullmq", "mail", "--to", "mail.welcome"]
    environ = {"REDIS_URL": proxy.url, "BULLMQ_URL": desk.server.url}
    slow = start_process(command, env=desk.environ | environ, cwd=desk.folder)
    rule.wait()

    done = desk.bring(**environ)
    proxy.heal()

    assert slow.wait() == 0, slow.output()
    assert (done.status, done.json["finished"]) == (0, 10)
    assert len(desk.jobs()) == 10
    assert {key.decode() for key in redis.keys("bull:mail:*")} == {"bull:mail:meta", "bull:mail:events"}


def test_what_another_run_has_claimed_is_out_of_reach(desk, redis):
    """A run that was refused must not give back a job that the next run is enqueueing."""
    put(redis, 1, 2)
    slow, next_one = (Source(parse_url(desk.server.url), "bull", "mail") for _ in range(2))
    with contextlib.closing(slow), contextlib.closing(next_one):
        ids = [b"1", b"2"]
        slow.take(Standing.WAITING, slow.page(Standing.WAITING, 0), 0, "there")
        assert [note.id for note in next_one.unfinished()] == ids
        next_one.claim(ids)

        slow.put_back(ids)
        slow.settle(ids)

        assert redis.hlen("bull:mail:jobrunner:taken") == 2
        assert redis.exists("bull:mail:wait") == 0
        assert redis.exists("bull:mail:1", "bull:mail:2") == 2
        next_one.settle(ids)
        assert redis.exists("bull:mail:jobrunner:taken", "bull:mail:1", "bull:mail:2") == 0


def test_stores_that_go_away_are_an_error_and_the_next_run_finishes(desk, redis, start_proxy):
    """The line says what happened, and that running it again is right."""
    put(redis, 1, 2)
    proxy = start_proxy(desk.server.url)
    proxy.at(1, BlackHole(), only=script(text_sha(theirs("settle"))))
    environ = {"BULLMQ_URL": proxy.url}

    stopped = desk.run("import", "bullmq", "mail", "--to", "mail.welcome", **environ)
    proxy.heal()
    done = desk.bring(**environ)

    assert stopped.status == 3
    assert "BullMQ's server redis://" in stopped.err
    assert "running it again" in stopped.err
    assert (done.status, done.json["finished"]) == (0, 2)
    assert len(desk.jobs()) == 2


def test_run_that_is_interrupted_says_how_far_it_came(desk, redis, start_proxy, start_process):
    """Who presses Ctrl-C wants to know what is where."""
    put(redis, *range(250))
    redis.script_load(ours("enqueue").text)
    proxy = start_proxy(desk.server.url)
    rule = proxy.at(2, DelayReply(600), only=script(ENQUEUE))
    command = [sys.executable, "-m", "jobrunner", "import", "bullmq", "mail", "--to", "mail.welcome"]
    environ = {"REDIS_URL": proxy.url, "BULLMQ_URL": desk.server.url}

    stopped = start_process(command, env=desk.environ | environ, cwd=desk.folder)
    rule.wait()
    stopped.signal(signal.SIGINT)

    assert stopped.wait() == 130
    assert "stopped: 100 jobs went over; running it again" in stopped.output()
    assert redis.hlen("bull:mail:jobrunner:taken") == 100


def test_jobs_go_over_in_a_cluster(desk, cluster_of_one):
    """BullMQ needs a hash tag in its prefix there, and all its keys are in one slot."""
    server, url = cluster_of_one
    with server.client() as client:
        client.hset("{bull}:mail:1", mapping={"name": "welcome", "data": '{"userId": 7}', "timestamp": "1"})
        client.lpush("{bull}:mail:wait", "1")

        done = desk.bring("--from-prefix", "{bull}", REDIS_URL=url)

        assert done.status == 0, done.err
        assert client.keys("{bull}:*") == [b"{bull}:mail:events"]
        assert client.hlen("jr:{mail.welcome}:jobs") == 1


def test_jobs_that_workers_brought_far_to_the_front_are_found(desk, redis):
    """BullMQ's workers can take thousands while one batch goes over; the next ones are then not where they were."""
    put(redis, *range(2500))
    with contextlib.closing(Source(parse_url(desk.server.url), "bull", "mail")) as source:
        jobs = source.page(Standing.WAITING, 2000)[:50]
        redis.rpop("bull:mail:wait", 1900)

        shift, seen = source.take(Standing.WAITING, jobs, 0, "there")
        again, gone = source.take(Standing.WAITING, jobs, shift, "there")

    assert shift == 1900
    assert {one.verdict for one in seen} == {"ok"}
    assert [one.data for one in seen][:2] == [b'{"userId": 2000}', b'{"userId": 2001}']
    assert (again, {one.verdict for one in gone}) == (1900, {"gone"})
    assert redis.llen("bull:mail:wait") == 550
