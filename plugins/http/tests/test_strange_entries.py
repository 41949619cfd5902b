"""What somebody else wrote among our keys in Redis: a page or a route tells of it, and none breaks over it."""

from __future__ import annotations

import pytest
from http_house import parcel

Q = "jr:{parcel.deliver}:"

STRANGE = {
    "a record that is none": ("HSET", "jobs", "odd", b"\xff\xfe{"),
    "a record of another time": ("HSET", "jobs", "odd", b'[99999999999999999999999,10,"t1",1,{}]'),
    "a record of another version": ("HSET", "jobs", "odd", b'[1,10,"acme",77,{"a":1},{},"",9,9]'),
    "counts that are none": ("HSET", "attempts", "odd", b"many"),
    "a journal that is none": ("HSET", "state", "odd", b"\xff\n5 {\n1 " + b"[" * 20_000),
    "steps that are none": ("HSET", "steps", "odd", b'\xff\n["a"]\n["b",' + b"[" * 20_000),
    "progress that is none": ("HSET", "progress", "odd", b"1 \xff"),
    "log lines that are none": ("HSET", "logs", "odd", b"\xff\n[1]\n" + b'{"a":' * 20_000),
    "a lease that is none": ("HSET", "lease", "odd", b"\xff x y 9999999999999999999999999999"),
    "a counter that is none": ("HSET", "stats", "completed", b"many"),
    "a counter that is too high": ("HSET", "stats", "failed", b"9" * 30),
    "a minute that is none": ("HSET", "stats", "m1", b"\xff"),
    "a tally that is none": ("HSET", "tally", "waiting|acme", b"\xff"),
    "a tally of nobody": ("HSET", "tally", b"waiting|\xff", b"1"),
    "a limit that is none": ("HSET", "meta", "max_active", b"\xff"),
    "a time without end": ("ZADD", "dead", "inf", "odd"),
    "a time far away": ("ZADD", "dead", "1e300", "odd"),
    "an id that is no text": ("ZADD", "wait", "1", b"\xff\xfe"),
    "a failed id that is no text": ("ZADD", "dead", "1", b"\xff\xfe"),
    "an event that is none": ("XADD", "events", "*", b"\xff", b"\xff"),
    "a worker that is none": ("HSET", "jr:{!fleet}:workers", b"\xff", b'{"id":"\xff"}'),
    "a queue that is none": ("HSET", "jr:{!fleet}:queues", "parcel.deliver", b"[" * 20_000),
    "a queue whose name is none": ("HSET", "jr:{!fleet}:queues", b"\xff {}", b"{}"),
    "a schema that is none": ("HSET", "jr:{!fleet}:schemas", "parcel.deliver", b"[" * 20_000),
    "a token that is none": ("HSET", "jr:{!fleet}:tokens", b"\xff", b"[" * 20_000),
}
"""What lies in the store -> the command that puts it there."""

STATES = ("waiting", "failed", "completed", "active", "delayed", "parked", "cancelled")

ROUTES = [
    *(
        "/api/health",
        "/api/queue/stats",
        "/api/queue/stats/parcel.deliver",
        "/api/queue",
        "/api/queue/parcel.deliver",
    ),
    *(
        "/api/queue/parcel.deliver/schema",
        "/api/queue/parcel.deliver/minutes",
        "/api/queue/parcel.deliver/causes",
    ),
    *("/api/workers", "/api/backlog", "/metrics", "/readyz", "/api/queue/parcel.deliver/jobs/odd"),
    *(f"/api/queue/parcel.deliver/jobs?state={state}" for state in STATES),
    *("/", "/workers", "/plugins", "/failures", "/queues/parcel.deliver", "/queues/parcel.deliver/failures"),
    *("/queues/parcel.deliver/schema", "/queues/parcel.deliver/jobs/odd"),
    *(f"/queues/parcel.deliver?state={state}" for state in STATES),
]


@pytest.mark.parametrize("what", STRANGE)
async def test_strange_entry_breaks_no_page_but_its_own(house, what):
    """A dashboard that shows nothing for one broken key is of no use on the day that it is needed."""
    client = await house.client()
    await house.site.client.enqueue("parcel.deliver", parcel(), job_id="odd")
    command, part, *words = STRANGE[what]
    house.redis.execute_command(command, part if part.startswith("jr:") else Q + part, *words)

    answers = {route: await client.get(route) for route in ROUTES}

    broken = {route: answer.status_code for route, answer in answers.items() if answer.status_code >= 500}
    assert [route for route in broken if "/jobs/odd" not in route] == []
    assert set(broken.values()) <= {502}


@pytest.mark.parametrize("part", ["wait", "jobs", "stats", "meta", "dead", "tally"])
async def test_key_of_another_kind_is_told_as_what_it_is(house, part):
    """Neither as an error of this program's own, nor as a store that is away and will be back."""
    await house.enqueue(parcel())
    client = await house.client()
    house.redis.set(Q + part, "not ours")

    answers = {route: await client.get(route) for route in ROUTES}

    broken = {route: answer for route, answer in answers.items() if answer.status_code >= 500}
    assert broken
    for route, answer in broken.items():
        assert answer.status_code == (503 if route in ("/api/health", "/readyz") else 502), route
        assert "cannot be read" in answer.text, (route, answer.text)
