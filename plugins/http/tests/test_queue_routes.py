"""Routes about queues: the source system's names and shapes, numbers, health, charts, causes, pause, clear."""

import pytest
from http_house import parcel

QUEUE = "/api/queue/parcel.deliver"


async def test_numbers_have_the_source_systems_names(house):
    """Dashboards of the source system read these names, and `total` is the sum of all states."""
    admin = await house.client()
    await house.enqueue(*[parcel(number=at) for at in range(3)], parcel(how="fail"))
    await house.work()
    await house.enqueue(parcel(), parcel())

    one = (await admin.get("/api/queue/stats/parcel.deliver")).json()
    assert {name: one[name] for name in ("name", "waiting", "active", "completed", "failed", "total")} == {
        "name": "parcel.deliver",
        "waiting": 2,
        "active": 0,
        "completed": 3,
        "failed": 1,
        "total": 6,
    }
    assert {"delayed", "cancelled", "parked", "completedTotal", "failedTotal", "oldestWaitingMs"} <= set(one)
    both = (await admin.get("/api/queue/stats")).json()
    assert [queue["name"] for queue in both] == ["note.send", "parcel.deliver"]

    health = (await admin.get("/api/queue/health")).json()
    assert (health["totalJobs"], health["activeJobs"], health["failedJobs"]) == (6, 0, 1)
    assert [queue["name"] for queue in health["queues"]] == ["note.send", "parcel.deliver"]


async def test_queue_without_a_worker_is_degraded_and_says_so(house):
    """Jobs wait and nobody serves them: an operator should read why, and a probe should not end the API for it."""
    admin = await house.client()
    assert (await admin.get("/api/health")).json()["status"] == "healthy"
    await house.enqueue(parcel())

    answer = await admin.get("/api/queue/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "no worker serves the queue" in answer.json()["problems"][0]


async def test_pause_holds_jobs_and_resume_lets_them_go(house):
    """What an operator does while something outside is broken."""
    operator = await house.client("operator")
    assert (await operator.post(f"{QUEUE}/pause")).json() == {"name": "parcel.deliver", "paused": True}
    await house.enqueue(parcel())
    assert (await operator.get("/api/queue/stats/parcel.deliver")).json()["paused"] is True
    assert (await operator.post(f"{QUEUE}/resume")).json()["paused"] is False
    await house.work()
    assert (await operator.get("/api/queue/stats/parcel.deliver")).json()["completed"] == 1
    assert [line["what"] for line in house.lines("http.changed")] == ["paused", "resumed"]


async def test_clear_deletes_one_state_or_all_but_what_runs(house):
    """The source system's clear, which must never pull a job from under its handler."""
    admin = await house.client()
    await house.enqueue(parcel(how="fail"), parcel())
    await house.work()
    await house.enqueue(parcel(), parcel())
    house.redis.zadd("jr:{parcel.deliver}:active", {"running": 9e12})

    assert (await admin.delete(f"{QUEUE}/clear", params={"status": "failed"})).json()["cleared"] == 1
    assert (await admin.delete(f"{QUEUE}/clear", params={"status": "active"})).status_code == 422
    assert (await admin.delete(f"{QUEUE}/clear", params={"status": "nonsense"})).status_code == 422
    assert (await admin.delete(f"{QUEUE}/clear")).json() == {"cleared": 3, "complete": True}
    assert (await admin.get("/api/queue/stats/parcel.deliver")).json()["active"] == 1
    house.redis.delete("jr:{parcel.deliver}:active")


async def test_failures_are_grouped_and_retried_by_their_cause(house):
    """A thousand failures are a few causes; one is mended, and its jobs alone run again."""
    operator = await house.client("operator")
    await house.enqueue(*[parcel(how="fail") for _ in range(4)], parcel(how="discard"))
    await house.work()

    found = (await operator.get(f"{QUEUE}/causes")).json()
    assert [(cause["errorType"], cause["jobs"]) for cause in found["causes"]] == [
        ("ValueError", 4),
        ("Discard", 1),
    ]
    choice = {"state": "failed", "cause": found["causes"][0]["fingerprint"]}
    dry = (await operator.post(f"{QUEUE}/retry", json={**choice, "dryRun": True})).json()
    assert (dry["matched"], dry["changed"], dry["dryRun"]) == (4, 0, True)
    wet = (await operator.post(f"{QUEUE}/retry", json=choice)).json()
    assert (wet["matched"], wet["changed"], wet["next"]) == (4, 4, "")
    stats = (await operator.get("/api/queue/stats/parcel.deliver")).json()
    assert (stats["waiting"], stats["failed"]) == (4, 1)


async def test_charts_schemas_queues_and_workers_are_there(house):
    """What a dashboard draws, and what a client is written from."""
    viewer = await house.client("viewer")
    await house.enqueue(parcel(), parcel(how="fail"))
    await house.work()
    minutes = (await viewer.get(f"{QUEUE}/minutes", params={"last": 5})).json()
    assert len(minutes) == 5
    assert sum(one["completed"] for one in minutes) == 1
    assert sum(one["failed"] for one in minutes) == 1
    schema = (await viewer.get(f"{QUEUE}/schema")).json()
    assert "tenantId" in str(schema)
    assert [queue["name"] for queue in (await viewer.get("/api/queue")).json()] == [
        "note.send",
        "parcel.deliver",
    ]
    assert (await viewer.get("/api/workers")).json() == []


async def test_unknown_queues_are_problems_in_every_route(house):
    """A wrong name is the commonest mistake; it is a 404 that says so, whatever stands in it."""
    admin = await house.client()
    for name in ("nope", "a%20b", "%2e%2e", "%00", "x" * 200, "%ff", "a:b"):
        for path in ("stats/{}", "{}/schema", "{}/jobs", "{}/jobs/x", "{}/causes", "{}/minutes"):
            answer = await admin.get("/api/queue/" + path.format(name))
            assert answer.status_code == 404, (path, name, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == 404


async def test_every_error_is_a_problem(house):
    """RFC 9457, so that one piece of code on the other side reads them all."""
    admin = await house.client()
    for method, path, status in (
        ("GET", "/nope", 404),
        ("GET", "/api/nope", 404),
        ("PUT", "/api/queue/stats", 405),
        ("GET", f"{QUEUE}/jobs?limit=many", 422),
        ("GET", f"{QUEUE}/jobs?limit=501", 422),
        ("GET", f"{QUEUE}/jobs?after=nonsense", 422),
        ("GET", f"{QUEUE}/jobs?after=0:a%0A", 422),
        ("GET", f"{QUEUE}/jobs?tenant=acme%0A", 422),
        ("POST", f"{QUEUE}/pause?tenant=acme%0A", 422),
        ("POST", f"{QUEUE}/jobs", 422),
    ):
        answer = await admin.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
            path
        )
        assert {"title", "status"} <= set(answer.json())
        assert status != 405 or answer.headers["allow"]
    answer = await admin.post(f"{QUEUE}/jobs", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", f"{QUEUE}/jobs?state=odd", None, "state"),
        ("GET", f"{QUEUE}/jobs?limit=0", None, "limit"),
        ("GET", f"{QUEUE}/jobs?tenant=a%20b", None, "tenant"),
        ("GET", f"{QUEUE}/minutes?last=0", None, "last"),
        ("POST", f"{QUEUE}/limits", {"maxActivePerTenant": -1}, "maxActivePerTenant"),
        ("POST", f"{QUEUE}/limits", {"maxActivePerTenant": 1, "tenant": "acme"}, None),
        ("POST", f"{QUEUE}/limits", {"ratePerTenant": "1/60:9"}, "ratePerTenant"),
        ("POST", f"{QUEUE}/limits", {"ratePerTenant": "fast"}, "ratePerTenant"),
        ("POST", f"{QUEUE}/retry", {"dryRun": 1}, "dryRun"),
        ("POST", f"{QUEUE}/retry", {"after": "odd"}, "after"),
        ("POST", f"{QUEUE}/jobs", {"payload": {"tenantId": 5}}, "tenantId"),
        ("POST", f"{QUEUE}/jobs", {"jobs": [{"payload": {"tenantId": "a"}, "id": "a b"}]}, "jobs[0].id"),
        ("POST", f"{QUEUE}/pause?tenant=a%20b", None, "tenant"),
    ],
)
async def test_problem_names_what_is_wrong_as_it_was_sent_and_in_words(house, method, path, body, field):
    """Who reads it knows the wire's names only, and a regular expression says nothing to most people."""
    admin = await house.client()
    answer = await admin.request(method, path, json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert (field or "maxActivePerTenant") in problem["detail"]
    assert [one["field"] for one in problem.get("errors", [])] == ([field] if field else [])
    assert not [word for word in ("regex", "max_", "_tenant", "shown") if word in answer.text]


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("DELETE", f"{QUEUE}/clear?state=failed", "state"),
        ("DELETE", f"{QUEUE}/clear?status=failed&status=waiting", "status"),
        ("DELETE", f"{QUEUE}/clear?status=", "status"),
        ("POST", f"{QUEUE}/pause?tennant=acme", "tennant"),
        ("POST", f"{QUEUE}/pause?tenant=", "tenant"),
        ("POST", f"{QUEUE}/resume?tenant=acme&tenant=globex", "tenant"),
        ("POST", f"{QUEUE}/retry?dryRun=true", "dryRun"),
        ("POST", f"{QUEUE}/pause?%00%ff=1", "\x00\ufffd"),
    ],
)
async def test_query_that_a_change_does_not_know_changes_nothing(house, method, path, field):
    """A filter that is misspelt or empty would reach everything that it was to spare."""
    admin = await house.client()
    await house.enqueue(parcel("acme"), parcel("globex"))
    before = house.dump()
    answer = await admin.request(method, path, json={} if "retry" in path else None)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert house.dump() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{QUEUE}/pause", b'{"tenant": "acme"}'),
        ("POST", f"{QUEUE}/resume", b"tenant=acme"),
        ("DELETE", f"{QUEUE}/clear", b'{"status": "failed"}'),
        ("DELETE", f"{QUEUE}/clear", b"["),
    ],
)
async def test_body_that_a_change_does_not_take_changes_nothing(house, method, path, body):
    """Limits name their tenant in a body: who does the same to pause one would have paused everybody."""
    admin = await house.client()
    await house.enqueue(parcel("acme"), parcel("globex"))
    before = house.dump()
    answer = await admin.request(method, path, content=body)
    assert (answer.status_code, "takes no body" in answer.json()["detail"]) == (422, True)
    assert house.dump() == before


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"null"])
async def test_body_that_says_nothing_is_none(house, body):
    """Many clients send an empty object with every POST."""
    admin = await house.client()
    assert (await admin.post(f"{QUEUE}/pause", content=body)).status_code == 200


async def test_error_that_nobody_thought_of_tells_the_log_and_not_the_caller(house, monkeypatch):
    """A traceback is for the log; who asks learns only that something is wrong."""
    admin = await house.client()

    async def broken(*_args, **_kwargs):
        raise RuntimeError("secret place /etc/where")

    monkeypatch.setattr(house.site.looking, "causes", broken)
    answer = await admin.get(f"{QUEUE}/causes")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret place" not in answer.text
    (line,) = house.lines("http.failed")
    assert line["error_type"] == "RuntimeError"


async def test_store_that_is_away_is_a_503_with_a_time_to_try_again(open_house):
    """A producer must be told to come back, and a probe that this copy cannot serve now."""
    house = await open_house()
    admin = await house.client()
    assert (await admin.get("/readyz")).json() == {"status": "ready"}

    async def gone(*_args, **_kwargs):
        from jobrunner.errors import StoreUnavailableError

        raise StoreUnavailableError("redis://:password@somewhere cannot be reached")

    house.site.admin.store.run = house.site.admin.store.run_many = gone
    answer = await admin.get("/api/queue/stats")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "password" not in answer.text
    health = await admin.get("/api/health")
    assert (health.status_code, health.json()["status"], health.json()["queues"]) == (503, "unhealthy", [])
    house.site.tokens._read_at = -100.0
    assert (await admin.get("/readyz")).status_code == 503
    assert (await admin.get("/livez")).status_code == 200
    assert (await admin.get("/api/queue/stats")).status_code == 503
