"""What somebody else wrote among our keys: whoever looks is told of it, and sees the rest."""

import json

import pytest

Q = "jr:{parcel.deliver}:"

LOOKS = [
    "queues",
    "stats",
    "health",
    "jobs list parcel.deliver",
    "jobs list parcel.deliver --json",
    "jobs list parcel.deliver --state failed",
    "jobs show parcel.deliver odd",
    "jobs show parcel.deliver odd --json",
    "jobs explain parcel.deliver odd",
    "jobs logs parcel.deliver odd",
    "doctor",
    "doctor --json",
    "doctor --fix",
    "jobs retry parcel.deliver --all failed",
    "jobs remove parcel.deliver odd",
]

STRANGE = {
    "a record that is none": ("HSET", "jobs", "odd", b"\xff\xfe{"),
    "a record of another time": ("HSET", "jobs", "odd", b'[99999999999999999999999,10,"t1",1,{}]'),
    "a record of another version": ("HSET", "jobs", "odd", b'[1,10,"t1",77,{"a":1},{},"",9,9]'),
    "a record without end": ("HSET", "jobs", "odd", b"[" * 20_000),
    "counts that are none": ("HSET", "attempts", "odd", b"many"),
    "a journal that is none": ("HSET", "state", "odd", b"\xff\n5 {\n1 " + b"[" * 20_000),
    "steps that are none": ("HSET", "steps", "odd", b'\xff\n["a"]\n["b",' + b"[" * 20_000),
    "progress that is none": ("HSET", "progress", "odd", b"1 \xff"),
    "log lines that are none": ("HSET", "logs", "odd", b"\xff\n[1]\n" + b'{"a":' * 20_000),
    "a lease that is none": ("HSET", "lease", "odd", b"\xff x y 9999999999999999999999999999"),
    "a counter that is none": ("HSET", "stats", "completed", b"many"),
    "a counter that is too high": ("HSET", "stats", "failed", b"9" * 30),
    "a tally that is none": ("HSET", "tally", "waiting|t1", b"\xff"),
    "a tally of nobody": ("HSET", "tally", b"\xff", b"1"),
    "a limit that is none": ("HSET", "meta", "max_active", b"\xff"),
    "a time without end": ("ZADD", "dead", "inf", "odd"),
    "a time far away": ("ZADD", "dead", "1e300", "odd"),
    "a time before all": ("ZADD", "dead", "-1e300", "odd"),
    "an id that is no text": ("ZADD", "wait", "1", b"\xff\xfe"),
    "a record of an id that is no text": ("HSET", "jobs", b"\xff\xfe", b'[1,10,"t1",1,{}]'),
    "a lease of an id that is no text": ("HSET", "lease", b"\xff\xfe", b"x"),
    "an id that a terminal obeys": ("ZADD", "wait", "1", b"\x1b[31m\n" + b"x" * 50_000),
    "an entry that is held for nobody": ("ZADD", "held", "0", b"t1 soon odd"),
    "a worker that is none": ("HSET", "jr:{!fleet}:workers", b"\xff", b'{"id":"\xff"}'),
    "a queue that is none": ("HSET", "jr:{!fleet}:queues", "parcel.deliver", b"[" * 20_000),
    "a queue whose name is none": ("HSET", "jr:{!fleet}:queues", b"\xff {}", b"{}"),
}
"""What lies in the store -> the command that puts it there."""


@pytest.mark.parametrize("what", STRANGE)
def test_strange_entry_is_told_of_in_a_line(desk, store_server, what):
    """Neither a traceback nor a word of a bug, and nothing that a terminal would obey."""
    store = store_server.client()
    desk.enqueue()
    desk.run("enqueue", "parcel.deliver", json.dumps({"tenantId": "t1", "number": 2}), "--job-id", "odd")
    command, part, *words = STRANGE[what]
    store.execute_command(command, part if part.startswith("jr:") else Q + part, *words)

    for look in LOOKS:
        ran = desk.run(*look.split())
        assert "bug" not in ran.err, (look, ran.err)
        assert "\x1b" not in ran.out + ran.err, look
        if ran.status not in (0, 1):
            assert ran.error, look


def test_job_that_cannot_be_read_hides_no_other(desk, store_server):
    """A page of fifty jobs is there to be read for the other forty-nine."""
    first = desk.enqueue()
    second = desk.enqueue(number=2)
    store_server.client().hset(Q + "jobs", first, "not ours")

    listed = desk.run("jobs", "list", "parcel.deliver", "--json").json
    told = desk.run("doctor", "--json").json

    assert {job["id"] for job in listed} == {first, second}
    assert "cannot be read" in {job["id"]: job["lastError"] for job in listed}[first]
    assert [one["level"] for one in told if "record that cannot be read" in one["text"]] == ["error"]
    assert not [one for one in told if one["level"] == "error" and "cannot be read" not in one["text"]]


def test_job_whose_id_is_no_text_is_put_in_its_place(desk, store_server):
    """The doctor repairs it as any other."""
    store = store_server.client()
    store.zadd(Q + "wait", {b"\xff\xfe": 1})
    desk.enqueue()

    assert "\\xff\\xfe" in desk.run("doctor").out
    assert "had no record" in desk.run("doctor", "--fix").out
    assert store.zscore(Q + "wait", b"\xff\xfe") is None


def test_all_failed_jobs_are_in_line_again_whatever_they_are_called(desk, store_server):
    """One that cannot be named must not keep the others."""
    store = store_server.client()
    for number, name in enumerate([b"a b", b"\xff\xfe", b"well"]):
        store.hset(Q + "jobs", name, b'[1,10,"t1",1,{}]')
        store.zadd(Q + "dead", {name: number})

    assert "3 failed jobs" in desk.run("jobs", "retry", "parcel.deliver", "--all", "failed").out
    assert store.zcard(Q + "wait") == 3


@pytest.mark.parametrize("part", ["wait", "jobs", "stats", "meta"])
def test_key_of_another_kind_is_named_and_the_doctor_goes_on(desk, store_server, part):
    """One queue's broken key must not keep people from the others."""
    store = store_server.client()
    store.set(Q + part, "not ours")
    desk.environ["JOBRUNNER_PLUGINS"] = "./parcel.py,./other.py"
    text = (desk.folder / "parcel.py").read_text().replace("parcel.deliver", "other.deliver")
    (desk.folder / "other.py").write_text(text)

    ran = desk.run("doctor")

    assert ran.status == 1
    assert "bug" not in ran.err
    broken = [line for line in ran.out.splitlines() if line.startswith("error")]
    assert broken
    assert all("WRONGTYPE" in line for line in broken)
    assert "ok       queue other.deliver: every job is in its place" in ran.out
