"""Bounds by address: wrong tokens, requests at once, whom a proxy names; and refusals as people can read them."""

import asyncio

import httpx
import pytest
from http_house import until

from jobrunner_http.addresses import Addresses, bucket_of
from jobrunner_http.guesses import MAX_ADDRESSES, Guesses
from jobrunner_http.settings import http_settings

QUEUES = "/api/queue/stats"
PAGE = {"accept": "text/html,application/xhtml+xml"}


def bearer(text):
    return {"authorization": f"Bearer {text}"}


async def test_guesser_has_to_wait_and_whoever_was_let_in_goes_on(open_house):
    """A flood of guesses costs nothing and finds nothing, and locks nobody out who shares the address."""
    house = await open_house(wrong_tokens=1.0)
    known, fresh = await house.token("viewer"), await house.token("admin")
    client = house.bare()
    assert (await client.get(QUEUES, headers=bearer(known))).status_code == 200

    statuses = [
        (await client.get(QUEUES, headers=bearer(f"jrt_{at:010}_{'x' * 43}"))).status_code for at in range(25)
    ]
    assert statuses[:20] == [401] * 20
    assert set(statuses[20:]) == {429}
    refused = await client.get(QUEUES, headers=bearer(fresh))
    assert refused.status_code == 429, (
        "a token that is right is not looked at either, or guessing would go on"
    )
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await client.get(QUEUES, headers=bearer(known))).status_code == 200
    assert (await client.get(QUEUES)).status_code == 401, "who sends no token guesses none"

    form = await client.post("/login", data={"token": fresh}, headers={"origin": house.url})
    assert form.status_code == 429
    assert "too many wrong tokens" in form.text
    assert form.headers["content-type"].startswith("text/html")
    house.site.guesses._clock = lambda: 10.0**9
    assert (await client.get(QUEUES, headers=bearer(fresh))).status_code == 200


async def test_guesses_through_the_login_form_count_too(open_house):
    """The form is the same door as the header."""
    house = await open_house(wrong_tokens=1.0)
    client = house.bare(headers={"origin": house.url})
    statuses = [(await client.post("/login", data={"token": f"wrong{at}"})).status_code for at in range(22)]
    assert (statuses[0], statuses[19], statuses[21]) == (303, 303, 429)


async def test_cookie_that_is_over_is_taken_back(house):
    """A page that polls with a token that was revoked would count as a guesser, and keep its owner out."""
    client = house.bare(cookies={"jobrunner_token": "jrt_0123456789_" + "x" * 43})
    answer = await client.get("/", headers=PAGE)
    assert answer.status_code == 401
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "Max-Age" not in (await house.bare().get("/")).headers.get("set-cookie", "")


def test_what_is_remembered_of_addresses_is_bounded():
    """A botnet must not fill memory; whoever is forgotten had not been heard of for the longest."""
    now = [0.0]
    guesses = Guesses(1.0, clock=lambda: now[0])
    for at in range(MAX_ADDRESSES + 500):
        guesses.wrong(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}", "t")
    for at in range(5000):
        guesses.right("10.0.0.1", f"token {at}")
    assert len(guesses._left) == MAX_ADDRESSES
    assert len(guesses._good) <= 4096
    assert not any(b"token" in mark for mark in guesses._good)


def test_network_of_an_ipv6_customer_is_one_address():
    """Each has 2**64 addresses, and could use every one of them once."""
    guesses = Guesses(1.0, clock=lambda: 0.0)
    for at in range(30):
        guesses.wrong(f"2001:db8:1:2::{at:x}", "t")
    assert guesses.wait("2001:db8:1:2:ffff::9", "t") > 0
    assert guesses.wait("2001:db8:1:3::9", "t") == 0
    assert bucket_of("::ffff:10.0.0.7") == bucket_of("10.0.0.7") == "10.0.0.7"


@pytest.mark.parametrize(
    ("peer", "told", "found"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.1.2.3", "198.51.100.1:5000", "198.51.100.1"),
        ("10.1.2.3", "[2001:db8::1]:5000", "2001:db8::1"),
        ("10.1.2.3", "made up", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "1.1.1.1, evil, 10.4.4.4", "10.4.4.4"),
    ],
)
def test_only_a_trusted_proxy_says_where_a_request_comes_from(peer, told, found):
    """Anybody can send the header: who believes it from everybody has no bound by address at all."""
    addresses = Addresses(["10.0.0.0/8"])
    assert addresses.of(peer, [(b"X-Forwarded-For", told.encode())]) == found
    assert Addresses().of(peer, [(b"x-forwarded-for", told.encode())]) == peer


def test_proxy_that_is_no_address_is_an_error_that_says_so():
    """A host name there would trust nobody, in silence."""
    from jobrunner.errors import SettingsError

    with pytest.raises(SettingsError, match=r"PROXIES.*proxy\.local"):
        http_settings({"JOBRUNNER_HTTP_PROXIES": "proxy.local"})
    assert http_settings({"JOBRUNNER_HTTP_PROXIES": "10.0.0.0/8,::1"}).proxies == ("10.0.0.0/8", "::1")


async def test_clients_behind_a_proxy_are_counted_apart(open_house):
    """Else one guesser behind it would lock out everybody."""
    house = await open_house(wrong_tokens=1.0, proxies=("127.0.0.0/8",))
    client, fresh = house.bare(), await house.token("viewer")
    guesser, other = {"x-forwarded-for": "198.51.100.1"}, {"x-forwarded-for": "198.51.100.2"}
    for _ in range(21):
        last = await client.get(QUEUES, headers=bearer("wrong") | guesser)
    assert last.status_code == 429
    assert (await client.get(QUEUES, headers=bearer(fresh) | other)).status_code == 200
    assert (await client.get(QUEUES, headers=bearer(fresh) | guesser)).status_code == 429
    assert "198.51.100.1" in {line["address"] for line in house.lines("http.denied")}


async def test_one_address_takes_no_more_than_its_share_of_requests(open_house):
    """Streams stay open: without a bound one client takes the places of all the others."""
    house = await open_house(max_per_address=3)
    client = await house.client("viewer")
    held = [asyncio.create_task(_listen(client)) for _ in range(3)]
    try:
        await until(lambda: sum(house.app._gate._under_way.values()) == 3)
        answer = await client.get(QUEUES)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get("/livez")).status_code == 200
    finally:
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
    await until(lambda: not house.app._gate._under_way)
    assert (await client.get(QUEUES)).status_code == 200


async def _listen(client):
    async with client.stream("GET", "/api/events") as stream:
        async for _ in stream.aiter_bytes():
            pass


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"host": "evil.example"}, 421),
        ("POST", "/queues/parcel.deliver/pause", {"origin": "https://evil.example"}, 403),
        ("POST", "/queues/parcel.deliver/pause", {"content-length": "99999999"}, 413),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/queues/parcel.deliver/pause", {}, 405),
    ],
)
async def test_refusal_is_a_page_for_a_browser_and_a_problem_for_a_program(
    house, method, path, headers, status
):
    """A person who is sent JSON does not know what to do; a program that is sent a page does not either."""
    token = await house.token("admin")
    async with httpx.AsyncClient(base_url=house.url, headers=bearer(token), timeout=20) as client:

        def asked(accept):
            request = client.build_request(method, path, headers=headers | accept)
            return client.send(request)

        if status == 413:
            page, problem = await _raw(house, path, "text/html"), await _raw(house, path, "*/*")
            assert (page[0], problem[0]) == (413, 413)
            assert "<h1>Too large</h1>" in page[1]
            assert '"status":413' in problem[1]
            return
        page, problem = await asked(PAGE), await asked({"accept": "application/json"})
    assert (page.status_code, problem.status_code) == (status, status)
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>" in page.text
    assert "content-security-policy" in page.headers
    if status in (421, 404):
        assert problem.json()["status"] == status
    assert "parcel" not in page.text.lower() or status != 421


async def _raw(house, path, accept):
    """A request that declares a body it does not send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Length: 99999999\r\n\r\n"
    writer.write(head.encode())
    await writer.drain()
    try:
        text = (await asyncio.wait_for(reader.read(65536), 20)).decode()
        while "\r\n\r\n" in text and not text.endswith(("</html>\n", "</html>", "}")):
            more = (await asyncio.wait_for(reader.read(65536), 20)).decode()
            text += more
            if not more:
                break
    finally:
        writer.close()
    return int(text.split()[1]), text


async def test_api_answers_problems_whatever_is_asked_for(house):
    """A program that says it takes anything, pages among it, still gets what the API promises."""
    answer = await house.bare().get(QUEUES, headers=PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def test_token_that_was_let_in_and_is_over_is_a_guess_like_any_other():
    """Else a revoked token that is sent for ever would never have to wait."""
    guesses = Guesses(1.0, clock=lambda: 0.0)
    guesses.right("10.0.0.1", "once good")
    for _ in range(21):
        guesses.wrong("10.0.0.1", "once good")
    assert guesses.wait("10.0.0.1", "once good") > 0


@pytest.mark.parametrize("address", ["fe80::1%eth0", "", "unix:", "x" * 500, "10.0.0.1:80", "::"])
def test_any_peer_has_a_bucket(address):
    """A server may name a peer in ways that nobody thought of; no request may end in an error for it."""
    assert len(bucket_of(address)) <= 64


async def test_mounted_in_another_application_refusals_are_the_same(house):
    """The path of a mounted application begins with where it is mounted, and is no page's for it."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    def scope(path, host):
        headers = [(b"host", host), (b"accept", b"text/html")]
        return {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "/jobs",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
            "state": {},
        }

    kinds = []
    for path in ("/jobs/api/queue/stats", "/jobs/queues/x"):
        await house.app(scope(path, b"evil.example"), receive, send)
        kinds.append(dict(sent[-2]["headers"])[b"content-type"])
        assert sent[-2]["status"] == 421
    assert kinds == [b"application/problem+json", b"text/html; charset=utf-8"]
    assert b"/jobs/static/style.css" in sent[-1]["body"]
    await house.app(scope("/jobs/livez", b"10.0.0.9"), receive, send)
    assert sent[-2]["status"] == 200
