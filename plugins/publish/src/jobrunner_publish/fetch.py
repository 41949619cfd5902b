"""The one guarded fetch: whatever a worker reads from an address that a tenant gave comes through here.

A name is resolved once, all of its addresses must be public, and the connection goes to an address that was
checked, so an answer that changes between check and use gains nothing. No redirect is followed, no proxy of
the environment used, and reading stops at a size and at a deadline. It never sends anything but a plain GET.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Self

import httpcore
import httpx
import msgspec

from jobrunner_publish.addresses import check_web_url, is_public, shown_url
from jobrunner_publish.api import wait_named
from jobrunner_publish.failures import PublishError, RefusedError, TransientError
from jobrunner_publish.sniffing import content_type_of

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses in standard notation."""

NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

UNDECLARED = ("", "application/octet-stream", "binary/octet-stream")
"""Content types that say nothing, as object stores send them; then the first bytes decide alone."""

HEADERS = {"Accept": "image/*, video/*", "Accept-Encoding": "identity", "User-Agent": "jobrunner-publish"}


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """What was fetched.

    Args:
        content: The bytes.
        content_type: What they are by their own first bytes, such as `image/jpeg`.
    """

    content: bytes
    content_type: str

    @property
    def file_name(self) -> str:
        """A name for an upload's form; never one that the tenant chose."""
        return f"media.{self.content_type.rpartition('/')[2]}"

    @property
    def is_image(self) -> bool:
        """Whether it is a picture."""
        return self.content_type.startswith("image/")


async def resolve(host: str, port: int) -> list[str]:
    """Return a name's addresses as the system resolves them.

    Raises:
        OSError: The name cannot be resolved.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only: resolves once, checks all, and connects to one that was checked.

    TLS and the Host header are made above it from the name, so certificates are checked as ever.

    Args:
        resolve: Gives a name's addresses.
        inner: Connects to an address.
    """

    def __init__(self, *, resolve: Resolve, inner: httpcore.AsyncNetworkBackend) -> None:
        self._resolve = resolve
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            RefusedError: The name does not exist, or one of its addresses is not public.
            TransientError: The name cannot be resolved now.
            httpcore.NetworkError: No address answers.
        """
        addresses = await self._addresses(host, port)
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 - the base class has it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - likewise
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no tenant's address leads to a local socket."""
        raise RefusedError(f"{path}: local sockets are not fetched from")

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts to connect; the pool above is told to make one."""
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = await self._resolve(host, port)
        except socket.gaierror as error:
            if error.errno in NO_SUCH_NAME:
                raise RefusedError(f"{host}: there is no such host") from None
            raise TransientError(f"{host} cannot be resolved now: {error.strerror}") from None
        except (OSError, UnicodeError) as error:
            raise TransientError(f"{host} cannot be resolved now: {error}") from None
        # One private address among public ones is refused, too: a client's choice must not decide.
        if not all(is_public(address) for address in addresses):
            raise RefusedError(f"{host} does not have public addresses only")
        return addresses


class Fetcher:
    """Fetches tenants' media, guarded. One a worker; used as an async context manager.

    Args:
        max_bytes: The most that is read of one address.
        deadline: Seconds for one address as a whole, from resolving to the last byte.
        gateway: An egress gateway of the operator's that fetches in our place; empty to fetch directly.
        resolve: Gives a name's addresses.
        network: Connects to an address that was checked.
        tls: How certificates are checked; None as usual.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        deadline: float,
        gateway: str = "",
        resolve: Resolve = resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._deadline_s = deadline
        self._gateway = gateway
        inner = network or httpcore.AnyIOBackend()
        # The gateway is the operator's own and may well have a private address.
        backend = inner if gateway else GuardedBackend(resolve=resolve, inner=inner)
        # No connection is kept: one that is used again would skip the check of its address.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls, max_keepalive_connections=0, network_backend=backend
        )

    async def __aenter__(self) -> Self:
        """Return the fetcher."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close what is open."""
        await self._pool.aclose()

    async def fetch(self, url: str) -> Media:
        """Return what is at a tenant's address.

        Args:
            url: A public http or https address of an image or a video.

        Returns:
            The bytes, and what they are by their own first bytes.

        Raises:
            RefusedError: The address may not be fetched, or what is there is no image or video, is too large,
                or is not there.
            TransientError: It could not be fetched now.
        """
        checked = check_web_url(url)
        shown = shown_url(checked)
        target = checked.copy_with(fragment=None)
        if self._gateway:
            target = httpx.URL(self._gateway, params={"url": str(target)})
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._fetch(target, shown)
        except TimeoutError:
            raise TransientError(f"{shown} was not there within {self._deadline_s:g} s") from None
        except PublishError:
            raise
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
            ssl.SSLError,
        ) as error:
            raise TransientError(f"{shown} cannot be fetched: {type(error).__name__}: {error}") from None

    async def _fetch(self, target: httpx.URL, shown: str) -> Media:
        async with self._get(target) as answer:
            headers = httpx.Headers(answer.headers)
            self._check_status(answer.status, headers, shown)
            declared = headers.get("content-type", "").partition(";")[0].strip().lower()
            if not declared.startswith(("image/", "video/")) and declared not in UNDECLARED:
                raise RefusedError(f"{shown} is {declared[:60]}, not an image or a video")
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise RefusedError(f"{shown} is compressed, which was not asked for")
            content = await self._read(answer, headers, shown)
        content_type = content_type_of(content)
        if content_type is None:
            raise RefusedError(f"{shown} is not an image or a video, whatever it says it is")
        return Media(content=content, content_type=content_type)

    @asynccontextmanager
    async def _get(self, target: httpx.URL) -> AsyncIterator[httpcore.Response]:
        url = httpcore.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        headers = [("Host", target.netloc.decode("ascii")), *HEADERS.items()]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._deadline_s)
        async with self._pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts}) as answer:
            yield answer

    def _check_status(self, status: int, headers: httpx.Headers, shown: str) -> None:
        if status == httpx.codes.OK:
            return
        if status in (408, 425, 429) or status >= 500:
            wait_s = wait_named(httpx.Response(status, headers=headers))
            raise TransientError(f"{shown} answered {status}", retry_after=wait_s)
        if 300 <= status < 400:
            raise RefusedError(
                f"{shown} answered {status}: redirects are not followed, give the last address"
            )
        raise RefusedError(f"{shown} answered {status}")

    async def _read(self, answer: httpcore.Response, headers: httpx.Headers, shown: str) -> bytes:
        too_large = RefusedError(f"{shown} is larger than {self._max_bytes:,} bytes")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise too_large
        content = bytearray()
        async for chunk in answer.aiter_stream():
            content += chunk
            # While reading, too: a length can be left out, and can be a lie.
            if len(content) > self._max_bytes:
                raise too_large
        return bytes(content)
