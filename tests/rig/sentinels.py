"""A primary with replicas and the Sentinels that watch them, all of them real.

They are put together by commands and files, with no tool besides the servers. Each is ended by the process id that
was started here.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import msgspec
import redis

from rig.processes import Process
from rig.servers import Port, Server, ServerOptions
from rig.topologies import TLS_BETWEEN_SERVERS, UP_TIMEOUT_S, ask, follows, role, wait_until

DOWN_AFTER_MS = 700
MASTER = "main"


class SentinelSetup:
    """A primary, a replica, and Sentinels that watch them. Use it as a context manager, or call `stop`."""

    def __init__(
        self,
        binary: Path,
        *,
        folder: Path,
        replicas: int = 1,
        sentinels: int = 3,
        options: ServerOptions | None = None,
        front: Callable[[Server], int] = lambda server: server.port,
    ) -> None:
        """Start everything, and wait until the Sentinels know each other and the replicas.

        Args:
            binary: the program, of Redis or Valkey; the Sentinels are the same.
            folder: data, logs and the Sentinels' files.
            replicas: copies of the primary.
            sentinels: how many watch; most of them have to agree.
            options: how the servers are set up; with an append-only file, if not told. One that is started again without
                a file is an empty primary until the Sentinels tell it whom to follow, and may be promoted as such.
            front: gives the port by which clients, replicas and Sentinels reach the first primary, such as that of
                something that can cut them off from it.
        """
        self._binary = binary
        self._folder = folder
        self._options = options or ServerOptions(appendonly="everysec")
        self._started = ExitStack()
        self._ports: list[Port] = []
        self.sentinels: list[Process] = []
        try:
            self.servers = [self._server(0)]
            self._front = front(self.servers[0])
            self.servers += [self._server(number, of=self.servers[0]) for number in range(1, replicas + 1)]
            wait_until(lambda: all(follows(one) for one in self.servers[1:]), "the replicas do not follow")
            for number in range(sentinels):
                self._start_sentinel(number, quorum=sentinels // 2 + 1)
            wait_until(lambda: self._is_watched(replicas, sentinels), "the Sentinels do not find each other")
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address for clients, with all Sentinels."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        if self._options.tls:
            return f"rediss+sentinel://{hosts}/{MASTER}/0?ssl_ca_certs={self._options.tls.authority}"
        return f"redis+sentinel://{hosts}/{MASTER}/0"

    @property
    def sentinel_ports(self) -> Sequence[int]:
        """The Sentinels' ports."""
        return [port.number for port in self._ports]

    def primary(self) -> Server:
        """Return the server that the first Sentinel which answers calls the primary."""
        for port in self.sentinel_ports:
            try:
                with self._sentinel(port) as client:
                    address = ask(client, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
            except redis.ConnectionError:
                continue
            found = self.servers[0].port if int(address[1]) == self._front else int(address[1])
            return next(server for server in self.servers if server.port == found)
        raise LookupError("no Sentinel answers")

    def replica(self) -> Server:
        """Return the first server that is not the primary."""
        primary = self.primary()
        return next(server for server in self.servers if server is not primary)

    def wait_for_promotion(self, *, old: Server, timeout_s: float = UP_TIMEOUT_S) -> Server:
        """Wait until another server is the primary and takes writes.

        Args:
            old: the one that was.
            timeout_s: seconds to wait.
        """
        wait_until(
            lambda: self.primary() is not old and role(self.primary()) == "master",
            "no other server is promoted",
            timeout_s=timeout_s,
        )
        return self.primary()

    def wait_for_replica(self) -> None:
        """Wait until some server follows the primary and has all that it has."""
        wait_until(lambda: any(follows(one) for one in self.servers if one.alive), "no replica follows")

    def stop(self) -> None:
        """End all of it. Idempotent."""
        self._started.close()

    def _server(self, number: int, *, of: Server | None = None) -> Server:
        follow = ("--replicaof", "127.0.0.1", str(self._front)) if of else ()
        quick = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        among = TLS_BETWEEN_SERVERS if self._options.tls else ()
        extra = (*quick, *follow, *among, *self._options.extra)
        options = msgspec.structs.replace(self._options, extra=extra)
        server = Server(self._binary, folder=self._folder / f"server-{number}", options=options)
        return self._started.enter_context(server)

    def _start_sentinel(self, number: int, *, quorum: int) -> None:
        folder = self._folder / f"sentinel-{number}"
        folder.mkdir(parents=True)
        port = Port()
        self._ports.append(port)
        self._started.callback(port.close)
        watch = f"sentinel monitor {MASTER} 127.0.0.1 {self._front} {quorum}"
        lines = [
            *(*self._listening(port), "bind 127.0.0.1", f"dir {folder}", watch),
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} 4000",
        ]
        config = folder / "sentinel.conf"
        config.write_text("\n".join(lines) + "\n")
        command: list[str | Path] = [self._binary, config, "--sentinel"]
        process = Process(command, log=folder / "sentinel.log", env={"LC_ALL": "C"})
        self.sentinels.append(self._started.enter_context(process))
        process.wait_for_line(r"\+monitor master")

    def _listening(self, port: Port) -> Sequence[str]:
        """Lines of a Sentinel's file: where it listens, and how it speaks to servers and to the other Sentinels."""
        tls = self._options.tls
        if tls is None:
            return [f"port {port.number}"]
        words = [*tls.arguments(), *TLS_BETWEEN_SERVERS]
        pairs = zip(words[::2], words[1::2], strict=True)
        return ["port 0", f"tls-port {port.number}", *[f"{name[2:]} {value}" for name, value in pairs]]

    def _sentinel(self, port: int) -> redis.Redis:
        tls = self._options.tls
        secure: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(tls.authority)} if tls else {}
        return redis.Redis(host="127.0.0.1", port=port, socket_timeout=5, decode_responses=True, **secure)

    def _is_watched(self, replicas: int, sentinels: int) -> bool:
        for port in self.sentinel_ports:
            with self._sentinel(port) as client:
                flat = ask(client, "SENTINEL", "MASTER", MASTER)
                about = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
                others, copies = int(about["num-other-sentinels"]), int(about["num-slaves"])
                if (others, copies) != (sentinels - 1, replicas):
                    return False
        return True
