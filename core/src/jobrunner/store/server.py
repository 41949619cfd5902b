"""What the server says of itself: kind, version, memory policy, persistence. Read, never changed."""

from __future__ import annotations

import re

import msgspec

from jobrunner.errors import StoreRefusedError
from jobrunner.store.calls import Call, plain

OLDEST = {"redis": (6, 2), "valkey": (7, 2)}
"""The oldest servers whose commands the scripts use."""

_VERSION = re.compile(r"(\d+)\.(\d+)")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server as `INFO` describes it."""

    kind: str
    version: str
    policy: str
    """`maxmemory-policy`; empty where the server does not tell."""
    used_memory: int
    max_memory: int
    """Bytes, 0 for no limit."""
    machine_memory: int
    """Bytes that the server's machine has, 0 where it does not tell."""
    aof: bool
    aof_ok: bool
    rdb_ok: bool
    loading: bool
    role: str
    replicas: int
    """Servers that follow it."""
    uptime_s: int
    clients: int
    cluster: bool
    port: int
    """Which of a cluster's nodes it is; 0 for a socket."""

    @property
    def title(self) -> str:
        """Such as `valkey 9.0.1`."""
        return f"{self.kind} {self.version}"

    @property
    def evicts(self) -> bool:
        """Whether the server may throw keys away when its memory is full."""
        return self.policy not in ("", "noeviction")

    @property
    def too_old(self) -> bool:
        """Whether it lacks commands that the scripts use."""
        found = _VERSION.match(self.version)
        oldest = OLDEST.get(self.kind)
        return bool(found and oldest) and (int(found.group(1)), int(found.group(2))) < oldest  # type: ignore[union-attr, operator]  # both are there


def info() -> Call[Server]:
    """Ask the server."""
    return plain(["INFO"], _server)


def check(server: Server, *, allow_eviction: bool) -> None:
    """Refuse a server on which jobs would be lost.

    Raises:
        StoreRefusedError: It is too old, or may evict keys and that was not allowed.
    """
    if server.too_old:
        oldest = ".".join(map(str, OLDEST[server.kind]))
        raise StoreRefusedError(f"{server.title} is too old: {server.kind} {oldest} or later is needed")
    if server.evicts and not allow_eviction:
        raise StoreRefusedError(
            f"the server's maxmemory-policy is {server.policy}, so it may throw jobs away; set it to noeviction "
            "(or JOBRUNNER_ALLOW_EVICTION=1 to lose jobs)"
        )


def _server(reply: object) -> Server:
    if isinstance(reply, dict):  # a client that reads INFO itself
        facts = {str(key): str(value) for key, value in reply.items()}
    else:
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
        facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if not facts:
        raise ValueError("a server that says nothing of itself is none")
    valkey = facts.get("valkey_version")
    return Server(
        kind="valkey" if valkey else "redis",
        version=valkey or facts.get("redis_version", "unknown"),
        policy=facts.get("maxmemory_policy", ""),
        used_memory=_number(facts, "used_memory"),
        max_memory=_number(facts, "maxmemory"),
        machine_memory=_number(facts, "total_system_memory"),
        aof=facts.get("aof_enabled") == "1",
        aof_ok=facts.get("aof_last_write_status", "ok") == "ok",
        rdb_ok=facts.get("rdb_last_bgsave_status", "ok") == "ok",
        loading=facts.get("loading") == "1",
        role=facts.get("role", ""),
        replicas=_number(facts, "connected_slaves"),
        uptime_s=_number(facts, "uptime_in_seconds"),
        clients=_number(facts, "connected_clients"),
        cluster=facts.get("cluster_enabled") == "1",
        port=_number(facts, "tcp_port"),
    )


def _number(facts: dict[str, str], name: str) -> int:
    text = facts.get(name, "0").strip()
    return int(text) if text.isdecimal() else 0
