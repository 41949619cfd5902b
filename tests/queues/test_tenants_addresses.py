"""No address that a tenant writes into a payload leads a worker to a private place.

A canary listens on loopback, and every connection that this process makes is seen: whatever the address, the job may
talk to the platforms' stand-ins and to nothing else. Of all queues `publish.dispatch` alone takes addresses (media, and
a Mastodon account's instance); a test holds that, too.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Iterator

import msgspec
import pytest

from jobrunner.testing import Harness
from jobrunner_sandbox import SandboxServer
from queues.source_payloads import FULL, QUEUES

UPLOADING = ("linkedin", "mastodon", "x")
"""The platforms that get a picture's bytes from us; the others get its address."""

HOSTS = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001"),
    *("0", "0.0.0.0", "127.0.0.1.", "127.255.255.254", "%31%32%37.0.0.1", "①②⑦.0.0.1", "127。0。0。1"),
    *(
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
    ),
    *("[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "[fd00:ec2::254]"),
    *("localhost", "LOCALHOST", "localhost.", "lOcAlHoSt."),
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]"),
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "255.255.255.255", "224.0.0.1"),
]
NAMES = {
    "loopback.example.com": "127.0.0.1",
    "me.localhost": "127.0.0.1",
    "mapped.example.com": "::ffff:127.0.0.1",
    "metadata.example.com": "169.254.169.254",
    "six.example.com": "::1",
    "intranet.example.com": "10.1.2.3",
}
"""Public names whose owner points them at private addresses."""


class Canary:
    """A server on loopback that answers with a picture, and keeps who asked it for what."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port = listener.getsockname()[1]
        self.hits: list[bytes] = []
        self.location = ""

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                self.hits.append(connection.recv(65_536).partition(b"\r\n")[0])
                head = f"302 Found\r\nLocation: {self.location}" if self.location else "200 OK"
                body = b"\xff\xd8\xff\xe0picture"
                more = f"Content-Type: image/jpeg\r\nContent-Length: {len(body)}\r\nConnection: close"
                connection.sendall(f"HTTP/1.1 {head}\r\n{more}\r\n\r\n".encode() + body)


@pytest.fixture
def canary() -> Iterator[Canary]:
    listener = socket.create_server(("127.0.0.1", 0))
    canary = Canary(listener)
    thread = threading.Thread(target=canary.serve, daemon=True)
    thread.start()
    yield canary
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


class Watch:
    """Every address that this process connects to, whoever in it does so."""

    def __init__(self) -> None:
        self.seen: list[object] | None = None
        sys.addaudithook(self._hear)  # hooks stay for good, so there is one, switched on and off

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect" and self.seen is not None:
            self.seen.append(arguments[1])


WATCH = Watch()


@pytest.fixture
def connections() -> Iterator[list[object]]:
    WATCH.seen = seen = []
    yield seen
    WATCH.seen = None


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer.in_thread() as server:
        yield server


@pytest.fixture
def told_by_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of the outside, as a resolver would answer for them."""
    real = socket.getaddrinfo

    def getaddrinfo(host, *more, **named):
        return real(NAMES.get(host, host), *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def post(platform, *, media=(), **credentials):
    return {
        "tenantId": "acme",
        "postId": "post-1",
        "scheduleId": "schedule-1",
        "platforms": [
            {"platform": platform, "accountId": "acme", "credentials": {"accessToken": "t-1", **credentials}}
        ],
        "content": {"hook": "Look", "body": "here", "hashtags": [], "mediaUrls": list(media)},
        "scheduledTime": "2024-12-01T09:00:00Z",
    }


async def publish(sandbox, payloads, **more):
    """What became of each post, in order: its state and why, when a worker with real resources is through with all."""
    urls = sandbox.services()
    settings = {f"{name}_url": urls[name] for name in ("graph", "linkedin", "x", "mastodon")} | more
    async with Harness("publish", settings=settings) as harness:
        handles = [await harness.enqueue("publish.dispatch", one) for one in payloads]
        await harness.drain()
        jobs = [harness.job(handle) for handle in handles]
        return [(job.state, job.errors[-1].message if job.errors else "") for job in jobs]


def elsewhere(connections, sandbox):
    """Connections to anything but the platforms' stand-ins."""
    port = int(sandbox.url.rpartition(":")[2])
    return [one for one in connections if not (isinstance(one, tuple) and one[1] == port)]


def tricks(canary: Canary) -> list[str]:
    port = canary.port
    plain = [f"http://{host}/latest/meta-data" for host in [*HOSTS, *NAMES]]
    secure = [f"https://{host}/" for host in HOSTS]
    ported = [f"http://{host}:{port}/" for host in [*HOSTS, *NAMES]]
    return [
        *plain,
        *secure,
        *ported,
        f"http://cdn.example.com@127.0.0.1:{port}/",
        f"http://cdn.example.com:80@127.0.0.1:{port}/a.jpg",
        f"http://127.0.0.1:{port}\\@cdn.example.com/a.jpg",
        f"http://127.0.0.1:{port}#@cdn.example.com/",
        f"http://127.0.0.1:{port}?@cdn.example.com/",
        f"http:///127.0.0.1:{port}/",
        f"http://[::ffff:127.0.0.1]:{port}/",
        f"http://127.0.0.1:0{port}/",
        f"http://localhost:{port}/a.jpg",
    ]


async def test_media_of_no_address_reach_a_private_place(canary, sandbox, connections, told_by_dns):
    """As a tenant would try them, one by one: not one connection, and no post without its picture either."""
    urls = tricks(canary)
    posts = [post("mastodon", media=[url]) for url in urls]
    posts += [post(name, media=[f"http://127.0.0.1:{canary.port}/a.jpg"]) for name in UPLOADING]

    ended = await publish(sandbox, posts)

    assert len(urls) > 100
    published = [
        one["content"]["mediaUrls"] for one, (state, _) in zip(posts, ended, strict=True) if state != "failed"
    ]
    assert published == []
    assert canary.hits == []
    assert elsewhere(connections, sandbox) == []
    assert sandbox.ledger.posts() == []


async def test_gateway_s_redirect_leads_nowhere(canary, sandbox):
    """The operator's gateway is asked; what it points at is not."""
    canary.location = f"http://127.0.0.1:{canary.port}/latest/meta-data"
    gateway = f"http://127.0.0.1:{canary.port}/gateway"

    ((state, why),) = await publish(
        sandbox, [post("mastodon", media=["https://cdn.example.com/a.jpg"])], media_gateway=gateway
    )

    assert state == "failed"
    assert "redirects are not followed" in why
    assert len(canary.hits) == 1
    assert canary.hits[0].startswith(b"GET /gateway?url=")
    assert sandbox.ledger.posts() == []


async def test_instance_of_no_credential_reaches_a_private_place(canary, sandbox, connections, told_by_dns):
    """A Mastodon account names its instance, and the token goes there."""
    instances = [
        f"{scheme}://{host}{port}"
        for scheme in ("http", "https")
        for host in [*HOSTS, *NAMES]
        for port in ("", f":{canary.port}")
    ]
    instances += [
        f"https://mastodon.example@127.0.0.1:{canary.port}",
        f"https://127.0.0.1:{canary.port}#mastodon.example",
        f"//127.0.0.1:{canary.port}",
    ]
    posts = [post("mastodon", instanceUrl=one) for one in instances]

    ended = await publish(sandbox, posts, mastodon_instances=["mastodon.example"])

    assert [one for one, (state, _) in zip(instances, ended, strict=True) if state != "failed"] == []
    assert canary.hits == []
    assert elsewhere(connections, sandbox) == []
    assert sandbox.ledger.posts() == []


async def test_watch_sees_a_connection(canary, connections):
    """Else the tests above would pass whatever happened."""
    with socket.create_connection(("127.0.0.1", canary.port)) as probe:
        probe.sendall(b"GET / HTTP/1.1\r\n\r\n")
        probe.recv(100)
    assert connections == [("127.0.0.1", canary.port)]
    assert canary.hits == [b"GET / HTTP/1.1"]


async def test_no_other_queue_takes_an_address(producer: Harness):
    """A queue that gets one has to be added to the tests above."""
    taking = {
        name
        for name in QUEUES.values()
        if "url" in json.dumps(sorted(_fields(producer.plugins.queues[name].payload))).lower()
    }
    assert taking == {"publish.dispatch"}
    assert set(QUEUES.values()) == set(producer.plugins.queues)
    assert "mediaUrls" in FULL["publish/dispatch"]["content"]


def _fields(kind) -> set[str]:
    """The names of all fields of a payload type, at any depth, as on the wire."""
    found: set[str] = set()
    pending = [msgspec.inspect.type_info(kind)]
    seen: set[int] = set()
    while pending:
        info = pending.pop()
        if id(info) in seen:
            continue
        seen.add(id(info))
        if isinstance(info, msgspec.inspect.StructType):
            found |= {field.encode_name for field in info.fields}
            pending += [field.type for field in info.fields]
        for name in ("type", "item_type", "value_type"):
            inner = getattr(info, name, None)
            if isinstance(inner, msgspec.inspect.Type):
                pending.append(inner)
        pending += getattr(info, "types", ())
    return found
