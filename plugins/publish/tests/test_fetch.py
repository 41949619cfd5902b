"""The guarded fetch: what it brings, and what no tenant's address can make it reach.

A canary listens on loopback; every test of a forbidden address ends with nothing having reached it. Public
addresses are reached through a network that leads the one public test address to that same local server, so
what the fetch connects to is what it checked.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpcore
import pytest
from publish_desk import Canned

from jobrunner_publish import Fetcher, RefusedError, TransientError
from jobrunner_publish.fetch import resolve as resolve_for_real

PUBLIC = "93.184.215.14"
JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 40
URL = "http://cdn.example.com/a.jpg"


class Detour(httpcore.AnyIOBackend):
    """A network in which one public address is the local server, and every other is as always."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.connected: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host == PUBLIC:
            host, port = "127.0.0.1", self._port
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)


def answering(*answers: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """A resolver that gives one answer after another, and the last one from then on."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@pytest.fixture
def network(canned: Canned) -> Detour:
    return Detour(canned.port)


@pytest.fixture
async def fetcher(network: Detour) -> AsyncIterator[Fetcher]:
    async with Fetcher(max_bytes=1024, deadline=5, resolve=answering([PUBLIC]), network=network) as fetcher:
        yield fetcher


async def test_picture_comes_with_its_own_type(fetcher: Fetcher, canned: Canned) -> None:
    """The first bytes decide, not what the server says."""
    canned.reply(200, JPEG, content_type="image/png")

    media = await fetcher.fetch(URL + "?size=large#top")

    assert (media.content, media.content_type, media.file_name) == (JPEG, "image/jpeg", "media.jpeg")
    (request,) = canned.received
    assert request.startswith(b"GET /a.jpg?size=large HTTP/1.1\r\n")
    assert b"\r\nHost: cdn.example.com\r\n" in request


async def test_object_store_that_declares_no_type_is_believed_by_its_bytes(
    fetcher: Fetcher, canned: Canned
) -> None:
    """S3 and its kin serve everything as an octet stream unless told otherwise."""
    canned.reply(200, JPEG, content_type="binary/octet-stream")

    assert (await fetcher.fetch(URL)).content_type == "image/jpeg"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/_x",
        "ftp://cdn.example.com/a.jpg",
        "data:image/png;base64,AAAA",
        "//cdn.example.com/a.jpg",
        "http:///a.jpg",
        "http://user@cdn.example.com/a.jpg",
        "http://user:password@cdn.example.com/a.jpg",
        "http://cdn.example.com:8080/a.jpg",
        "https://cdn.example.com:80/a.jpg",
        "http://cdn.example.com:443/a.jpg",
        "http://[/a.jpg",
        "",
    ],
)
async def test_address_that_is_no_plain_web_address_is_refused_before_any_connection(
    url: str, fetcher: Fetcher, network: Detour
) -> None:
    """Other schemes read files and speak to other services, and a user name hides where an address leads."""
    with pytest.raises(RefusedError) as caught:
        await fetcher.fetch(url)

    assert "password" not in str(caught.value)
    assert network.connected == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1%25lo]",
        "10.0.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "127.0.0.1.",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_private_host_in_any_notation_is_never_connected_to(
    host: str, scheme: str, canned: Canned
) -> None:
    """Loopback, the cloud's metadata service and the private networks, as the system resolves them."""
    network = Detour(canned.port)
    async with Fetcher(max_bytes=1024, deadline=5, resolve=resolve_for_real, network=network) as fetcher:
        with pytest.raises(RefusedError):
            await fetcher.fetch(f"{scheme}://{host}/latest/meta-data")

    assert network.connected == []
    assert canned.received == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "nonsense"])
async def test_name_with_one_private_address_among_public_ones_is_refused(
    address: str, network: Detour
) -> None:
    """Which address is tried first is chance, so all must be public."""
    resolve = answering([PUBLIC, address])
    async with Fetcher(max_bytes=1024, deadline=5, resolve=resolve, network=network) as fetcher:
        with pytest.raises(RefusedError, match="public addresses only"):
            await fetcher.fetch(URL)

    assert network.connected == []


async def test_rebinding_name_cannot_win(canned: Canned, network: Detour) -> None:
    """The name is public when it is checked and private a moment later: the connection goes to what was checked."""
    canned.reply(200, JPEG, content_type="image/jpeg")
    resolve = answering([PUBLIC], ["127.0.0.1"])
    async with Fetcher(max_bytes=1024, deadline=5, resolve=resolve, network=network) as fetcher:
        await fetcher.fetch(URL)
        with pytest.raises(RefusedError):
            await fetcher.fetch(URL)

    assert network.connected == [PUBLIC]
    assert len(canned.received) == 1


async def test_certificate_is_asked_for_by_name_at_the_checked_address(
    fetcher: Fetcher, canned: Canned, network: Detour
) -> None:
    """TLS is made from the name, so pinning the address costs no check of the certificate."""
    canned.reply(200, JPEG)  # no TLS here: what it was greeted with is what matters

    with pytest.raises(TransientError):
        await fetcher.fetch("https://cdn.example.com/a.jpg")

    assert network.connected == [PUBLIC]
    assert b"cdn.example.com" in canned.received[0]  # the server name of the greeting


async def test_redirect_is_not_followed(fetcher: Fetcher, canned: Canned) -> None:
    """Where it leads was never checked."""
    canned.reply(302, location="http://169.254.169.254/latest/meta-data")

    with pytest.raises(RefusedError, match="redirects"):
        await fetcher.fetch(URL)

    assert len(canned.received) == 1


@pytest.mark.parametrize("declared", [True, False])
async def test_reading_stops_at_the_size(declared: bool, fetcher: Fetcher, canned: Canned) -> None:
    """A length can be left out, so the bytes are counted as they come."""
    body = b"\xff\xd8\xff" + bytes(5000)
    if declared:
        canned.reply(200, body, content_type="image/jpeg")
    else:
        canned.answer = b"HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\nconnection: close\r\n\r\n" + body

    with pytest.raises(RefusedError, match="larger than 1,024 bytes"):
        await fetcher.fetch(URL)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<!doctype html><title>No</title>", {"content_type": "text/html"}),
        (b"<!doctype html><title>No</title>", {"content_type": "image/jpeg"}),
        (JPEG, {"content_type": "text/html; charset=utf-8"}),
        (b"#EXTM3U\nfile:///etc/passwd\nhttp://127.0.0.1/canary\n", {"content_type": "video/mp4"}),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"content_type": "image/svg+xml"}),
        (b"", {"content_type": "image/jpeg"}),
        (JPEG, {"content_type": "image/jpeg", "content_encoding": "gzip"}),
    ],
)
async def test_what_is_no_picture_or_video_is_refused(
    body: bytes, headers: dict[str, str], fetcher: Fetcher, canned: Canned
) -> None:
    """Playlists and drawings name further addresses, and a page of another service is none of the tenant's."""
    canned.reply(200, body, **headers)

    with pytest.raises(RefusedError):
        await fetcher.fetch(URL)


@pytest.mark.parametrize(("status", "wait_s"), [(429, 17), (503, 17), (500, None)])
async def test_server_in_trouble_is_tried_again(
    status: int, wait_s: float | None, fetcher: Fetcher, canned: Canned
) -> None:
    """Nothing was published yet, so trying again costs nothing."""
    canned.reply(status, b"", **({"retry_after": "17"} if wait_s else {}))

    with pytest.raises(TransientError) as caught:
        await fetcher.fetch(URL)

    assert caught.value.retry_after == wait_s


@pytest.mark.parametrize("status", [204, 206, 304, 403, 404, 410])
async def test_what_is_not_there_is_given_up(status: int, fetcher: Fetcher, canned: Canned) -> None:
    """The tenant has to give another address."""
    canned.reply(status)

    with pytest.raises(RefusedError, match=str(status)):
        await fetcher.fetch(URL)


async def test_server_that_never_answers_ends_at_the_deadline(canned: Canned, network: Detour) -> None:
    """One deadline over everything: a byte a second would outlive any timeout of a single read."""

    async def never(host: str, port: int) -> list[str]:
        await canned.forever.wait()
        return []

    async with Fetcher(max_bytes=1024, deadline=0.05, resolve=never, network=network) as fetcher:
        with pytest.raises(TransientError, match="within"):
            await fetcher.fetch(URL)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), RefusedError),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), TransientError),
    ],
)
async def test_name_that_does_not_exist_is_given_up_and_a_resolver_in_trouble_is_not(
    error: socket.gaierror, expected: type[Exception], network: Detour
) -> None:
    """A resolver's bad minute must not cost a tenant its post."""

    async def failing(host: str, port: int) -> list[str]:
        raise error

    async with Fetcher(max_bytes=1024, deadline=5, resolve=failing, network=network) as fetcher:
        with pytest.raises(expected):
            await fetcher.fetch(URL)


async def test_second_address_is_tried_where_the_first_does_not_answer(
    canned: Canned, unused_tcp_port: int
) -> None:
    """Hosts have several addresses so that one may be away."""
    canned.reply(200, JPEG, content_type="image/jpeg")

    class FirstAway(Detour):
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            if host != PUBLIC:
                self.connected.append(host)
                raise httpcore.ConnectError("refused")
            return await super().connect_tcp(host, port, timeout, local_address, socket_options)

    network = FirstAway(canned.port)
    resolve = answering(["93.184.215.13", PUBLIC])
    async with Fetcher(max_bytes=1024, deadline=5, resolve=resolve, network=network) as fetcher:
        await fetcher.fetch(URL)

    assert network.connected == ["93.184.215.13", PUBLIC]


async def test_proxy_of_the_environment_is_not_used(
    fetcher: Fetcher, canned: Canned, network: Detour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name itself, unchecked; who needs one sets the gateway."""
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    canned.reply(200, JPEG, content_type="image/jpeg")

    await fetcher.fetch(URL)

    assert network.connected == [PUBLIC]


async def test_gateway_is_asked_in_place_of_the_address(canned: Canned) -> None:
    """Where workers have no way out; the gateway is the operator's, so its private address is fine."""
    canned.reply(200, JPEG, content_type="image/jpeg")
    async with Fetcher(max_bytes=1024, deadline=5, gateway=f"{canned.url}/media") as fetcher:
        await fetcher.fetch("https://cdn.example.com/a.jpg?x=1&y=2")

    (request,) = canned.received
    assert b"/media?url=https%3A%2F%2Fcdn.example.com%2Fa.jpg%3Fx%3D1%26y%3D2 HTTP/1.1" in request


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.jpg", "http://0x7f000001/a.jpg", "file:///etc/passwd"])
async def test_gateway_is_not_asked_for_what_is_forbidden_by_its_text(url: str, canned: Canned) -> None:
    """The gateway may be less careful than this."""
    async with Fetcher(max_bytes=1024, deadline=5, gateway=canned.url) as fetcher:
        with pytest.raises(RefusedError):
            await fetcher.fetch(url)

    assert canned.received == []


async def test_wait_that_a_tenants_server_names_is_a_day_at_most(fetcher: Fetcher, canned: Canned) -> None:
    """No job can wait for longer than a month, and one that asks to is an error of the plugin's."""
    canned.reply(503, retry_after="99999999999")

    with pytest.raises(TransientError) as caught:
        await fetcher.fetch(URL)

    assert caught.value.retry_after == 86_400
