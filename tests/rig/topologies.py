"""Several real servers as one store: a cluster of primaries with replicas.

They are put together by commands, with no tool besides the servers. Each is ended by the process ids that were
started here. A primary with a replica under Sentinels is in `sentinels`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import redis

from rig.servers import Server, ServerOptions

SLOTS = 16_384
UP_TIMEOUT_S = 40.0  # a loaded test machine; a cluster of six needs a few seconds
NODE_TIMEOUT_MS = 1500
TLS_BETWEEN_SERVERS = ("--tls-replication", "yes")
"""With a certificate, servers speak TLS to each other as well, as where no plain port is open."""


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
            *((*TLS_BETWEEN_SERVERS, "--tls-cluster", "yes") if base.tls else ()),
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
        if (tls := self.nodes[0].options.tls) is not None:
            return f"rediss+cluster://{hosts}?ssl_ca_certs={tls.authority}"
        return f"redis+cluster://{hosts}"

    def stop(self) -> None:
        """End all nodes. Idempotent."""
        self._started.close()

    def empty(self) -> None:
        """Delete every key and every script."""
        for node in self.primaries():
            with node.client() as client:
                ask(client, "FLUSHALL")
                ask(client, "SCRIPT FLUSH")

    def primaries(self) -> list[Server]:
        """Return the nodes that live and take writes."""
        return [node for node in self.nodes if node.alive and role(node) == "master"]

    def slot(self, key: str) -> int:
        """Return the slot of a key."""
        with self.nodes[0].client() as client:
            return int(ask(client, "CLUSTER", "KEYSLOT", key))

    def owner(self, slot: int) -> Server:
        """Return the node that serves a slot, as the first live node sees it."""
        ports = {node.port: node for node in self.nodes}
        for node in self.nodes:
            if not node.alive:
                continue
            with node.client() as client:
                for line in _text(ask(client, "CLUSTER", "NODES")).splitlines():
                    words = line.split()
                    port = int(words[1].partition("@")[0].rpartition(":")[2])
                    if _serves(words, slot) and port in ports:
                        return ports[port]
        raise LookupError(f"nobody serves slot {slot}")

    def wait_for_promotion(self, slot: int, *, old: Server, timeout_s: float = UP_TIMEOUT_S) -> Server:
        """Wait until another node serves a slot, and the cluster is whole again.

        Args:
            slot: the slot.
            old: the node that served it.
            timeout_s: seconds to wait.
        """

        def promoted() -> bool:
            try:
                new = self.owner(slot)
            except LookupError:
                return False
            if new is old or not new.alive:
                return False
            with new.client() as client:
                return _cluster_info(client)["cluster_state"] == "ok"

        wait_until(promoted, f"no other node serves slot {slot}", timeout_s=timeout_s)
        return self.owner(slot)

    def wait_for_replica(self, node: Server) -> None:
        """Wait until a node follows its primary and has all that it has."""
        wait_until(lambda: follows(node), "the node does not follow")

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
            ask(taker, "CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
            ask(giver, "CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
            while keys := ask(giver, "CLUSTER", "GETKEYSINSLOT", slot, step):
                ask(giver, "MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
                between()
            ask(taker, "CLUSTER", "SETSLOT", slot, "NODE", taker_id)
            ask(giver, "CLUSTER", "SETSLOT", slot, "NODE", taker_id)
        for node in self.primaries():
            if node not in (source, to):
                with node.client() as client:
                    ask(client, "CLUSTER", "SETSLOT", slot, "NODE", taker_id)

    def _join(self, primaries: int) -> None:
        clients = [node.client() for node in self.nodes]
        for number, client in enumerate(clients):
            ask(client, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < primaries:
                first, after = SLOTS * number // primaries, SLOTS * (number + 1) // primaries
                ask(client, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for node in self.nodes[1:]:
            ask(clients[0], "CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        number = len(self.nodes)
        wait_until(
            lambda: all(_known(client) == number for client in clients), "the nodes do not know each other"
        )
        ids = [_id(client) for client in clients]
        for at, client in enumerate(clients[primaries:]):
            ask(client, "CLUSTER", "REPLICATE", ids[at % primaries])
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


def ask(client: redis.Redis, *words: object) -> Any:
    """Send a command as it is."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]  # the driver's


def follows(server: Server) -> bool:
    """Whether a server is a replica whose link to its primary is up; one that is being told to follow ends connections."""
    try:
        with server.client() as client:
            about = client.info("replication")
    except redis.ConnectionError:
        return False
    return bool(about["role"] == "slave" and about.get("master_link_status") == "up")


def role(server: Server) -> str:
    """Return what a server calls itself: "master" or "slave"."""
    with server.client() as client:
        return str(client.info("replication")["role"])


def _id(client: redis.Redis) -> str:
    return _text(ask(client, "CLUSTER", "MYID"))


def _known(client: redis.Redis) -> int:
    lines = _text(ask(client, "CLUSTER", "NODES")).splitlines()
    return sum("handshake" not in line for line in lines)


def _cluster_info(client: redis.Redis) -> dict[str, str]:
    text = _text(ask(client, "CLUSTER", "INFO"))
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
