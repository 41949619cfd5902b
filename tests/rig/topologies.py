"""Several real servers as one store: a cluster of primaries with replicas, a primary with a replica under Sentinels.

They are put together by commands, with no tool besides the servers. Each is ended by the process ids that were
started here.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import redis

from rig.processes import Process
from rig.servers import Port, Server, ServerOptions

SLOTS = 16_384
UP_TIMEOUT_S = 40.0  # a loaded test machine; a cluster of six needs a few seconds
NODE_TIMEOUT_MS = 1500
DOWN_AFTER_MS = 700
MASTER = "main"


def wait_until(condition: Callable[[], bool], what: str, *, timeout_s: float = UP_TIMEOUT_S) -> None:
    """Ask again and again, since servers tell of nothing by themselves.

    Raises:
        TimeoutError: it did not become true.
    """
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not after {timeout_s:g} s")
        time.sleep(0.02)


class Cluster:
    """Primaries with the slots in equal parts, each with replicas. Use it as a context manager, or call `stop`."""

    def __init__(
        self,
        binary: Path,
        *,
        folder: Path,
        primaries: int = 3,
        replicas: int = 0,
        options: ServerOptions | None = None,
    ) -> None:
        """Start the nodes, join them, and wait until each calls the cluster whole.

        Args:
            binary: the program, of Redis or Valkey.
            folder: the nodes' data and logs, a folder each.
            primaries: how many share the slots.
            replicas: how many each primary has.
            options: how each node is set up.
        """
        base = options or ServerOptions()
        extra = (
            "--cluster-node-timeout",
            str(NODE_TIMEOUT_MS),
            "--repl-diskless-sync-delay",
            "0",
            *base.extra,
        )
        made = ServerOptions(
            appendonly=base.appendonly,
            maxmemory=base.maxmemory,
            maxmemory_policy=base.maxmemory_policy,
            tls=base.tls,
            cluster=True,
            extra=extra,
        )
        self._started = ExitStack()
        self.nodes: list[Server] = []
        try:
            for number in range(primaries * (1 + replicas)):
                node = Server(binary, folder=folder / f"node-{number}", options=made)
                self.nodes.append(self._started.enter_context(node))
            self._join(primaries)
        except BaseException:
            self._started.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address for clients, with two of the nodes."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])
        return f"redis+cluster://{hosts}"

    def stop(self) -> None:
        """End all nodes. Idempotent."""
        self._started.close()

    def empty(self) -> None:
        """Delete every key and every script."""
        for node in self.primaries():
            with node.client() as client:
                _ask(client, "FLUSHALL")
                _ask(client, "SCRIPT FLUSH")

    def primaries(self) -> list[Server]:
        """Return the nodes that live and take writes."""
        return [node for node in self.nodes if node.alive and _role(node) == "master"]

    def slot(self, key: str) -> int:
        """Return the slot of a key."""
        with self.nodes[0].client() as client:
            return int(_ask(client, "CLUSTER", "KEYSLOT", key))

    def owner(self, slot: int) -> Server:
        """Return the node that serves a slot, as the first live node sees it."""
        ports = {node.port: node for node in self.nodes}
        for node in self.nodes:
            if not node.alive:
                continue
            with node.client() as client:
                for line in _text(_ask(client, "CLUSTER", "NODES")).splitlines():
                    words = line.split()
                    port = int(words[1].partition("@")[0].rpartition(":")[2])
                    if _serves(words, slot) and port in ports:
                        return ports[port]
        raise LookupError(f"nobody serves slot {slot}")

    def move_slot(
        self, slot: int, *, to: Server, step: int = 1, between: Callable[[], None] = lambda: None
    ) -> None:
        """Move a slot with its keys while clients go on, as an operator's tool does.

        Args:
            slot: the slot.
            to: the primary that gets it.
            step: keys that are moved at once.
            between: called after each step, so a test can act in the middle.
        """
        source = self.owner(slot)
        with source.client() as giver, to.client() as taker:
            giver_id, taker_id = _id(giver), _id(taker)
            _ask(taker, "CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
            _ask(giver, "CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
            while keys := _ask(giver, "CLUSTER", "GETKEYSINSLOT", slot, step):
                _ask(giver, "MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
                between()
            _ask(taker, "CLUSTER", "SETSLOT", slot, "NODE", taker_id)
            _ask(giver, "CLUSTER", "SETSLOT", slot, "NODE", taker_id)
        for node in self.primaries():
            if node not in (source, to):
                with node.client() as client:
                    _ask(client, "CLUSTER", "SETSLOT", slot, "NODE", taker_id)

    def _join(self, primaries: int) -> None:
        clients = [node.client() for node in self.nodes]
        for number, client in enumerate(clients):
            _ask(client, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < primaries:
                first, after = SLOTS * number // primaries, SLOTS * (number + 1) // primaries
                _ask(client, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for node in self.nodes[1:]:
            _ask(clients[0], "CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        number = len(self.nodes)
        wait_until(
            lambda: all(_known(client) == number for client in clients), "the nodes do not know each other"
        )
        ids = [_id(client) for client in clients]
        for at, client in enumerate(clients[primaries:]):
            _ask(client, "CLUSTER", "REPLICATE", ids[at % primaries])
        wait_until(
            lambda: all(_cluster_info(client)["cluster_state"] == "ok" for client in clients),
            "the cluster does not come up",
        )
        wait_until(
            lambda: all(
                client.info("replication").get("master_link_status") == "up" for client in clients[primaries:]
            ),
            "the replicas do not follow",
        )


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
    ) -> None:
        """Start everything, and wait until the Sentinels know each other and the replicas.

        Args:
            binary: the program, of Redis or Valkey; the Sentinels are the same.
            folder: data, logs and the Sentinels' files.
            replicas: copies of the primary.
            sentinels: how many watch; most of them have to agree.
            options: how the servers are set up.
        """
        self._binary = binary
        self._folder = folder
        self._options = options or ServerOptions()
        self._started = ExitStack()
        self._ports: list[Port] = []
        self.sentinels: list[Process] = []
        try:
            self.servers = [self._server(0)]
            self.servers += [self._server(number, of=self.servers[0]) for number in range(1, replicas + 1)]
            wait_until(lambda: all(_follows(one) for one in self.servers[1:]), "the replicas do not follow")
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
        return f"redis+sentinel://{hosts}/{MASTER}/0"

    @property
    def sentinel_ports(self) -> Sequence[int]:
        """The Sentinels' ports."""
        return [port.number for port in self._ports]

    def primary(self) -> Server:
        """Return the server that the first Sentinel which answers calls the primary."""
        for port in self.sentinel_ports:
            try:
                with _sentinel(port) as client:
                    address = _ask(client, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
            except redis.ConnectionError:
                continue
            found = int(address[1])
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
            lambda: self.primary() is not old and _role(self.primary()) == "master",
            "no other server is promoted",
            timeout_s=timeout_s,
        )
        return self.primary()

    def wait_for_replica(self) -> None:
        """Wait until some server follows the primary and has all that it has."""
        wait_until(lambda: any(_follows(one) for one in self.servers if one.alive), "no replica follows")

    def stop(self) -> None:
        """End all of it. Idempotent."""
        self._started.close()

    def _server(self, number: int, *, of: Server | None = None) -> Server:
        follow = ("--replicaof", "127.0.0.1", str(of.port)) if of else ()
        quick = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        options = ServerOptions(
            appendonly=self._options.appendonly,
            maxmemory=self._options.maxmemory,
            maxmemory_policy=self._options.maxmemory_policy,
            extra=(*quick, *follow, *self._options.extra),
        )
        server = Server(self._binary, folder=self._folder / f"server-{number}", options=options)
        return self._started.enter_context(server)

    def _start_sentinel(self, number: int, *, quorum: int) -> None:
        folder = self._folder / f"sentinel-{number}"
        folder.mkdir(parents=True)
        port = Port()
        self._ports.append(port)
        self._started.callback(port.close)
        watch = f"sentinel monitor {MASTER} 127.0.0.1 {self.servers[0].port} {quorum}"
        lines = [
            *(f"port {port.number}", "bind 127.0.0.1", f"dir {folder}", watch),
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} 4000",
        ]
        config = folder / "sentinel.conf"
        config.write_text("\n".join(lines) + "\n")
        command: list[str | Path] = [self._binary, config, "--sentinel"]
        process = Process(command, log=folder / "sentinel.log", env={"LC_ALL": "C"})
        self.sentinels.append(self._started.enter_context(process))
        process.wait_for_line(r"\+monitor master")

    def _is_watched(self, replicas: int, sentinels: int) -> bool:
        for port in self.sentinel_ports:
            with _sentinel(port) as client:
                flat = _ask(client, "SENTINEL", "MASTER", MASTER)
                about = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
                others, copies = int(about["num-other-sentinels"]), int(about["num-slaves"])
                if (others, copies) != (sentinels - 1, replicas):
                    return False
        return True


def _ask(client: redis.Redis, *words: object) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]  # the driver's


def _sentinel(port: int) -> redis.Redis:
    return redis.Redis(port=port, socket_timeout=5, decode_responses=True)


def _follows(server: Server) -> bool:
    with server.client() as client:
        about = client.info("replication")
    return bool(about["role"] == "slave" and about.get("master_link_status") == "up")


def _role(server: Server) -> str:
    with server.client() as client:
        return str(client.info("replication")["role"])


def _id(client: redis.Redis) -> str:
    return _text(_ask(client, "CLUSTER", "MYID"))


def _known(client: redis.Redis) -> int:
    lines = _text(_ask(client, "CLUSTER", "NODES")).splitlines()
    return sum("handshake" not in line for line in lines)


def _cluster_info(client: redis.Redis) -> dict[str, str]:
    text = _text(_ask(client, "CLUSTER", "INFO"))
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _serves(words: Sequence[str], slot: int) -> bool:
    """Whether a line of CLUSTER NODES names a live primary that has a slot."""
    if "master" not in words[2] or "fail" in words[2].split(","):
        return False
    for part in words[8:]:
        if not part.startswith("["):
            first, _, last = part.partition("-")
            if int(first) <= slot <= int(last or first):
                return True
    return False


def _text(reply: object) -> str:
    if isinstance(reply, dict):  # the driver reads some answers itself
        return "\n".join(f"{key}:{value}" for key, value in reply.items())
    return reply.decode() if isinstance(reply, bytes) else str(reply)
