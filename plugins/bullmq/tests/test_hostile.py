"""Whatever stands under BullMQ's keys, it is named or passed over, and nothing is lost for it."""

import json

import pytest

BASE = "bull:mail:"


def put(redis, job_id, data=b'{"userId": 1}', *, to="wait", score=None, **fields):
    """A job as BullMQ has it; `data=None` has no record."""
    if data is not None:
        known = {"name": "welcome", "data": data, "timestamp": "1732450000000", "priority": "0"}
        redis.hset(
            BASE.encode() + (job_id if isinstance(job_id, bytes) else job_id.encode()), mapping=known | fields
        )
    redis.hset(BASE + "meta", "version", "bullmq:5.81.5")
    if score is None:
        redis.lpush(BASE + to, job_id)
    else:
        redis.execute_command("ZADD", BASE + to, score, job_id)


def everything(redis):
    return {key: redis.dump(key) for key in redis.keys("*")}


BAD = {
    "not JSON": (b"{oops", "", "not valid JSON"),
    "no text": (b'{"userId": 1, "email": "\xff\xfe"}', "", "data"),
    "undefined": (b"undefined", "", "not valid JSON"),
    "empty": (b"", "", "not valid JSON"),
    "a text": (b'"hello"', "", "its data is a text; a payload is a JSON object"),
    "a list": (b"[1]", "", "its data is a list"),
    "a number": (b"7", "", "its data is a number"),
    "null": (b"null", "", "its data is null"),
    "wrong field": (b'{"userId": "x"}', "userId", "expected `int`"),
    "missing field": (b"{}", "userId", "missing"),
    "unknown field": (b'{"userId": 1, "colour": 2}', "colour", "not a field"),
    "bad tenant": (b'{"userId": 1, "tenantId": "a b"}', "", "tenant 'a b' is not allowed"),
    "too large for the queue": (
        b'{"userId": 1, "email": "%s"}' % (b"x" * 300_000),
        "",
        "the payload has 300,",
    ),
    "too large to be read": (b'{"userId": 1, "email": "%s"}' % (b"x" * 5_000_000), "", "more than 4,194,304"),
    "nested": (b'{"userId": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "", ""),
    "a lone half of a character": (b'{"userId": 1, "email": "\\ud800"}', "", "not valid JSON"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_job_is_named_and_nothing_is_moved_unless_partial(what, desk, redis):
    """A job that no handler would understand stays where people can look at it."""
    data, field, said = BAD[what]
    put(redis, "1")
    put(redis, "bad-2", data)
    put(redis, "3")
    before = everything(redis)

    refused = desk.run("import", "bullmq", "mail", "--to", "mail.welcome")
    dry = desk.bring("--dry-run")
    untouched = everything(redis) == before
    done = desk.bring("--partial")

    assert untouched
    assert refused.status == 2
    assert f"job bad-2: {field}" in refused.err
    assert said in refused.err
    assert "1 of 3 jobs cannot be moved; nothing was moved" in refused.err
    assert (dry.status, dry.json["problems"][0]["id"]) == (1, "bad-2")
    assert done.status == 1
    assert (done.json["problems"][0]["id"], done.json["problems"][0]["field"]) == ("bad-2", field)
    assert len(desk.jobs()) == 2
    assert redis.lrange(BASE + "wait", 0, -1) == [b"bad-2"]
    assert redis.hget(BASE + "bad-2", "data") == data


@pytest.mark.parametrize("score", ["inf", "-inf", "1e300"])
def test_due_time_that_is_none_is_named(score, desk, redis):
    """It must not run now, nor in the year 9999."""
    put(redis, "late", to="delayed", score=score)

    done = desk.bring()

    assert done.status == 2
    assert "job late: the time when it is due cannot be read" in done.err
    assert redis.zcard(BASE + "delayed") == 1


def test_due_time_in_the_far_future_is_named(desk, redis):
    """Ten years are the most that a job is delayed."""
    put(redis, "late", to="delayed", score=str(4_000_000_000_000 * 4096))

    done = desk.bring()

    assert (done.status, "job late:" in done.err, "ten years" in done.err) == (2, True, True)


STRANGE = {
    "space": b"a b",
    "colons": b"user:7:x",
    "lines": b"a\r\nb",
    "binary": b"\xff\x00\xfe",
    "long": b"x" * 5000,
    "letters": "Grüße-✓".encode(),
    "leading dash": b"-x",
    "marks": b"'; return redis.call('FLUSHALL') --",
    "of the queue itself": b"meta-2",
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_ids_go_over_under_one_that_is_allowed(what, desk, redis):
    """BullMQ takes any text as an id; the old one is in the headers, as far as it can be shown."""
    put(redis, STRANGE[what], b'{"userId": 5}')

    done = desk.bring()
    put(redis, STRANGE[what], b'{"userId": 5}')
    again = desk.bring()

    assert done.status == 0, done.err
    (job,) = desk.jobs()
    assert desk.show(job["id"])["headers"]["bullmq-id"].isprintable()
    assert again.states()["waiting"]["known"] == 1
    assert (
        redis.keys(BASE + "*") == [BASE.encode() + b"meta", BASE.encode() + b"events"]
        or len(redis.keys(BASE + "*")) == 2
    )


def test_entries_without_a_record_stay_and_hold_nothing_up(desk, redis):
    """BullMQ's own lists sometimes have them; there is nothing to move, and nothing to lose."""
    put(redis, "gone", None)
    put(redis, "meta", None)  # a hash, but of the queue's own
    redis.set(BASE + "text", "not a job")
    redis.lpush(BASE + "wait", "text", "0:1732450000000")
    put(redis, "1")

    done = desk.bring()

    assert done.status == 0, done.err
    assert done.json["left"] == {"missing": 3}
    assert len(desk.jobs()) == 1
    assert redis.lrange(BASE + "wait", 0, -1) == [b"0:1732450000000", b"text", b"meta", b"gone"]
    assert redis.hget(BASE + "meta", "version")


def test_job_that_is_listed_twice_goes_over_once(desk, redis):
    """A list of BullMQ can have an id twice after a stalled job came back."""
    put(redis, "1")
    redis.rpush(BASE + "wait", "1")

    done = desk.bring()

    assert done.states()["waiting"]["moved"] == 1
    assert len(desk.jobs()) == 1


def test_locked_job_stays(desk, redis):
    """A worker that was slow to say so has it."""
    put(redis, "1")
    redis.set(BASE + "1:lock", "token")

    done = desk.bring()

    assert done.json["left"] == {"locked": 1}
    assert redis.lrange(BASE + "wait", 0, -1) == [b"1"]


def test_deduplication_for_a_time_is_no_key(desk, redis):
    """BullMQ takes in a second job once the time is over, while the first still waits: both are to run."""
    put(redis, "1", b'{"userId": 1}', deid="x")
    put(redis, "2", b'{"userId": 2}', deid="x")
    redis.set(BASE + "de:x", "2", px=60_000)

    done = desk.bring()

    assert done.status == 0, done.err
    assert len(desk.jobs()) == 2
    assert not redis.exists("jr:{mail.welcome}:unique", BASE + "de:x")


def test_fields_that_are_nonsense_do_no_harm(desk, redis):
    """Priority, time and name are whatever some version or somebody's script wrote."""
    put(redis, "1", priority="-3", timestamp="soon", name=b"\xff\n" * 5000, atm="x" * 5000)
    put(redis, "2", priority="NaN", timestamp="9" * 400, attemptsMade="2")
    put(redis, "3", priority="9" * 300, timestamp="")

    done = desk.bring()

    assert done.status == 0, done.err
    shown = [desk.show(job["id"]) for job in desk.jobs()]
    assert len(shown) == 3
    assert [job["priority"] for job in shown] == [100, 100, 100]
    assert all(
        value.isprintable() and len(value) <= 1024 for job in shown for value in job["headers"].values()
    )


def test_many_large_jobs_are_moved_in_small_batches(desk, redis):
    """Neither the server nor this process holds all of it at once."""
    text = "x" * 200_000
    for number in range(60):
        put(redis, str(number), json.dumps({"userId": number, "email": text}).encode())

    done = desk.bring()

    assert done.status == 0, done.err
    assert [desk.show(job["id"])["payload"]["userId"] for job in desk.jobs()[:3]] == [0, 1, 2]
    assert len(desk.jobs()) == 60


def test_few_jobs_among_many_others_are_found_in_their_places(desk, redis):
    """A list is searched where a job was, not from its end for each."""
    for number in range(3000):
        put(redis, f"other-{number}", name="other")
        if number % 300 == 0:
            put(redis, f"w-{number}", b'{"userId": %d}' % number)

    done = desk.bring("--name", "welcome")

    assert done.states()["waiting"] == {
        "state": "waiting",
        "found": 3010,
        "moved": 10,
        "known": 0,
        "bad": 0,
        "left": 3000,
        "gone": 0,
    }
    assert [job["id"] for job in desk.jobs()] == [f"w-{number}" for number in range(0, 3000, 300)]
    assert redis.lrange(BASE + "wait", 0, -1) == [b"other-%d" % number for number in reversed(range(3000))]


def test_wrong_use_is_one_line(desk, redis):
    """It says what is wrong and what to do."""
    put(redis, "1")
    redis.set("bull:broken:wait", "text")
    cases = {
        ("mial", "--to", "mail.welcome"): (
            2,
            "there is no BullMQ queue 'mial' under the prefix 'bull' in redis://",
        ),
        ("mail", "--from-prefix", "cow"): (2, "under the prefix 'cow'"),
        ("mail", "--from", "http://x"): (2, "--from or BULLMQ_URL: "),
        ("mail", "--from", "redis://127.0.0.1:1/0"): (3, "BullMQ's server redis://127.0.0.1:1/0: "),
        ("mail", "--to", "nobody"): (2, "'nobody'"),
        ("mail", "--to", "mail.welcome", "--tenant", "a b"): (2, "tenant 'a b' is not allowed"),
        ("broken", "--to", "mail.welcome"): (3, "BullMQ's server"),
        ("a\nb", "--to", "mail.welcome"): (2, "not printable"),
    }
    for words, (status, said) in cases.items():
        done = desk.run("import", "bullmq", *words)
        (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert (done.status, said in line) == (status, True), (words, done.err)
    assert redis.lrange(BASE + "wait", 0, -1) == [b"1"]


@pytest.mark.parametrize("forbidden", ["hset", "lset", "lrem", "eval"])
def test_user_that_may_not_write_loses_nothing(forbidden, desk, redis):
    """A script that is stopped half-way keeps what it did before; a job must never be in no list."""
    put(redis, "1")
    put(redis, "2")
    redis.acl_setuser(
        "mover", enabled=True, passwords=["+secret"], commands=["+@all", f"-{forbidden}"], keys=["*"]
    )
    before = everything(redis)
    url = desk.server.url.replace("redis://", "redis://mover:secret@")

    try:
        done = desk.bring("--from", url)
    finally:
        redis.acl_deluser("mover")

    assert done.status == 3
    assert "secret" not in done.err
    assert everything(redis) == before


def test_server_that_is_full_loses_nothing(desk, start_server):
    """To note a job as taken needs memory: without it the job stays in its list."""
    server = start_server("valkey")
    with server.client() as old:
        put(old, "1")
        put(old, "2")
        old.config_set("maxmemory", 1)
        before = everything(old)

        full = desk.bring("--from", server.url)
        after = everything(old)
        old.config_set("maxmemory", 0)
        done = desk.bring("--from", server.url)

    assert (full.status, "maxmemory" in full.err) == (3, True)
    assert after == before
    assert done.status == 0, done.err
    assert len(desk.jobs()) == 2


def test_dry_run_changes_nothing_and_says_what_it_would_do(desk, redis):
    """The first thing that anybody tries on a queue that matters."""
    put(redis, "1")
    put(redis, "2", to="delayed", score=str(1_900_000_000_000 * 4096))
    put(redis, "3", to="prioritized", score="4294967297", priority="1")
    before = everything(redis)

    done = desk.run("import", "bullmq", "mail", "--to", "mail.welcome", "--dry-run")

    assert done.status == 0, done.err
    assert [line.split()[:3] for line in done.out.splitlines()] == [
        ["state", "found", "would"],
        ["paused", "0", "0"],
        ["waiting", "1", "1"],
        ["prioritized", "1", "1"],
        ["delayed", "1", "1"],
    ]
    assert everything(redis) == before
