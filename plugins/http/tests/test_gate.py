"""The gate: hosts, origins, bodies, headers, and the dashboard's log-in cookie."""

import asyncio
import socket

import httpx
import pytest
from http_house import parcel, until

QUEUE = "/api/queue/parcel.deliver"


async def raw(house, data, *, seconds=20.0, until_end=False, half=False):
    """What comes back for bytes as they are; all of it until the server ends the connection, if wanted.

    With `half` our own side of the connection is ended after them.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(data)
    await writer.drain()
    if half:
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(-1 if until_end else 65536), seconds)
    finally:
        writer.close()


async def test_head_is_a_get_without_its_body(house):
    """Whoever watches a site asks so; a 405 looks like a site that is down.

    Source: RFC 9110, 9.1: all general-purpose servers must support GET and HEAD.
    """
    client, nobody = await house.client("viewer"), house.bare()
    for path in (
        "/livez",
        "/readyz",
        "/login",
        "/api/queue/stats",
        "/",
        "/queues/parcel.deliver",
        "/api/openapi.json",
    ):
        got, asked = await client.get(path), await client.head(path)
        assert (asked.status_code, asked.content) == (200, b""), path
        assert asked.headers["content-type"] == got.headers["content-type"]
        assert abs(int(asked.headers["content-length"]) - len(got.content)) < 40  # a page tells the time
        assert set(asked.headers) == set(got.headers)
    assert (await nobody.head("/api/queue/stats")).status_code == 401
    assert (await client.head("/nope")).status_code == 404
    code = house.site.link(await house.token("viewer"))
    for path in ("/api/events", "//api//events/", f"{QUEUE}/pause", f"/login/{code}", f"//login//{code}"):
        assert (await client.head(house.url + path)).status_code == 405, path
    assert (await nobody.get(f"/login/{code}")).status_code == 303


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:3000", 200),
        ("LOCALHOST", 200),
        ("[::1]:3000", 200),
        ("jobs.example.com", 200),
        ("jobs.example.com:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:evil", 421),
        ("", 421),
    ],
)
async def test_only_our_own_names_are_answered(open_house, host, status):
    """A page that points its own name at this machine could otherwise read answers through a visitor's browser."""
    house = await open_house(allowed_hosts=("jobs.example.com",))
    client = await house.client("viewer")
    answer = await client.get("/api/queue/stats", headers={"host": host})
    assert answer.status_code == status
    assert (await client.get("/livez", headers={"host": host})).status_code == 200


async def test_two_host_headers_are_none(house):
    """What a proxy and we could read differently is refused."""
    answer = await raw(house, b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert answer.split()[1] in (b"400", b"421")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"sec-fetch-site": "same-origin"}, 202),
        ({"sec-fetch-site": "none"}, 202),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://jobs.example.com"}, 202),
        ({"origin": "https://app.example.com"}, 202),
        ({"origin": "https://app.example.com", "sec-fetch-site": "cross-site"}, 202),
        ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, 403),
    ],
)
async def test_page_of_another_origin_changes_nothing(open_house, headers, status):
    """A visitor's browser must not enqueue for a page that it happens to show."""
    house = await open_house(public_url="https://jobs.example.com", cors_origins=("https://app.example.com",))
    client = await house.client("operator")
    answer = await client.post(f"{QUEUE}/jobs", json={"payload": {"tenantId": "acme"}}, headers=headers)
    assert answer.status_code == status
    assert house.redis.hlen("jr:{parcel.deliver}:jobs") == (1 if status == 202 else 0)


async def test_cookie_alone_changes_nothing_without_a_page_of_ours(house):
    """A browser sends the cookie by itself; it counts only where the browser says that our own page asks."""
    token = await house.token("operator")
    client = house.bare(headers={"cookie": f"jobrunner_token={token}"})
    body = {"payload": {"tenantId": "acme"}}
    assert (await client.get("/api/queue/stats")).status_code == 200
    assert (await client.post(f"{QUEUE}/jobs", json=body)).status_code == 403
    own = {"origin": house.url}
    assert (await client.post(f"{QUEUE}/jobs", json=body, headers=own)).status_code == 202
    foreign = {"origin": "http://127.0.0.1:1"}
    assert (await client.post(f"{QUEUE}/jobs", json=body, headers=foreign)).status_code == 403


async def test_no_other_origin_is_told_that_it_may_read(open_house):
    """CORS is off unless it is set, and then for the origins that are named."""
    house = await open_house()
    client = await house.client("viewer")
    answer = await client.get("/api/queue/stats", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    named = await open_house(cors_origins=("https://app.example.com",))
    client = await named.client("viewer")
    answer = await client.get("/api/queue/stats", headers={"origin": "https://app.example.com"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-credentials" not in answer.headers
    answer = await client.get("/api/queue/stats", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_every_answer_carries_what_keeps_browsers_safe(house):
    """Errors, probes and redirects too: the one answer without the headers is the one that is found."""
    client = await house.client("viewer")
    for path in ("/api/queue/stats", "/livez", "/nope", "/api/health", "/login/x"):
        answer = await client.get(path)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
    refused = await client.get("/api/queue/stats", headers={"host": "evil.example"})
    assert refused.headers["x-content-type-options"] == "nosniff"


async def test_body_is_bounded_while_it_is_read(open_house):
    """With a length that says so, without one, and with a length that lies."""
    house = await open_house(max_body=2048)
    client = await house.client("operator")
    large = {"payload": {"tenantId": "acme", "how": "x" * 4096}}
    answer = await client.post(f"{QUEUE}/jobs", json=large)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")

    async def endless():
        for _ in range(64):
            yield b"x" * 1024

    chunked = await client.post(f"{QUEUE}/jobs", content=endless())
    assert chunked.status_code == 413
    assert (await client.get("/api/queue/stats")).status_code == 200


async def test_slow_body_is_given_up(open_house):
    """A body that does not come is answered after its time, and the connection ends."""
    house = await open_house(receive_timeout=1.0)
    token = await house.token("operator")
    head = (
        f"POST {QUEUE}/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 1000\r\n\r\n{"
    ).encode()
    answer = await raw(house, head, until_end=True)
    assert answer.split()[1] == b"408"


@pytest.mark.parametrize(
    "path", [f"{QUEUE}/jobs", f"{QUEUE}/limits", "/queues/parcel.deliver/pause", "/login"]
)
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\n{",
        b"Content-Length: 100\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nno length\r\n",
    ],
)
async def test_body_that_breaks_off_is_the_clients_fault(house, path, rest):
    """A client that goes away while it sends is no error of ours: nobody is to be woken by it, and nothing is changed."""
    token, before = await house.token("operator"), house.dump()
    kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
    ).encode()
    answer = await raw(house, head + rest, half=True, until_end=True)
    assert answer.split()[1] == b"400"
    assert b"the body broke off" in answer
    assert house.lines("http.failed") == []
    assert house.dump() == before


async def test_client_that_is_gone_before_its_body_ends_leaves_no_error(house):
    """As above, where nobody is there to read the answer."""
    token = await house.token("operator")
    head = f"POST {QUEUE}/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n{{"
    _, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(head.encode())
    await writer.drain()
    await until(lambda: house.app._gate._under_way)
    writer.transport.abort()
    await until(lambda: not house.app._gate._under_way)
    assert house.lines("http.failed") == []


@pytest.mark.parametrize(
    "head",
    [
        b"POST /api/queue/parcel.deliver/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"POST /nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"POST /nope HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000\r\n\r\n{",
    ],
)
async def test_answer_before_the_body_is_there_ends_the_connection(house, head):
    """A body that nobody reads has no deadline; it must not hold a connection that was answered already."""
    answer = await raw(house, head, until_end=True)
    assert answer.startswith(b"HTTP/1.1 ")
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nG",
    ],
)
async def test_connection_that_asks_nothing_more_is_ended(open_house, sent):
    """Before its first request and after the last: else a few thousand that say nothing keep everybody out."""
    house = await open_house(header_timeout=1.0)
    answer = await raw(house, sent, until_end=True)
    assert answer.startswith(b"HTTP/1.1 200") == sent.startswith(b"GET")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such bound")
async def test_client_that_takes_nothing_of_its_answer_loses_its_place(open_house):
    """Whoever asks and never reads would hold a connection for ever: ten of them, and nobody else gets in."""
    house = await open_house(max_connections=10, send_timeout=1.0)
    token = await house.token("viewer")
    await house.enqueue(*[parcel("acme", at) for at in range(590)])
    path = f"{QUEUE}/jobs?limit=500"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    deaf = []
    try:
        for _ in range(10):
            one = socket.socket()
            deaf.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.connect(("127.0.0.1", house.server.port))
            one.sendall(request * 20)
        assert (await house.bare().get("/livez", timeout=60)).status_code == 200
    finally:
        for one in deaf:
            one.close()


async def test_large_head_is_refused(house):
    """Nothing of it reaches the application."""
    answer = await raw(house, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 60_000 + b"\r\n\r\n")
    assert answer.split()[1] == b"431"


async def test_log_in_gives_a_cookie_that_no_script_and_no_other_site_has(open_house):
    """The token is in the page's reach at no time, and goes over TLS only where there is TLS."""
    house = await open_house(public_url="https://jobs.example.com")
    token = await house.token("viewer", name="eve")
    browser = house.bare()
    answer = await browser.post("/login", data={"token": token}, headers={"origin": house.url})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "secure", "path=/"))
    headers = {"cookie": f"jobrunner_token={token}"}
    assert (await house.bare().get("/api/queue/stats", headers=headers)).status_code == 200

    wrong = await house.bare().post("/login", data={"token": "nonsense"}, headers={"origin": house.url})
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/login?failed=1")
    assert "set-cookie" not in wrong.headers
    foreign = await house.bare().post(
        "/login", data={"token": token}, headers={"origin": "https://evil.example"}
    )
    assert foreign.status_code == 403
    out = await house.bare().post("/logout", headers={**headers, "origin": house.url})
    assert "max-age=0" in out.headers["set-cookie"].lower()
    assert [line["what"] for line in house.lines("http.changed")] == ["logged_in", "logged_out"]
    assert token not in house.stream.getvalue()


async def test_link_is_good_once(house):
    """A link stays in a history; what is in it must be worth nothing by then."""
    token = await house.token("admin")
    code = house.site.link(token)
    first = await house.bare().get(f"/login/{code}")
    assert (first.status_code, token in first.headers["set-cookie"]) == (303, True)
    assert (await house.bare().get(f"/login/{code}")).status_code == 404
    assert (await house.bare().get("/login/guess")).status_code == 404


async def test_application_works_inside_another(house):
    """Mounted below a path, without lifespan events: routes, locations and the cookie's path follow."""
    app = house.app

    async def outer(scope, receive, send):
        assert scope["path"].startswith("/jobs-api")
        inner = {**scope, "root_path": "/jobs-api", "path": scope["path"].removeprefix("/jobs-api")}
        await app(inner, receive, send)

    token = await house.token("operator")
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post(
            "/jobs-api/api/queue/note.send/jobs",
            json={"payload": {"to": "me"}},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 202
        assert answer.headers["location"].startswith("/jobs-api/api/queue/note.send/jobs/")


async def test_denials_are_told_at_most_once_a_second(house):
    """A flood of bad tokens must not fill a disk, and must not pass unseen."""
    nobody = house.bare()
    for _ in range(30):
        await nobody.get("/api/queue/stats")
    lines = house.lines("http.denied")
    assert 1 <= len(lines) < 15
    assert lines[0]["status"] == 401
