"""Limits that operators set: in the queue's object, changed by role with an audit line, on the page, held jobs and why."""

import pytest
from http_house import parcel, until
from page_reader import Page

QUEUE = "/api/queue/parcel.deliver"


def by_hand(detail):
    return {
        (one["tenant"], one["name"]): one["byHand"] for one in detail["limits"] if one["byHand"] is not None
    }


async def test_limits_are_set_seen_and_forgotten_by_operators(house):
    """What the command line can do while a service outside is slow, a dashboard and a script must be able to as well."""
    operator, viewer = await house.client("operator"), await house.client("viewer")
    before = (await viewer.get(QUEUE)).json()
    assert (before["name"], before["priority"], before["held"]) == ("parcel.deliver", 4, [])
    (declared,) = before["limits"]
    assert (declared["name"], declared["declared"], declared["byHand"]) == ("max_waiting", 600, None)

    answer = await operator.post(
        f"{QUEUE}/limits", json={"maxActive": 5, "rate": "100/60:10", "maxWaiting": 0}
    )
    assert answer.status_code == 200
    await operator.post(f"{QUEUE}/limits", json={"tenant": "acme", "maxActive": 1, "weight": 0.5})
    assert by_hand((await viewer.get(QUEUE)).json()) == {
        ("", "max_active"): 5,
        ("", "rate"): "100/60:10",
        ("", "max_waiting"): 0,
        ("acme", "max_active"): 1,
        ("acme", "weight"): 0.5,
    }
    await operator.post(f"{QUEUE}/limits", json={"maxActive": None, "rate": None, "maxWaiting": None})
    assert set(by_hand((await viewer.get(QUEUE)).json())) == {("acme", "max_active"), ("acme", "weight")}
    lines = house.lines("http.changed")
    assert [line["what"] for line in lines] == ["limited"] * 3
    assert lines[0]["note"] == "max_active=5 rate=100/60:10 max_waiting=0"
    assert lines[1]["note"] == "tenant=acme max_active=1 weight=0.5"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tenant": "acme"},
        {"weight": 2},
        {"tenant": "acme", "maxWaiting": 5},
        {"maxActive": -1},
        {"maxActive": "5"},
        {"rate": "fast"},
        {"rate": "1/60:9"},
        {"tenant": "no tenant", "maxActive": 1},
        {"paused": True},
        {"tenant": "acme\n", "maxActive": 1},
        {"rate": "100/60\n"},
        {"ratePerTenant": "100/60:10\n"},
        {"rate": "0\n"},
    ],
)
async def test_limit_that_is_none_changes_nothing(house, body):
    """A limit that is misread could stop a queue, or let it flood somebody."""
    operator = await house.client("operator")
    before = house.dump()
    assert (await operator.post(f"{QUEUE}/limits", json=body)).status_code == 422
    assert house.dump() == before


async def test_limits_are_not_for_viewers_nor_for_one_tenant(house):
    """Who is limited must not lift its own limit, nor see those of others."""
    operator = await house.client("operator")
    await operator.post(f"{QUEUE}/limits", json={"tenant": "globex", "maxActive": 1})
    await operator.post(f"{QUEUE}/limits", json={"tenant": "acme", "maxActive": 2})
    before = house.dump()
    for client in (await house.client("viewer"), await house.client("admin", tenants=("acme",))):
        assert (await client.post(f"{QUEUE}/limits", json={"maxActive": 9})).status_code == 403
    assert house.dump() == before

    own = await house.client("admin", tenants=("acme",))
    seen = (await own.get(QUEUE)).json()
    assert [one["tenant"] for one in seen["limits"]] == ["acme"]
    assert "globex" not in (await own.get("/queues/parcel.deliver")).text


async def test_held_jobs_are_told_with_their_reason(house):
    """An operator who sees jobs that do not run must read why, and whose they are; a tenant only of its own."""
    await house.site.admin.pause("parcel.deliver", "acme")
    await house.site.admin.pause("parcel.deliver", "globex")
    await house.enqueue(parcel("acme"), parcel("acme"), parcel("globex"))
    await house.work()
    admin = await house.client()

    async def held():
        return {one["tenant"]: one for one in (await admin.get(QUEUE)).json()["held"]}

    await until(held)
    found = await held()
    assert {tenant: one["jobs"] for tenant, one in found.items()} == {"acme": 2, "globex": 1}
    assert "acme is paused" in found["acme"]["why"]
    page = (await admin.get("/queues/parcel.deliver")).text
    assert "2 jobs held: tenant acme is paused" in page
    listed = (await admin.get(f"{QUEUE}/jobs", params={"state": "parked"})).json()["jobs"]
    assert [one["reason"].partition(":")[0] for one in listed if one["tenant"] == "acme"] == [
        "tenant acme is paused"
    ] * 2
    assert "tenant globex is paused" in (await admin.get("/queues/parcel.deliver?state=parked")).text
    own = await house.client("viewer", tenants=("globex",))
    assert [one["tenant"] for one in (await own.get(QUEUE)).json()["held"]] == ["globex"]
    theirs = (await own.get(f"{QUEUE}/jobs", params={"state": "parked"})).json()["jobs"]
    assert [one["tenant"] for one in theirs] == ["globex"]


async def test_limits_are_changed_on_the_page_without_javascript(house):
    """The form is plain; what it did stands in the table of the page that comes back."""
    operator, viewer = await house.client("operator"), await house.client("viewer")
    origin = {"origin": house.url, "sec-fetch-site": "same-origin"}
    form = "/queues/parcel.deliver/limits"
    done = await operator.post(form, data={"limit": "max_active", "value": "7"}, headers=origin)
    assert done.status_code == 303
    rate = {"limit": "rate", "tenant": "acme", "value": "30/60"}
    assert (await operator.post(form, data=rate, headers=origin)).status_code == 303
    text = (await operator.get(done.headers["location"])).text
    assert "The limit holds from now on" in text
    assert "30/60" in text
    assert 'action="/queues/parcel.deliver/limits"' in text
    assert Page(text).unsafe == []
    assert form not in (await viewer.get("/queues/parcel.deliver")).text

    assert (
        await operator.post(form, data={"limit": "max_active", "value": ""}, headers=origin)
    ).status_code == 303
    assert by_hand((await operator.get(QUEUE)).json()) == {("acme", "rate"): "30/60"}
    for wrong in (
        {"limit": "max_active", "value": "many"},
        {"limit": "paused", "value": "1"},
        {"limit": "weight", "value": "2"},
    ):
        refused = await operator.post(form, data=wrong, headers=origin)
        assert refused.status_code in (400, 422)
        assert refused.headers["content-type"].startswith("text/html")
    stranger = {"origin": "https://evil.example"}
    assert (await operator.post(form, data=rate, headers=stranger)).status_code == 403


async def test_tenant_is_paused_and_resumed_by_route_and_page(house):
    """One tenant's trouble is not the others': who may pause the queue may pause one tenant, and nobody a foreign one."""
    operator, own = await house.client("operator"), await house.client("operator", tenants=("acme",))
    assert (await operator.post(f"{QUEUE}/pause", params={"tenant": "acme"})).json() == {
        "name": "parcel.deliver",
        "paused": True,
        "tenant": "acme",
    }
    await house.enqueue(parcel("acme"), parcel("globex"))
    await house.work()
    assert (await operator.get("/api/queue/stats/parcel.deliver")).json()["completed"] == 1
    page = (await operator.get("/queues/parcel.deliver")).text
    assert "Resume acme" in page
    assert "<code>jobrunner resume parcel.deliver --tenant acme</code>" in page
    before = house.dump()
    for action in ("pause", "resume"):
        assert (await own.post(f"{QUEUE}/{action}", params={"tenant": "globex"})).status_code == 403
        assert (await own.post(f"{QUEUE}/{action}")).status_code == 403
        assert (await operator.post(f"{QUEUE}/{action}", params={"tenant": "no tenant"})).status_code == 422
    assert house.dump() == before

    origin = {"origin": house.url, "sec-fetch-site": "same-origin"}
    resume = "/queues/parcel.deliver/resume"
    done = await own.post(resume, data={"tenant": "acme"}, headers=origin)
    assert (done.status_code, done.headers["location"]) == (303, "/queues/parcel.deliver?done=tenant_resumed")
    await house.work()
    assert (await operator.get("/api/queue/stats/parcel.deliver")).json()["completed"] == 2
    assert [line["note"] for line in house.lines("http.changed")] == ["tenant=acme", "tenant=acme"]


@pytest.mark.parametrize("action", ["pause", "resume"])
@pytest.mark.parametrize("typed", ["", " ", "\t"])
async def test_tenant_that_is_blank_is_not_the_whole_queue(house, action, typed):
    """A browser takes a blank for a filled-in field; the form for one tenant stopped everybody then."""
    operator = await house.client("operator")
    await house.site.admin.pause("parcel.deliver", "acme")
    before = house.dump()
    origin = {"origin": house.url, "sec-fetch-site": "same-origin"}
    answer = await operator.post(f"/queues/parcel.deliver/{action}", data={"tenant": typed}, headers=origin)
    assert answer.status_code == 422
    assert "name a tenant" in answer.text
    assert house.dump() == before


@pytest.mark.parametrize("form", ["tennant=acme", "tenant=acme&tenant=globex", "tenant=acme&reason=x"])
async def test_form_that_says_something_else_changes_nothing(house, form):
    """As with a query: a field that is misspelt must not stand for everybody."""
    operator = await house.client("operator")
    before = house.dump()
    headers = {"origin": house.url, "content-type": "application/x-www-form-urlencoded"}
    answer = await operator.post("/queues/parcel.deliver/pause", content=form, headers=headers)
    assert answer.status_code == 422
    assert house.dump() == before


async def test_redirect_has_no_body(house):
    """What a form is answered with is an address; a `null` for people without redirects is none."""
    operator = await house.client("operator")
    origin = {"origin": house.url, "sec-fetch-site": "same-origin"}
    for path in ("/queues/parcel.deliver/pause", "/logout", "/login"):
        answer = await operator.post(path, headers=origin)
        assert (answer.status_code, answer.content) == (303, b"")


def test_code_in_a_sentence_is_escaped_first():
    """The sentences name tenants and queues, which are somebody's input."""
    from jobrunner_http.dashboard.rendering import coded

    assert str(coded("run `<b>` & `x")) == "run <code>&lt;b&gt;</code> &amp; x"
    assert str(coded("<i>plain</i>")) == "&lt;i&gt;plain&lt;/i&gt;"
