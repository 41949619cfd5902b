"""From an address to a store: which connections to make, for each kind of server.

Nothing is connected here; the first command connects. The driver is imported when a store is opened, since that
alone takes longer than most commands of the command line.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jobrunner.errors import SettingsError
from jobrunner.store.address import Address

if TYPE_CHECKING:
    import redis.asyncio.connection as aconnection
    from redis import connection as sconnection

    from jobrunner.store.embedded import EmbeddedServer
    from jobrunner.store.store import Store, SyncStore

KEEPALIVE_S = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A peer that vanished without a word is noticed within 45 s, even where nothing is sent."""

CONNECT_S = 3.0
"""Seconds that a connection may take to be made."""

ASK_S = 1.0
"""Seconds that a Sentinel may take before the next one is asked: three of them that hang fit into a call's deadline."""

SYNC_TIMEOUT_S = 8.0
"""Seconds that a blocking command may take; as `link.TIMEOUT_S`."""


def open_store(address: Address, prefix: str = "jr") -> Store:
    """Open a store for those who await. The embedded server is started, or joined, at once.

    Raises:
        StoreRefusedError: The embedded server cannot be had on this machine.
    """
    from jobrunner.store.link import ConnectionLink  # noqa: PLC0415 - see the module's first lines
    from jobrunner.store.store import Store  # noqa: PLC0415

    if address.kind == "cluster":
        from jobrunner.store.cluster_link import ClusterLink  # noqa: PLC0415

        _tls(address)  # what is wrong with it is told now, as for other servers
        return Store(
            ClusterLink(address.hosts, lambda node: ConnectionLink(_maker(_one(address, node)))), prefix
        )
    if address.kind == "embedded":
        folder = _EmbeddedFolder(Path(address.path))
        return Store(ConnectionLink(_embedded_maker(folder)), prefix, release=folder.release)
    return Store(ConnectionLink(_maker(address)), prefix)


def open_sync_store(address: Address, prefix: str = "jr", timeout: float = SYNC_TIMEOUT_S) -> SyncStore:
    """Open a store for those who do not await.

    Args:
        address: Where it is.
        prefix: What all keys begin with.
        timeout: Seconds that a command may take.

    Raises:
        StoreRefusedError: The embedded server cannot be had on this machine.
    """
    from jobrunner.store.store import SyncStore  # noqa: PLC0415
    from jobrunner.store.sync_link import SyncConnectionLink  # noqa: PLC0415

    if address.kind == "cluster":
        from jobrunner.store.sync_cluster_link import SyncClusterLink  # noqa: PLC0415

        _tls(address)

        def connect(node: tuple[str, int]) -> SyncConnectionLink:
            return SyncConnectionLink(_sync_maker(_one(address, node), timeout))

        return SyncStore(SyncClusterLink(address.hosts, connect), prefix)
    if address.kind == "embedded":
        folder = _EmbeddedFolder(Path(address.path))

        def make() -> sconnection.AbstractConnection:
            return _sync_maker(folder.address(), timeout)()

        link = SyncConnectionLink(make)
        return SyncStore(link, prefix, release=folder.release)
    return SyncStore(SyncConnectionLink(_sync_maker(address, timeout)), prefix)


class _EmbeddedFolder:
    """A hold on the embedded server of a folder, which starts it again if it died under us."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._server = self._acquire()

    def address(self) -> Address:
        """The address of its socket; may block while the server starts."""
        with self._lock:
            if not self._answers():
                dead, self._server = self._server, self._acquire()
                dead.release()
            return Address(kind="unix", path=self._server.socket_path)

    def release(self) -> None:
        """Let go of it; the last one to do so ends the server."""
        self._server.release()

    def _acquire(self) -> EmbeddedServer:
        from jobrunner.store.embedded import EmbeddedServer  # noqa: PLC0415 - see the module's first lines

        return EmbeddedServer.acquire(self._folder)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self._server.socket_path)
            except OSError:
                return False
        return True


def _embedded_maker(folder: _EmbeddedFolder) -> Callable[[], Awaitable[aconnection.AbstractConnection]]:
    async def make() -> aconnection.AbstractConnection:
        address = await asyncio.to_thread(folder.address)
        return await _maker(address)()

    return make


def _maker(address: Address) -> Callable[[], Awaitable[aconnection.AbstractConnection]]:
    import redis.asyncio.connection as driver  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    from jobrunner.store.wire import pack  # noqa: PLC0415

    # No socket timeout: the link has a deadline of its own, and the driver's costs a task a command.
    options = _login(address) | {"retry": Retry(NoBackoff(), 0), "socket_connect_timeout": CONNECT_S}
    options["socket_timeout"] = None
    if address.kind == "unix":

        async def make_unix() -> driver.AbstractConnection:
            return driver.UnixDomainSocketConnection(path=address.path, **options)

        return make_unix
    tcp = options | {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    kind = driver.SSLConnection if address.tls else driver.Connection
    tcp |= _tls(address)
    if address.kind == "tcp":
        host, port = address.hosts[0]

        async def make_tcp() -> driver.AbstractConnection:
            return kind(host=host, port=port, **tcp)  # type: ignore[arg-type]

        return make_tcp

    from jobrunner.store.sentinels import Sentinels, check_role  # noqa: PLC0415

    sentinels, theirs = Sentinels(address.hosts, address.master), _sentinel(address) | _tls(address)

    def to_sentinel(node: tuple[str, int]) -> driver.AbstractConnection:
        return kind(host=node[0], port=node[1], retry=Retry(NoBackoff(), 0), **theirs)  # type: ignore[arg-type]

    async def make_by_sentinel() -> driver.AbstractConnection:
        node = await sentinels.primary(to_sentinel)
        connection = kind(host=node[0], port=node[1], **tcp)  # type: ignore[arg-type]
        try:
            await connection.connect()
            await connection.send_packed_command([pack(("ROLE",))], check_health=False)
            check_role(await connection.read_response(disable_decoding=True), node)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    return make_by_sentinel


def _sync_maker(address: Address, timeout: float) -> Callable[[], sconnection.AbstractConnection]:
    import redis.connection as driver  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    from jobrunner.store.wire import pack  # noqa: PLC0415

    options = _login(address) | {"retry": Retry(NoBackoff(), 0), "socket_connect_timeout": CONNECT_S}
    options["socket_timeout"] = timeout
    if address.kind == "unix":
        return lambda: driver.UnixDomainSocketConnection(path=address.path, **options)  # type: ignore[abstract]  # as it is typed, not as it is
    tcp = options | {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    kind = driver.SSLConnection if address.tls else driver.Connection
    tcp |= _tls(address)
    if address.kind == "tcp":
        host, port = address.hosts[0]
        return lambda: kind(host=host, port=port, **tcp)  # type: ignore[arg-type]

    from jobrunner.store.sentinels import Sentinels, check_role  # noqa: PLC0415

    sentinels, theirs = Sentinels(address.hosts, address.master), _sentinel(address) | _tls(address)

    def to_sentinel(node: tuple[str, int]) -> driver.AbstractConnection:
        return kind(host=node[0], port=node[1], retry=Retry(NoBackoff(), 0), **theirs)  # type: ignore[arg-type]

    def make_by_sentinel() -> driver.AbstractConnection:
        node = sentinels.primary_now(to_sentinel)
        connection = kind(host=node[0], port=node[1], **tcp)  # type: ignore[arg-type]
        try:
            connection.connect()
            connection.send_packed_command([pack(("ROLE",))], check_health=False)
            check_role(connection.read_response(disable_decoding=True), node)
        except BaseException:
            connection.disconnect()
            raise
        return connection

    return make_by_sentinel


def _login(address: Address) -> dict[str, object]:
    # Two commands less at each connection: nobody needs the driver's name and version.
    options: dict[str, object] = {"db": address.db, "protocol": 2, "driver_info": None}
    if address.username is not None:
        options["username"] = address.username
    if address.password is not None:
        options["password"] = address.password
    return options


def _tls(address: Address) -> dict[str, object]:
    if not address.tls:
        return {}
    for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"):
        path = getattr(address, name)
        if path is not None and not os.access(
            path, os.R_OK
        ):  # the driver says "no such file" without its name
            raise SettingsError("REDIS_URL", f"{name}: {path} is not there, or cannot be read")
    return {
        "ssl_cert_reqs": address.ssl_cert_reqs,
        "ssl_check_hostname": address.ssl_check_hostname and address.ssl_cert_reqs != "none",
        "ssl_ca_certs": address.ssl_ca_certs,
        "ssl_ca_path": address.ssl_ca_path,
        "ssl_certfile": address.ssl_certfile,
        "ssl_keyfile": address.ssl_keyfile,
    }


def _sentinel(address: Address) -> dict[str, object]:
    # The driver's own client of Sentinels tries each of them ten times, with waits, before it asks the next one.
    options: dict[str, object] = {"socket_timeout": ASK_S, "socket_connect_timeout": ASK_S}
    options |= {"protocol": 2, "driver_info": None}
    if address.sentinel_username is not None:
        options["username"] = address.sentinel_username
    if address.sentinel_password is not None:
        options["password"] = address.sentinel_password
    return options


def _one(address: Address, node: tuple[str, int]) -> Address:
    """One node of a cluster as a server of its own."""
    return msgspec.structs.replace(address, kind="tcp", hosts=(node,))


def _keepalive() -> dict[int, int]:
    return {getattr(socket, name): value for name, value in KEEPALIVE_S.items() if hasattr(socket, name)}
