"""The dashboard as a browser without JavaScript has it: every page for every role, forms, what may not be seen."""

import re
import sys
from pathlib import Path

import httpx
import msgspec
import pytest
from dashboard_stock import QUEUE, SCRIPT, addresses, hostile, stocked
from http_house import CANARY, House, parcel, until
from page_reader import Page

from jobrunner.fleet import WorkerReport
from jobrunner_http.access import Role
from jobrunner_http.tokens import make_token

ROLES = ("viewer", "operator", "admin")


async def read(client, path, status=200):
    answer = await client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == status, (path, answer.status_code, answer.text[-300:])
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


async def send(client, path, **fields):
    """Send a form as a browser does that shows one of our pages."""
    headers = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    return await client.post(path, data=fields, headers=headers)


@pytest.mark.parametrize("role", ROLES)
async def test_every_page_is_safe_and_whole_for_every_role(house, role):
    """A policy without inline script or style only helps where no page needs one; nothing is fetched from elsewhere."""
    ids = await stocked(house)
    client = await house.client(role)
    for path in addresses(ids):
        answer = await client.get(path, headers={"accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert "unsafe-inline" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        page = Page(answer.text)
        assert page.unsafe == [], path
        assert [script.get("src", "").split("?")[0] for script in page.scripts] == ["/static/live.js"]
        assert len(page.ids) == len(set(page.ids)), path
        assert CANARY not in answer.text, path
        for link in page.links:
            assert link.startswith(("/", "#")), link


async def test_links_of_pages_lead_somewhere(house):
    """Every link that a page shows is a page for whoever sees it."""
    await stocked(house)
    client = await house.client("viewer")
    seen, ahead = set(), ["/"]
    while ahead and len(seen) < 120:
        path = ahead.pop()
        if path in seen:
            continue
        seen.add(path)
        page = await read(client, path)
        ahead += [link for link in page.links if link.startswith("/") and link not in seen]
    assert {"/", "/failures", "/workers", "/plugins", QUEUE, f"{QUEUE}/schema"} <= seen


async def test_whoever_is_not_known_gets_the_log_in_page(house):
    """At the address asked for, so that a link in a message still leads there after logging in."""
    ids = await stocked(house)
    stranger = house.bare()
    for path in ("/", QUEUE, f"{QUEUE}/jobs/{ids['acme']}", "/workers", "/failures", "/plugins"):
        page = await read(stranger, path, 401)
        assert page.actions == ["/login"]
        assert page.forms[0]["fields"]["wanted"] == path
        assert "parcel" not in page.text.replace("parcel.deliver", "")
    assert (await stranger.post(f"{QUEUE}/pause")).status_code == 401


async def test_log_in_leads_to_the_page_that_was_asked_for_and_log_out_ends_it(house):
    """The cookie is for this site only, and no script can read it."""
    browser, token = house.bare(), await house.token("viewer")
    wrong = await send(browser, "/login", token="jrt_wrong", wanted=QUEUE)
    assert wrong.headers["location"] == "/login?failed=1"
    assert "not known here" in (await read(browser, "/login?failed=1", 401)).text

    right = await send(browser, "/login", token=f" {token} ", wanted=QUEUE)
    assert (right.status_code, right.headers["location"]) == (303, QUEUE)
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    page = await read(browser, QUEUE)
    assert "/logout" in page.actions

    await send(browser, "/logout")
    await read(browser, QUEUE, 401)


@pytest.mark.parametrize(
    "wanted", ["//evil.example/", "https://evil.example", "/\\evil.example", "/a?x=1", "javascript:alert(1)"]
)
async def test_log_in_leads_to_pages_of_ours_only(house, wanted):
    """A form that came from elsewhere must not send people on to where their token is asked for again."""
    answer = await send(house.bare(), "/login", token=await house.token("viewer"), wanted=wanted)
    assert answer.headers["location"] == "/"


async def test_buttons_are_shown_to_those_who_may_press_them(house):
    """A button that is answered with "not for you" is a trap."""
    ids = await stocked(house)
    job = f"{QUEUE}/jobs/{ids['acme']}"
    expected = {
        "viewer": set(),
        "operator": {f"{job}/retry"},
        "admin": {f"{job}/retry", f"{job}/remove"},
    }
    for role, actions in expected.items():
        assert set((await read(await house.client(role), job)).actions) == actions
    operator = {f"{QUEUE}/pause", f"{QUEUE}/limits"}
    queue = {"viewer": set(), "operator": operator, "admin": operator | {f"{QUEUE}/clear"}}
    for role, actions in queue.items():
        assert set((await read(await house.client(role), QUEUE)).actions) == actions
    limited = await house.client("admin", tenants=("acme",))
    assert set((await read(limited, QUEUE)).actions) == {f"{QUEUE}/clear"}
    delayed = await read(await house.client("operator"), f"{QUEUE}/jobs/{ids['delayed']}")
    assert {one.rsplit("/", 1)[1] for one in delayed.actions} == {"promote", "cancel"}


FORMS = {
    f"{QUEUE}/pause": "operator",
    f"{QUEUE}/resume": "operator",
    f"{QUEUE}/clear": "admin",
    f"{QUEUE}/failures/retry": "operator",
    f"{QUEUE}/jobs/ACME/retry": "operator",
    f"{QUEUE}/jobs/DELAYED/promote": "operator",
    f"{QUEUE}/jobs/DELAYED/cancel": "operator",
    f"{QUEUE}/jobs/ACME/remove": "admin",
}
FIELDS = {"state": "failed", "cause": "abc", "reason": "no"}


async def test_forms_need_their_role_and_a_page_of_ours(house):
    """Whatever a page shows: the role is asked for where something changes, and a foreign page changes nothing."""
    ids = await stocked(house)
    before = house.dump()
    for form, role in FORMS.items():
        path = form.replace("ACME", ids["acme"]).replace("DELAYED", ids["delayed"])
        for lower in ROLES[: ROLES.index(role)]:
            refused = await send(await house.client(lower), path, **FIELDS)
            assert refused.status_code == 403
            assert Page(refused.text).text.count("Not for this token") >= 1
        for headers in (
            {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "same-site"},
        ):
            cookie = {"cookie": f"jobrunner_token={await house.token('admin')}"}
            foreign = await house.bare().post(path, data=FIELDS, headers=headers | cookie)
            assert foreign.status_code == 403, (path, headers)
    assert house.dump() == before


async def test_forms_change_what_they_say_and_the_next_page_tells_so(house):
    """Every form works as a plain POST, answered by the page that shows what it did."""
    ids = await stocked(house)
    client = await house.client("admin")

    async def done(path, **fields):
        answer = await send(client, path, **fields)
        assert answer.status_code == 303, answer.text
        return await read(client, answer.headers["location"])

    job = f"{QUEUE}/jobs/{ids['acme']}"
    assert "1 job in line again" in (await done(f"{job}/retry")).text
    assert (await read(client, job)).text.count("waiting") >= 1
    delayed = f"{QUEUE}/jobs/{ids['delayed']}"
    assert "1 job may start now" in (await done(f"{delayed}/promote")).text
    assert "wrong address" in (await done(f"{delayed}/cancel", reason="wrong address")).text
    assert "1 job deleted" not in (await read(client, QUEUE)).text
    assert "1 job removed" in (await done(f"{delayed}/remove")).text
    await read(client, delayed, 404)

    paused = await done(f"{QUEUE}/pause")
    assert "The queue is paused" in paused.text
    assert f"{QUEUE}/resume" in paused.actions
    assert f"{QUEUE}/pause" in (await done(f"{QUEUE}/resume")).actions

    failures = await read(client, f"{QUEUE}/failures")
    assert "5 failures, 2 causes" in failures.text
    (more, *_) = [form["fields"]["cause"] for form in failures.forms if "cause" in form["fields"]]
    assert "3 jobs in line again" in (await done(f"{QUEUE}/failures/retry", cause=more)).text
    assert "2 failures, 1 cause" in (await read(client, f"{QUEUE}/failures")).text

    assert "2 jobs deleted" in (await done(f"{QUEUE}/clear", state="failed")).text
    await done(f"{QUEUE}/clear", state="all")
    (stats,) = await house.site.admin.stats(["parcel.deliver"])
    assert stats.total == 0
    told = {line["what"] for line in house.lines("http.changed")}
    assert told >= {"retried", "promoted", "cancelled", "removed", "paused", "resumed", "cleared"}


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("clear", {}, 422),
        ("clear", {"state": "nonsense"}, 422),
        ("clear", {"state": "active"}, 422),
        ("failures/retry", {"cause": ""}, 422),
        ("failures/retry", {}, 422),
        ("jobs/nowhere/retry", {}, 404),
        ("jobs/WAITS/retry", {}, 409),
        ("jobs/WAITS/nonsense", {}, 404),
    ],
)
async def test_wrong_forms_change_nothing_and_say_what_is_wrong(house, path, fields, status):
    """An empty cause means all of them to the store, and must not to a form."""
    ids = await stocked(house)
    before = house.dump()
    client = await house.client("admin")
    headers = {"sec-fetch-site": "same-origin", "accept": "text/html"}
    answer = await client.post(f"{QUEUE}/{path.replace('WAITS', ids['waits'])}", data=fields, headers=headers)
    assert answer.status_code == status
    assert "Overview" in Page(answer.text).text
    assert house.dump() == before


async def test_token_of_a_tenant_sees_its_own_only(house):
    """On no page is there a foreign name, id or number; what is counted for all together is left out."""
    ids = await stocked(house)
    client = await house.client("admin", tenants=("acme",))
    for path in addresses({"acme": ids["acme"], "delayed": ids["delayed"]}):
        answer = await client.get(path, headers={"accept": "text/html"})
        assert "globex" not in answer.text, path
        assert ids["globex"] not in answer.text, path
    overview = await read(client, "/")
    assert "Throughput" not in overview.text
    assert "/workers" not in overview.links
    assert "4 failures, 1 cause" in (await read(client, "/failures")).text
    await read(client, f"{QUEUE}/jobs/{ids['globex']}", 404)
    await read(client, "/workers", 403)
    nobody = await house.client("viewer", queues=("note.send",))
    assert "parcel.deliver" not in (await read(nobody, "/")).html
    assert "parcel.deliver" not in (await read(nobody, "/plugins")).html
    await read(nobody, QUEUE, 404)


async def test_scripts_in_whatever_is_stored_come_out_as_text(house):
    """Payloads, errors, tenants, steps, logs, workers, schemas: all of it was written by somebody else."""
    (job_id,) = await house.enqueue(parcel("acme", how="discard"))
    await house.work()
    hostile(house, job_id)
    client = await house.client("admin")
    shown = 0
    for path in [
        *addresses({"it": job_id}),
        "/queues/evil.queue",
        "/queues/evil.queue/schema",
        f"/?find={SCRIPT}",
    ]:
        answer = await client.get(path, headers={"accept": "text/html"})
        page = Page(answer.text)
        assert page.unsafe == [], path
        assert "<img src=x" not in answer.text, path
        assert len(page.scripts) == 1, path
        shown += SCRIPT in page.text
    assert shown >= 9


@pytest.mark.parametrize(
    "shape", [[], {"$defs": []}, {"properties": []}, {"$defs": {"A": {"anyOf": {}}}}, {"$ref": 3}]
)
async def test_schema_of_any_shape_from_the_store_is_a_page(house, shape):
    """A schema is what a worker of whatever age or origin once wrote."""
    fleet = house.site.admin.store.fleet
    house.redis.hset(fleet.queues, "odd.queue", b'{"name":"odd.queue"}')
    house.redis.hset(fleet.schemas, "odd.queue", msgspec.json.encode(shape))
    await read(await house.client("viewer"), "/queues/odd.queue/schema")


async def test_address_with_nonsense_in_it_is_a_page_and_never_an_error_of_ours(house):
    """Addresses are typed, cut and guessed; whatever is in them comes back as a page or as a plain no."""
    await stocked(house)
    client = await house.client("viewer")
    for query in (
        "state=nonsense",
        "range=9h",
        "tenant=%00",
        "tenant=a%20b",
        "after=x",
        "after=1:%2e",
        "after=9" * 40,
    ):
        answer = await client.get(f"{QUEUE}?{query}")
        assert answer.status_code in (200, 422), query
        Page(answer.text)
    for said in ("done=retried&n=<b>", "done=<b>&n=1", "done=cleared&n=" + "9" * 30):
        page = await read(client, f"{QUEUE}?{said}")
        assert 'class="said"' not in page.html


async def test_paging_shows_every_job_once(house):
    """A list longer than a page is walked by its links."""
    ids = await house.enqueue(*[parcel("acme", at) for at in range(60)])
    client = await house.client("viewer")
    path, seen = f"{QUEUE}?state=waiting", []
    while path:
        page = await read(client, path)
        seen += [link.rsplit("/", 1)[1] for link in page.links if "/jobs/" in link]
        path = next((link for link in page.links if "after=" in link), None)
    assert sorted(seen) == sorted(ids)


async def test_overview_points_at_what_stands_still(house):
    """Jobs that wait where no worker serves them, and workers that say nothing any more."""
    await house.enqueue(parcel("acme"), parcel("acme", 1))
    fleet = house.site.admin.store.fleet
    silent = WorkerReport(id="old-1", host="h", pid=1, version="1", started_ms=1, seen_ms=1, held=2)
    house.redis.hset(fleet.workers, "old-1", msgspec.json.encode(silent))
    text = (await read(await house.client("viewer"), "/")).text
    assert "parcel.deliver 2 jobs wait and no worker serves the queue" in text
    assert "worker old-1 says nothing any more" in text


async def test_empty_pages_say_what_to_do(house):
    """The first thing that anybody sees is a dashboard without a job."""
    client = await house.client("admin")
    assert "jobrunner run" in (await read(client, "/")).text
    assert "jobrunner run" in (await read(client, "/workers")).text
    assert "Nothing has failed." in (await read(client, "/failures")).text
    assert "No job is waiting." in (await read(client, QUEUE)).text


async def test_api_and_its_errors_stay_json(house):
    """Pages for people change nothing for programs."""
    client = await house.client("viewer")
    for path in ("/api/nowhere", "/api/queue/stats/nowhere"):
        answer = await client.get(path, headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert (await client.get("/nowhere")).headers["content-type"] == "application/problem+json"


async def test_files_of_pages_are_kept_by_browsers_and_no_other_file_is_given(house):
    """Their address changes with their content."""
    page = await read(house.bare(), "/login")
    for name in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.html):
        answer = await house.bare().get(name)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for wrong in ("/static/../pyproject.toml", "/static/%2e%2e%2fapp.py", "/static/base.html", "/static/"):
        assert (await house.bare().get(wrong)).status_code in (404, 405)


async def test_everything_works_where_it_is_mounted(house):
    """Inside another application every link carries the path it is mounted at."""

    async def outer(scope, receive, send):
        if scope["type"] == "http":
            scope = scope | {"root_path": "/jobs", "path": scope["path"].removeprefix("/jobs")}
        await house.app(scope, receive, send)

    await stocked(house)
    token = await house.token("viewer")
    transport = httpx.ASGITransport(app=outer)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers={"authorization": f"Bearer {token}"}
    ) as client:
        for path in ("/jobs/", f"/jobs{QUEUE}", "/jobs/failures"):
            answer = await client.get(path)
            assert answer.status_code == 200
            page = Page(answer.text)
            assert [link for link in page.links if not link.startswith(("/jobs/", "#"))] == []


async def test_pages_cost_the_same_round_trips_however_many_queues_there_are(house, monkeypatch):
    """A hundred queues are looked at all the time, by everybody who has the overview open."""
    await stocked(house)
    client = await house.client("admin")
    link, trips = house.site.admin.store.link, []
    for name in ("send", "send_many"):
        sent = getattr(link, name)

        async def counted(*args, _sent=sent, **more):
            trips.append(1)
            return await _sent(*args, **more)

        monkeypatch.setattr(link, name, counted)

    async def cost(path):
        await read(client, path)
        trips.clear()
        await read(client, path)
        return len(trips)

    paths = ("/", "/?range=3h", "/workers", "/plugins", QUEUE, f"{QUEUE}/schema")
    before = {path: await cost(path) for path in paths}
    fleet = house.site.admin.store.fleet
    names = [f"more.q{at}" for at in range(60)]
    house.redis.hset(fleet.queues, mapping={name: msgspec.json.encode({"name": name}) for name in names})
    after = {path: await cost(path) for path in paths}
    assert len((await read(client, "/")).links) > 60
    assert after == before
    assert max(after.values()) <= 28


async def test_store_that_is_away_is_a_page_too():
    """The one moment at which everybody looks at the dashboard."""
    house = House("redis://127.0.0.1:1/0")
    async with house.open():
        token = make_token("x", Role.VIEWER)[0]
        client = house.bare(headers={"authorization": f"Bearer {token}"})
        page = await read(client, "/", 503)
        assert "The store does not answer" in page.text
        assert "127.0.0.1:1" not in page.html


async def test_failures_say_how_many_of_them_are_grouped(house):
    """A page looks at a bounded number of failures, and must not look as if those were all."""
    await house.enqueue(*[parcel("acme", at, how="fail") for at in range(520)])
    await house.work()
    client = await house.client("viewer")
    page = await read(client, "/failures")
    assert "520 failures, 1 cause" in page.text

    async def told():  # a look ends after a while, and the next one goes on
        return "520 failed, the newest 500 by cause" in (await read(client, "/failures")).text

    await until(told)
    assert "520 failed List them" in (await read(client, f"{QUEUE}/failures")).text


async def test_link_that_serve_prints_leads_to_live_pages(shared_server, start_process):
    """What somebody sees who tries it for the first time: one command, one link, a job that a worker runs."""
    with shared_server("valkey").client() as client:
        client.flushall()
    env = {"REDIS_URL": shared_server("valkey").url, "JOBRUNNER_HTTP_PORT": "0"}
    words = ["serve", "--dev", "--worker", "--plugin", str(Path(__file__).with_name("parcels_plugin.py"))]
    process = start_process([sys.executable, "-m", "jobrunner", *words], env=env)
    link = process.wait_for_line("open:").split()[1]
    async with httpx.AsyncClient(timeout=20) as browser:
        entered = await browser.get(link, follow_redirects=True)
        assert Page(entered.text).title.startswith("Overview")
        root = str(entered.url).rstrip("/")
        body = {"payload": {"tenantId": "acme", "number": 1}, "id": "first"}
        headers = {"sec-fetch-site": "same-origin"}
        await browser.post(f"{root}/api/queue/parcel.deliver/jobs", json=body, headers=headers)

        async def completed():
            return "completed" in Page((await browser.get(f"{root}{QUEUE}/jobs/first")).text).text

        await until(completed)
        assert "parcel.deliver" in Page((await browser.get(f"{root}/workers")).text).text
        assert (await browser.get(link)).status_code == 404
