"""Requests that no client of ours makes, on every route: each is answered, none is an error of ours, none gets a 5xx."""

import asyncio

import pytest
from http_house import parcel

from jobrunner_http.app import build
from jobrunner_http.dashboard import Dashboard

pytestmark = pytest.mark.long

AT_ONCE = 20
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")

IN_PATHS = (
    *("%00", "a%00b", "%ff", "%ed%a0%80", "a%0Ab", "%0d%0aX:1", "..", "%2e%2e", "%2f", "a/b", "x" * 9000),
    *("%F0%9F%98%80", "*", "{queue}", "%", "%zz", "a;b", "\xe9", "+", "__proto__", "%25%30%30", "<script>"),
)
IN_QUERIES = (
    *("", "%00", "%ff", "%ed%a0%80", "%0A", "x" * 20_000, "1_0", "%D9%A1", "+5", "1e1", "nan", "9" * 400),
    *("0:a", "-0:a", "0:s", "0:sAAAA", "0:s" + "A" * 200, "null", "[]"),
)
NAMES = (
    "limit",
    "state",
    "after",
    "tenant",
    "status",
    "last",
    "queue",
    "job",
    "range",
    "sort",
    "find",
    "done",
    "",
)
HEADERS = (
    *(
        "Authorization: Basic eA==",
        "Cookie: jobrunner_token=" + "x" * 9000,
        "Cookie: \xff\xfe",
        "Cookie: =;;;=,",
    ),
    *(
        "x-tenant-id: a\r\nx-tenant-id: b",
        "x-tenant-id: \xff",
        "x-tenant-id: ",
        "Last-Event-ID: junk",
        "Accept: \xff",
    ),
    *(
        "Accept: text/html",
        "Accept: ;;;q=x",
        "Content-Type: \xff",
        "Content-Type: application/json; charset=odd",
    ),
    *("Content-Type: multipart/form-data", "Origin: null", "Sec-Fetch-Site: \xff", "X-Forwarded-For: \xff"),
    *(
        "traceparent: \xff",
        "traceparent: a\r\ntraceparent: b",
        "tracestate: " + "x" * 20_000,
        "Host: localhost",
    ),
    *(
        "Range: bytes=0-1",
        "Expect: odd",
        "Upgrade: websocket\r\nConnection: upgrade",
        "Content-Encoding: gzip",
    ),
)
BODIES = (
    *(
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"payload":' * 100_000,
        b"9" * 5000,
        b"1e400",
        b"NaN",
    ),
    *(
        b'{"reason":"\\ud800"}',
        b'{"reason":"\\u0000"}',
        b'{"id":"\\u0000","payload":{}}',
        b'{"payload":{},"payload":1}',
    ),
    *(
        b'{"payload":{"tenantId":"acme"},"at":"0001-01-01T00:00:00+23:59"}',
        b'{"after":"-99999999999999999999:a"}',
    ),
    *(
        b'{"payload":{"tenantId":"acme"},"delay":1e5000}',
        b'{"payload":{"tenantId":"acme","number":%s}}' % (b"9" * 400),
    ),
    *(b"null", b"", b"   ", b"true", b"{1:2}", b"{}garbage", b'{"ids":["a","a"]}', b'{"maxActive":5.0}'),
)
FORMS = (
    *(
        b"tenant=%ff",
        b"tenant=%ed%a0%80",
        b"tenant=%00",
        b"tenant=a&tenant=b",
        b"limit=rate&value=%00",
        b"&&&===",
    ),
    *(
        b"limit=weight&tenant=a&value=nan",
        b"limit=weight&tenant=a&value=inf",
        b"limit=max_active&value=%D9%A1",
    ),
    *(
        b"cause=%00",
        b"cause=%ed%a0%80",
        b"reason=%ed%a0%80",
        b"token=%ff",
        b"token=%ed%a0%80&wanted=//evil",
        b"\xff",
    ),
    *(b"state=%00", b"a" * 100_000, b"x=1&" * 20_000),
)


@pytest.fixture
async def ask(open_house):
    """Return the paths of all routes, and a function that sends requests as they are and judges every answer."""
    house = await open_house(receive_timeout=5.0, wrong_tokens=100_000.0)
    token = await house.token("admin")
    (job_id,) = await house.enqueue(parcel("acme", how="fail"))
    await house.work()
    auth = f"Authorization: Bearer {token}\r\n"
    places = asyncio.Semaphore(AT_ONCE)

    async def answer(line, headers, body):
        length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
        own = "" if headers.lower().startswith(("authorization", "cookie")) else auth
        end = f"{headers}\r\n" if headers else ""
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\n{own}{end}{length}Connection: close\r\n\r\n"
        async with places:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
            try:
                writer.write(head.encode("latin-1") + (body or b""))
                await writer.drain()
                found = await asyncio.wait_for(reader.read(-1), 30)
            except ConnectionError:  # it was answered before all of it was sent
                return
            finally:
                writer.close()
        assert found.startswith(b"HTTP/1.1 "), (line[:200], headers[:80], found[:200])
        assert int(found.split()[1]) < 500, (line[:200], headers[:80], (body or b"")[:80], found[:500])

    async def all_of(requests):
        await asyncio.gather(*(answer(*request) for request in requests))
        assert house.lines("http.failed") == []

    routes = build(house.site, Dashboard(house.site)).routes
    paths = sorted({route.path_format for route in routes} - {"/api/events"})

    def filled(path, odd=None):
        known = {"queue": "parcel.deliver", "job_id": job_id, "group": "parcel", "action": "deliver"}
        for name in ("queue", "job_id", "group", "action", "name", "code"):
            path = path.replace(f"{{{name}}}", known.get(name, "x") if odd is None else odd)
        return path

    return paths, filled, all_of


async def test_every_method_on_every_route_is_answered(ask):
    """Monitors, scanners and proxies ask in all ways."""
    paths, filled, all_of = ask
    await all_of([(f"{method} {filled(path)}", "", None) for path in paths for method in METHODS])


async def test_odd_names_in_paths_are_nobodys(ask):
    """NUL, surrogates, slashes, dots, what is no UTF-8."""
    paths, filled, all_of = ask
    odd = [(path, one) for path in paths if "{" in path for one in IN_PATHS]
    await all_of(
        [
            (f"{method} {filled(path, one)}", "", b"{}")
            for path, one in odd
            for method in ("GET", "POST", "DELETE")
        ]
    )


async def test_odd_queries_do_not_fit(ask):
    """Every parameter that some route knows, on all of them."""
    paths, filled, all_of = ask
    await all_of(
        [
            (f"GET {filled(path)}?{name}={one}", "", None)
            for path in paths
            for name in NAMES
            for one in IN_QUERIES
        ]
    )


async def test_odd_headers_are_refused_or_passed_over(ask):
    """Twice, empty, too long, not ASCII."""
    paths, filled, all_of = ask
    await all_of(
        [
            (f"{method} {filled(path)}", one, None)
            for path in paths
            for one in HEADERS
            for method in ("GET", "POST")
        ]
    )


async def test_odd_bodies_are_refused(ask):
    """What is no JSON, no form, no text, too deep, too many."""
    paths, filled, all_of = ask
    kinds = (
        ("Content-Type: application/json", BODIES),
        ("Content-Type: application/x-www-form-urlencoded", FORMS),
        ("Content-Type: multipart/form-data; boundary=x", (b"--x", b"--x\r\n\r\n\r\n--x--", b"")),
    )
    await all_of(
        [(f"POST {filled(path)}", kind, body) for path in paths for kind, bodies in kinds for body in bodies]
    )
