"""Who may do what: the matrix of every operation and every kind of caller, judged by what the store holds before and after."""

import asyncio
import json
import time

import httpx
import msgspec
import pytest
from http_house import parcel

from jobrunner_http.access import Role
from jobrunner_http.tokens import make_token

BODIES = {
    "/api/queue/{queue}/jobs": {"payload": {"tenantId": "acme"}},
    "/api/queue/test/{group}/{action}": {"tenantId": "acme"},
    "/api/queue/{queue}/limits": {"tenant": "acme", "maxActive": 3},
    "/api/queue/{queue}/retry": {"state": "failed"},
    "/api/queue/{queue}/cancel": {"state": "waiting"},
    "/api/queue/{queue}/promote": {"state": "delayed"},
    "/api/queue/{queue}/remove": {"state": "failed"},
}


async def operations(house):
    """Every operation of the document: method, path as documented, what a viewer may do."""
    admin = await house.client()
    document = (await admin.get("/api/openapi.json")).json()
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if path not in ("/livez", "/readyz", "/api/events")
    ]


def filled(path, job_id):
    known = {"{queue}": "parcel.deliver", "{job_id}": job_id}
    for name, value in known.items():
        path = path.replace(name, value)
    return path


def body_of(path, tenant="acme"):
    for pattern, body in BODIES.items():
        if path == pattern or (
            pattern.startswith("/api/queue/test/") and path.startswith("/api/queue/test/")
        ):
            return json.loads(json.dumps(body).replace("acme", tenant))
    if path.endswith("/jobs"):
        payload = {"to": "me"} if "note.send" in path else {"tenantId": tenant}
        return {"payload": payload}
    return None


async def furnished(house):
    """Jobs of two tenants in several states; one of acme's that failed."""
    await house.enqueue(
        parcel("acme", how="fail"), parcel("globex", how="fail"), parcel("acme"), parcel("globex")
    )
    await house.work()
    await house.enqueue(parcel("acme"), parcel("globex"))
    await house.enqueue(parcel("acme"), parcel("globex"), delay=3600)
    failed = house.redis.zrange("jr:{parcel.deliver}:dead", 0, -1)
    return next(one.decode() for one in failed if one in house.jobs_of("acme"))


async def ask(client, method, path, job_id, *, tenant="acme", **more):
    body = body_of(path, tenant) if method == "POST" else None
    return await client.request(method, filled(path, job_id), json=body, **more)


NOBODY = {
    "none": [],
    "empty": [("authorization", "")],
    "malformed": [("authorization", "Bearer jrt_short")],
    "basic": [("authorization", "Basic YWRtaW46YWRtaW4=")],
    "non-ascii": [("authorization", "Bearer jrt_ünïcödé".encode())],
    "huge": [("authorization", "Bearer " + "a" * 7000)],
    "guessed": [("authorization", "Bearer jrt_aaaaaaaaaa_" + "a" * 43)],
    "cookie": [("cookie", b"jobrunner_token=jrt_aaaaaaaaaa_" + b"a" * 43)],
    "non-ascii cookie": [("cookie", b"jobrunner_token=\xff\xfe; \xff=1")],
}


@pytest.mark.parametrize("kind", NOBODY)
async def test_nobody_is_let_in_by_any_operation(house, kind):
    """Whatever is sent in a token's place: 401, the store as it was, and never an error of ours."""
    job_id = await furnished(house)
    listed = await operations(house)
    nobody = house.bare(headers=httpx.Headers(NOBODY[kind]))
    before = house.dump()
    for method, path in listed:
        answer = await ask(nobody, method, path, job_id, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await nobody.get("/api/events")).status_code == 401
    two = httpx.Headers([("authorization", "Bearer a"), ("authorization", f"Bearer {await house.token()}")])
    assert (await house.bare(headers=two).get("/api/queue/stats")).status_code == 401
    assert house.dump() == before
    assert len(listed) >= 25


async def test_viewer_sees_everything_and_changes_nothing(house):
    """A token for a wall display must not be able to stop a shop."""
    job_id = await furnished(house)
    listed = await operations(house)
    viewer = await house.client("viewer")
    before = house.dump()
    for method, path in listed:
        answer = await ask(viewer, method, path, job_id)
        assert answer.status_code == (200 if method == "GET" else 403), (method, path, answer.text)
    assert house.dump() == before
    assert house.lines("http.changed") == []


async def test_operator_may_not_delete(house):
    """Whoever retries jobs need not be able to lose them."""
    job_id = await furnished(house)
    operator = await house.client("operator")
    before = house.dump()
    for method, path in (
        ("DELETE", "/api/queue/{queue}/clear"),
        ("DELETE", "/api/queue/{queue}/jobs/{job_id}"),
        ("POST", "/api/queue/{queue}/remove"),
    ):
        assert (await ask(operator, method, path, job_id)).status_code == 403
    assert house.dump() == before


async def test_metrics_token_scrapes_and_nothing_else(house):
    """A token that lies in a scraper's configuration opens nothing more."""
    job_id = await furnished(house)
    scraper = await house.client("metrics")
    for method, path in await operations(house):
        allowed = path in ("/metrics", "/api/backlog")
        assert (await ask(scraper, method, path, job_id)).status_code == (200 if allowed else 403), path


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_other_tenant_reads_and_changes_nothing_of_a_tenant(house, role):
    """The heart of isolation: a foreign job is missing, its numbers are not there, and it stays byte for byte as it is."""
    job_id = await furnished(house)
    theirs = house.jobs_of("acme")
    listed = await operations(house)
    stranger = await house.client(role, tenants=("nobody",))
    pause_before = house.redis.hget("jr:{parcel.deliver}:meta", "paused")
    for method, path in listed:
        missing = await ask(stranger, method, path.replace("{job_id}", "none"), "none", tenant="nobody")
        foreign = await ask(stranger, method, path, job_id, tenant="nobody")
        assert foreign.status_code < 500, (method, path, foreign.text)
        if "{job_id}" in path and foreign.status_code != 403:
            assert foreign.status_code == missing.status_code == 404
            assert foreign.json() == json.loads(missing.text.replace("none", job_id))
        for shown in (foreign.text, missing.text):
            assert "acme" not in shown
            assert not any(one.decode() in shown for one in theirs if one.decode() != job_id)
    assert house.jobs_of("acme") == theirs
    assert house.redis.hget("jr:{parcel.deliver}:meta", "paused") == pause_before


async def test_tenants_numbers_are_its_own(house):
    """How busy another tenant is, is the other tenant's business."""
    await furnished(house)
    both = await house.client("viewer")
    one = await house.client("viewer", tenants=("acme",))
    stats = (await one.get("/api/queue/stats/parcel.deliver")).json()
    whole = (await both.get("/api/queue/stats/parcel.deliver")).json()
    assert [stats[name] for name in ("waiting", "delayed", "failed", "completed", "total")] == [1, 1, 1, 1, 4]
    assert [whole[name] for name in ("waiting", "delayed", "failed", "completed", "total")] == [2, 2, 2, 2, 8]
    assert (stats["completedTotal"], stats["failedTotal"], stats["oldestWaitingMs"]) == (None, None, None)
    health = (await one.get("/api/queue/health")).json()
    assert (health["totalJobs"], health["failedJobs"]) == (4, 1)
    for state in ("waiting", "delayed", "failed", "completed"):
        page = (await one.get("/api/queue/parcel.deliver/jobs", params={"state": state})).json()
        assert [job["tenant"] for job in page["jobs"]] == ["acme"]
    foreign = (await one.get("/api/queue/parcel.deliver/jobs", params={"tenant": "globex"})).json()
    assert foreign["jobs"] == []
    causes = (await one.get("/api/queue/parcel.deliver/causes")).json()
    assert (causes["total"], [cause["jobs"] for cause in causes["causes"]]) == (1, [1])
    assert (await one.get("/api/workers")).status_code == 403
    narrowed = await both.get("/api/queue/stats/parcel.deliver", headers={"x-tenant-id": "acme"})
    assert narrowed.json()["total"] == 4


async def test_tenants_changes_by_filter_reach_its_own_jobs_only(house):
    """Clear, retry and cancel of everything are everything of one's own."""
    await furnished(house)
    theirs = house.jobs_of("globex")
    admin = await house.client("admin", tenants=("acme",))
    assert (await admin.post("/api/queue/parcel.deliver/retry", json={})).json()["changed"] == 1
    foreign = [one.decode() for one in theirs]
    by_ids = (await admin.post("/api/queue/parcel.deliver/cancel", json={"ids": foreign})).json()
    assert (by_ids["matched"], by_ids["changed"]) == (0, 0)
    assert (await admin.post("/api/queue/parcel.deliver/pause")).status_code == 403
    assert (await admin.delete("/api/queue/parcel.deliver/clear")).json()["cleared"] == 4
    assert house.jobs_of("globex") == theirs
    assert house.jobs_of("acme") == {}


@pytest.mark.parametrize(
    ("headers", "payload", "status", "tenant"),
    [
        ({}, {"number": 1}, 202, "acme"),
        ({}, {"tenantId": "acme"}, 202, "acme"),
        ({}, {"tenantId": ""}, 202, "acme"),
        ({}, {"tenant_id": "acme"}, 202, "acme"),
        ({}, {"tenantId": "globex"}, 422, None),
        ({}, {"tenant_id": "globex"}, 422, None),
        ({}, {"tenantId": "acme", "tenant_id": "globex"}, 202, "acme"),
        ({}, {"tenantId": "", "tenant_id": "globex"}, 202, "acme"),
        ({}, {"tenantId": ["acme"]}, 422, None),
        ({"x-tenant-id": "acme"}, {}, 202, "acme"),
        ({"x-tenant-id": "globex"}, {}, 403, None),
        ({"x-tenant-id": "globex"}, {"tenantId": "globex"}, 403, None),
        ({"x-tenant-id": ""}, {}, 422, None),
        ({"x-tenant-id": "a b"}, {}, 422, None),
    ],
)
async def test_token_of_a_tenant_enqueues_for_it_alone(house, headers, payload, status, tenant):
    """However the payload spells its tenant, no job of another one comes to be."""
    operator = await house.client("operator", tenants=("acme",))
    for path, body in (
        ("/api/queue/parcel.deliver/jobs", {"payload": payload}),
        ("/api/queue/parcel.deliver/jobs", {"jobs": [{"payload": payload}]}),
        ("/api/queue/test/parcel/deliver", payload),
    ):
        answer = await operator.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
    stored = house.redis.hvals("jr:{parcel.deliver}:jobs")
    assert {json.loads(one)[2] for one in stored} == ({tenant} if tenant else set())
    assert {json.loads(one)[4]["tenantId"] for one in stored} == ({tenant} if tenant else set())


async def test_token_of_several_tenants_says_which(house):
    """With several there is nothing to guess; and a bulk may hold jobs of both, but of no third."""
    operator = await house.client("operator", tenants=("acme", "globex"))
    path = "/api/queue/parcel.deliver/jobs"
    assert (await operator.post(path, json={"payload": {}})).status_code == 422
    mixed = {"jobs": [{"payload": {"tenantId": "acme"}}, {"payload": {"tenantId": "globex"}}]}
    assert (await operator.post(path, json=mixed)).status_code == 202
    third = {
        "jobs": [{"payload": {"tenantId": "acme"}}, {"payload": {"tenantId": "acme", "tenant_id": "third"}}]
    }
    await operator.post(path, json=third)
    assert house.jobs_of("third") == {}
    foreign = {"jobs": [{"payload": {"tenantId": "acme"}}, {"payload": {"tenantId": "third"}}]}
    assert (await operator.post(path, json=foreign)).status_code == 422
    assert (
        await operator.post("/api/queue/note.send/jobs", json={"payload": {"to": "me"}})
    ).status_code == 422


async def test_token_of_a_queue_knows_no_other(house):
    """A queue that a token is not for is one that does not exist."""
    await furnished(house)
    admin = await house.client("admin", queues=("note.send",))
    assert [queue["name"] for queue in (await admin.get("/api/queue/stats")).json()] == ["note.send"]
    document = await admin.get("/api/openapi.json")
    assert "parcel" not in document.text
    before = house.dump()
    for method, path in await operations(house):
        if "{queue}" in path or "parcel" in path:
            answer = await ask(admin, method, path, "x")
            assert answer.status_code == 404, (method, path)
    assert house.dump() == before
    (await house.client("viewer", queues=("nope",)))
    nothing = await house.client("viewer", queues=("nope",))
    assert (await nothing.get("/api/queue/stats")).json() == []


async def test_revoked_token_stops_within_five_seconds(house):
    """Whoever leaves must be out before the coffee is cold."""
    client = await house.client("admin")
    token_id = client.headers["authorization"].split("_")[1]
    assert (await client.get("/api/queue/stats")).status_code == 200
    await house.site.admin.drop_token(token_id)
    revoked = time.monotonic()
    while (await client.get("/api/queue/stats")).status_code == 200:
        assert time.monotonic() - revoked < 5
        await asyncio.sleep(0.1)
    job_id = await furnished(house)
    before = house.dump()
    for method, path in await operations(house):
        assert (await ask(client, method, path, job_id)).status_code == 401
    assert house.dump() == before


async def test_expired_token_is_nobody(house):
    """A token for a week ends by itself."""
    text, kept = make_token("old", Role.ADMIN, days=1, now_ms=1_000)
    await house.site.admin.keep_token(kept.id, msgspec.json.encode(kept))
    client = house.bare(headers={"authorization": f"Bearer {text}"})
    assert (await client.get("/api/queue/stats")).status_code == 401


async def test_store_holds_no_token(house):
    """Whoever reads the store, or a copy of it, cannot log in with what is there."""
    text = await house.token("admin", name="ops")
    kept = house.redis.hgetall("jr:{!fleet}:tokens")
    assert len(kept) == 1
    assert text.split("_", 2)[2].encode() not in str(kept).encode()
    for damaged in (
        b"{}",
        b"not json",
        b"\xff",
        b'{"id":"x","name":"x","role":"root","digest":"","createdAt":1}',
    ):
        house.redis.hset("jr:{!fleet}:tokens", "aaaaaaaaaa", damaged)
        house.site.tokens._read_at = -100.0
        answer = await house.bare(headers={"authorization": "Bearer jrt_aaaaaaaaaa_" + "a" * 43}).get(
            "/api/health"
        )
        assert answer.status_code == 401
    good = house.bare(headers={"authorization": f"Bearer {text}"})
    assert (await good.get("/api/health")).status_code == 200


async def test_token_that_runs_wild_is_told_to_wait(open_house):
    """One client's loop leaves room for the others."""
    house = await open_house(rate=1.0)
    wild, calm = await house.client("viewer"), await house.client("viewer")
    answers = [await wild.get("/api/queue/stats") for _ in range(6)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert int(limited[0].headers["retry-after"]) >= 1
    assert (await calm.get("/api/queue/stats")).status_code == 200


async def test_store_that_is_away_lets_nobody_in_by_old_knowledge(house):
    """A token that may have been revoked meanwhile is not taken on trust."""
    from jobrunner.errors import StoreUnavailableError

    client = await house.client("admin")
    assert (await client.get("/api/queue/stats")).status_code == 200

    async def gone():
        raise StoreUnavailableError("away")

    house.site.admin.tokens = gone
    house.site.tokens._read_at = time.monotonic() - 3
    assert (await client.get("/api/queue/stats")).status_code == 200
    house.site.tokens._read_at = time.monotonic() - 4.5
    assert (await client.get("/api/queue/stats")).status_code == 503


async def test_tenants_cursor_names_nobody_elses_job(house):
    """A page that ended in the midst of other tenants' jobs goes on from there without telling which job that was."""
    await house.enqueue(*[parcel("globex", at) for at in range(520)])
    await house.enqueue(parcel("acme"))
    await house.site.admin.pause("parcel.deliver")
    one = await house.client("admin", tenants=("acme", "initech"))
    path = "/api/queue/parcel.deliver"
    foreign = {one.decode() for one in house.jobs_of("globex")}
    seen, after, pages = [], "", 0
    while True:
        page = (await one.get(f"{path}/jobs", params={"after": after})).json()
        assert not any(job_id in json.dumps(page) for job_id in foreign)
        assert page["lookedAt"] == len(page["jobs"])
        seen += page["jobs"]
        pages += 1
        after = page["next"]
        if not after:
            break
    assert [job["tenant"] for job in seen] == ["acme"]
    assert pages >= 2

    first = (await one.get(f"{path}/jobs")).json()["next"]
    other = await house.client("admin", tenants=("acme",))
    for stolen in (first, "7036874418086336:" + next(iter(foreign)), "0:s", "0:sAAAA"):
        caller = one if stolen != first else other
        assert (await caller.get(f"{path}/jobs", params={"after": stolen})).status_code == 422
    step = (await one.post(f"{path}/cancel", json={"state": "waiting", "limit": 100, "dryRun": True})).json()
    assert (step["matched"], step["lookedAt"]) == (1, 1)
    assert step["next"].startswith("0:s")
    assert not any(job_id in step["next"] for job_id in foreign)
