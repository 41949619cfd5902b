"""Routes about jobs: enqueue one and many, look, list, change one and by filter."""

import asyncio

import pytest
from http_house import parcel

QUEUE = "/api/queue/parcel.deliver"


async def test_enqueue_answers_where_the_job_is_and_takes_an_id_once(house):
    """202 with a Location; the same id and payload again is the same job, another payload a conflict."""
    operator = await house.client("operator")
    body = {"payload": {"tenantId": "acme", "number": 1}, "id": "post-9", "priority": 8}
    first = await operator.post(f"{QUEUE}/jobs", json=body)
    assert (first.status_code, first.json()) == (
        202,
        {"id": "post-9", "queue": "parcel.deliver", "created": True},
    )
    assert (await operator.post(f"{QUEUE}/jobs", json=body)).json()["created"] is False
    other = await operator.post(f"{QUEUE}/jobs", json={**body, "payload": {"tenantId": "acme", "number": 2}})
    assert (other.status_code, other.headers["content-type"]) == (409, "application/problem+json")

    job = (await operator.get(first.headers["location"])).json()
    assert (job["state"], job["priority"], job["tenant"], job["payload"]["number"]) == (
        "waiting",
        8,
        "acme",
        1,
    )
    line = house.lines("http.changed")[0]
    assert (line["what"], line["who"], line["queue"], line["job_ids"], line["address"]) == (
        "enqueued",
        "operator",
        "parcel.deliver",
        ["post-9"],
        "127.0.0.1",
    )


async def test_several_jobs_go_in_together_or_not_at_all(house):
    """One bad payload is named by its field, and nothing was enqueued."""
    operator = await house.client("operator")
    jobs = [{"payload": {"tenantId": "acme", "number": at}, "id": f"n-{at}"} for at in range(400)]
    answer = await operator.post(f"{QUEUE}/jobs", json={"jobs": jobs, "delay": 3600})
    assert answer.status_code == 202
    assert [job["id"] for job in answer.json()["jobs"]] == [job["id"] for job in jobs]
    stats = (await operator.get("/api/queue/stats/parcel.deliver")).json()
    assert stats["delayed"] == 400

    bad = [{"payload": {"tenantId": "acme"}}, {"payload": {"tenantId": "acme", "number": "seven"}}]
    refused = await operator.post(f"{QUEUE}/jobs", json={"jobs": bad})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "number")
    assert (await operator.get("/api/queue/stats/parcel.deliver")).json()["total"] == 400


async def test_full_queue_says_when_to_try_again(house):
    """Back-pressure reaches a producer on the other side of HTTP too."""
    operator = await house.client("operator")
    await house.enqueue(*[parcel(number=at) for at in range(600)])
    answer = await operator.post(f"{QUEUE}/jobs", json={"payload": {"tenantId": "acme"}})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert "full" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"payload": {"tenantId": "acme"}, "jobs": []}, 422),
        ({"payload": {}}, 422),
        ({"payload": {"tenantId": 5}}, 422),
        ({"payload": {"tenantId": "acme", "unknown": 1}}, 422),
        ({"payload": {"tenantId": "bad tenant"}}, 422),
        ({"payload": {"tenantId": "acme"}, "id": "a b"}, 422),
        ({"payload": {"tenantId": "acme"}, "priority": 101}, 422),
        ({"payload": {"tenantId": "acme"}, "delay": -1}, 422),
        ({"payload": {"tenantId": "acme"}, "delay": 1, "at": "2030-01-01T00:00:00Z"}, 422),
        ({"payload": {"tenantId": "acme"}, "at": "2030-01-01T00:00:00"}, 422),
        ({"payload": {"tenantId": "acme"}, "at": "9999-12-31T00:00:00Z"}, 422),
        ({"payload": {"tenantId": "acme"}, "headers": {"a": "b\nc"}}, 422),
        ({"payload": {"tenantId": "acme"}, "headers": {"a": "b\n"}}, 422),
        ({"payload": {"tenantId": "acme"}, "headers": {"a\n": "b"}}, 422),
        ({"payload": {"tenantId": "acme"}, "id": "a\n"}, 422),
        ({"payload": {"tenantId": "acme\n"}}, 422),
        ({"payload": {"tenantId": "acme"}, "surprise": 1}, 422),
        ({"payload": {"tenantId": "acme", "how": "x" * 300_000}}, 413),
        ([], 422),
        (None, 422),
        ("text", 422),
    ],
)
async def test_bad_enqueue_is_refused_with_a_reason(house, body, status):
    """Everything comes from outside; nothing of it may go in, or end in a 500."""
    operator = await house.client("operator")
    answer = await operator.post(f"{QUEUE}/jobs", json=body)
    assert answer.status_code == status, answer.text
    assert house.redis.exists("jr:{parcel.deliver}:jobs") == 0


async def test_route_for_trying_takes_the_payload_as_it_is(house):
    """The source system's test endpoint: the header's tenant fills the payload's field."""
    operator = await house.client("operator")
    answer = await operator.post(
        "/api/queue/test/parcel/deliver", json={"number": 3}, headers={"x-tenant-id": "demo-tenant"}
    )
    assert answer.status_code == 202
    job = (await operator.get(answer.headers["location"])).json()
    assert (job["tenant"], job["payload"]["tenantId"], job["payload"]["number"]) == (
        "demo-tenant",
        "demo-tenant",
        3,
    )

    differs = await operator.post(
        "/api/queue/test/parcel/deliver", json={"tenantId": "other"}, headers={"x-tenant-id": "demo-tenant"}
    )
    assert (differs.status_code, differs.json()["errors"][0]["field"]) == (422, "tenantId")
    note = await operator.post(
        "/api/queue/test/note/send", json={"to": "me"}, headers={"x-tenant-id": "demo-tenant"}
    )
    assert (await operator.get(note.headers["location"])).json()["tenant"] == "demo-tenant"
    missing = await operator.post("/api/queue/test/parcel/nope", json={})
    assert (missing.status_code, "parcel/deliver" in missing.json()["detail"]) == (404, True)


async def test_job_shows_its_whole_story(house):
    """History, steps, progress, log lines, errors: what an operator needs when a job went wrong."""
    viewer = await house.client("viewer")
    good, bad = await house.enqueue(parcel(number=1), parcel(how="fail"))
    await house.work()

    done = (await viewer.get(f"{QUEUE}/jobs/{good}")).json()
    assert (done["state"], done["result"]["delivered"], done["progress"]) == ("completed", 1, 0.5)
    assert done["logs"][0]["event"] == "delivering"
    failed = (await viewer.get(f"{QUEUE}/jobs/{bad}")).json()
    assert (failed["state"], failed["history"][0]["errorType"]) == ("failed", "ValueError")
    assert "ValueError" in failed["history"][0]["traceback"]
    assert (await viewer.get(f"{QUEUE}/jobs/none")).status_code == 404


async def test_one_job_is_moved_only_where_its_state_allows(house):
    """Each change says what came of it; a job in another state is a conflict and stays as it is."""
    admin = await house.client()
    (failed,) = await house.enqueue(parcel(how="fail"))
    await house.work()
    (waiting,) = await house.enqueue(parcel())
    (delayed,) = await house.enqueue(parcel(), delay=3600)

    assert (await admin.post(f"{QUEUE}/jobs/{failed}/promote")).status_code == 409
    assert (await admin.post(f"{QUEUE}/jobs/{failed}/retry")).json()["result"] == "retried"
    assert (await admin.post(f"{QUEUE}/jobs/{failed}/retry")).status_code == 409
    assert (await admin.post(f"{QUEUE}/jobs/{delayed}/promote")).json()["result"] == "promoted"
    stop = await admin.post(f"{QUEUE}/jobs/{waiting}/cancel", json={"reason": "no longer wanted"})
    assert stop.json()["result"] == "cancelled"
    assert (await admin.post(f"{QUEUE}/jobs/{waiting}/cancel")).status_code == 409
    assert (await admin.get(f"{QUEUE}/jobs/{waiting}")).json()["history"][-1]["message"] == "no longer wanted"
    assert (await admin.delete(f"{QUEUE}/jobs/{waiting}")).status_code == 204
    assert (await admin.delete(f"{QUEUE}/jobs/{waiting}")).status_code == 404


@pytest.mark.parametrize(
    ("what", "how", "delay"),
    [("retry", "fail", None), ("promote", "well", 3600), ("cancel", "well", None), ("remove", "fail", None)],
)
async def test_one_job_changed_by_many_at_once_is_changed_once(house, what, how, delay):
    """Two people press the same button: one of them did it, the others are told how it is now, and the audit has one line."""
    ids = await house.enqueue(*[parcel("acme", at, how=how) for at in range(6)], delay=delay)
    if how == "fail":
        await house.work()
    clients = [await house.client(name=f"admin-{at}") for at in range(6)]
    for job_id in ids:
        path = f"{QUEUE}/jobs/{job_id}"
        answers = await asyncio.gather(
            *(
                client.delete(path) if what == "remove" else client.post(f"{path}/{what}")
                for client in clients
            )
        )
        done = [answer for answer in answers if answer.status_code in (200, 204)]
        refused = [answer for answer in answers if answer.status_code in (404, 409)]
        assert (len(done), len(refused)) == (1, 5), [answer.text for answer in answers]
        for answer in refused:
            told = answer.json()["detail"]
            state, _, allowed = told.partition("; ")
            assert answer.status_code == 404 or state.removeprefix("the job is ") not in allowed, told
    assert [line["jobs"] for line in house.lines("http.changed")] == [1] * 6


async def test_running_job_is_told_to_stop_and_never_removed(house):
    """A handler that runs has its job until it ends."""
    admin = await house.client()
    (job,) = await house.enqueue(parcel())
    base = "jr:{parcel.deliver}:"
    house.redis.zrem(base + "wait", job)
    house.redis.zadd(base + "active", {job: 9e12})
    house.redis.hset(base + "lease", job, "n" * 22 + " acme worker 1")

    assert (await admin.delete(f"{QUEUE}/jobs/{job}")).status_code == 409
    assert (await admin.post(f"{QUEUE}/jobs/{job}/cancel")).json()["result"] == "requested"
    assert (await admin.get(f"{QUEUE}/jobs/{job}")).json()["cancelReason"] == "cancelled by hand"
    house.redis.delete(base + "active", base + "lease")


async def test_list_goes_through_all_pages(house):
    """A cursor misses nothing and shows nothing twice."""
    viewer = await house.client("viewer")
    ids = await house.enqueue(*[parcel(number=at) for at in range(23)])
    seen, after = [], ""
    while True:
        page = (await viewer.get(f"{QUEUE}/jobs", params={"limit": 10, "after": after})).json()
        seen += [job["id"] for job in page["jobs"]]
        after = page["next"]
        if not after:
            break
    assert seen == ids


async def test_change_by_filter_goes_on_where_it_stopped(house):
    """One request looks at a bounded number of jobs; who asks again with `next` reaches them all."""
    admin = await house.client()
    await house.enqueue(*[parcel("acme" if at % 3 else "globex", at) for at in range(60)])
    choice: dict[str, object] = {"state": "waiting", "tenant": "globex", "limit": 25, "reason": "moved away"}
    changed, rounds = 0, 0
    while True:
        answer = (await admin.post(f"{QUEUE}/cancel", json=choice)).json()
        changed += answer["changed"]
        rounds += 1
        if not answer["next"]:
            break
        choice["after"] = answer["next"]
    assert (changed, rounds >= 2) == (20, True)
    gone = (await admin.post(f"{QUEUE}/remove", json={"state": "cancelled"})).json()
    assert gone["changed"] == 20
    assert (await admin.post(f"{QUEUE}/remove", json={"state": "active"})).status_code == 422
    assert (await admin.post(f"{QUEUE}/promote", json={"ids": ["a"], "state": "delayed"})).status_code == 422
    assert (await admin.post(f"{QUEUE}/promote", json={"ids": ["nobody"]})).json()["matched"] == 0


async def test_secret_stands_in_no_answer_and_in_no_line(house):
    """Whatever holds a token, from the payload to an error's text, is masked in everything that goes out."""
    from http_house import CANARY

    admin = await house.client()
    posted = await admin.post(
        f"{QUEUE}/jobs", json={"payload": {"tenantId": "acme", "token": CANARY, "how": "fail"}, "id": "a"}
    )
    await house.enqueue(parcel(token=CANARY), parcel(token=CANARY, how="discard"))
    await house.work()
    wrong = [
        await admin.post(f"{QUEUE}/jobs", json={"payload": {"tenantId": 5, "token": CANARY}}),
        await admin.post(f"{QUEUE}/jobs", json={"payload": {"tenantId": "acme", "token": [CANARY]}}),
        await admin.post(f"{QUEUE}/jobs", json={"payload": {"tenantId": "acme", "token": CANARY}, "id": "a"}),
    ]
    assert [answer.status_code for answer in wrong] == [422, 422, 409]
    answers = [posted, *wrong]
    for state in ("completed", "failed", "waiting"):
        page = await admin.get(f"{QUEUE}/jobs", params={"state": state})
        answers += [page, *[await admin.get(f"{QUEUE}/jobs/{job['id']}") for job in page.json()["jobs"]]]
    answers += [await admin.get(f"{QUEUE}/causes"), await admin.get("/api/queue/health")]
    assert len(answers) > 8
    for answer in answers:
        assert CANARY not in answer.text
    assert CANARY not in house.stream.getvalue()
