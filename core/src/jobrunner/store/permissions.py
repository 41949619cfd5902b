"""What an ACL user needs, and nothing more: the commands and the keys of a worker, a producer, an operator.

The scripts' commands are read out of the scripts, since the server asks for each of them too. It prints what an
administrator runs; it never runs it.
"""

from __future__ import annotations

import secrets
from typing import Literal, TypeAlias

import msgspec

from jobrunner.store.address import Address
from jobrunner.store.keys import PARTS, FleetKeys
from jobrunner.store.scripts import CALLED, SCRIPT_KEYS, script

Role: TypeAlias = Literal["worker", "producer", "operator"]

_SCRIPTS: dict[Role, tuple[str, ...]] = {
    "worker": (
        "enqueue",
        "enqueue_one",
        "exchange",
        "extend",
        "recover",
        "note",
        "retry",
        "turn",
        "trim",
        "prune",
        "counts",
    ),
    "producer": ("enqueue", "enqueue_one"),
    "operator": tuple(SCRIPT_KEYS),
}

_COMMANDS: dict[Role, str] = {
    "worker": (
        "info time hget hmget hgetall hset hdel hexists zscore zrange zrevrange lpush blpop client|id client|unblock"
    ),
    "producer": "hget hexists zscore wait",
    "operator": (
        "info ping time hget hmget hgetall hset hdel hexists hscan zscore zmscore zrange zrevrange zrank zrevrank "
        "zcount zscan lpush wait"
    ),
}
"""What is sent beside the scripts."""

_CONNECTING = {"cluster": "cluster|slots asking", "sentinel": "role"}
"""What finding the way takes; logging in needs no permission."""

_ENQUEUED = SCRIPT_KEYS["enqueue"]
_RESULT = ("jobs", "state", "done", "dead", "cancelled")


class Grant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user to make: for whom, its name, and the command that makes it."""

    role: Role
    user: str
    command: str


def grants(address: Address, prefix: str) -> list[Grant]:
    """The users of a store, each with a password made for it now.

    Args:
        address: Where the store is; a cluster and Sentinels need a command more.
        prefix: What all keys begin with.
    """
    return [
        Grant(role=role, user=f"{prefix}-{role}", command=set_user(f"{prefix}-{role}", role, address, prefix))
        for role in _SCRIPTS
    ]


def set_user(user: str, role: Role, address: Address, prefix: str, password: str = "") -> str:
    """The `ACL SETUSER` line that makes a user, whatever it was before.

    Args:
        user: The user's name.
        role: What it is for.
        address: Where the store is.
        prefix: What all keys begin with.
        password: Its password; a fresh one where none is given.
    """
    rules = [
        *("reset", "on", f">{password or secrets.token_urlsafe(24)}", "resetchannels"),
        *(f"~{pattern}" for pattern in patterns(role, prefix)),
        *(f"+{command}" for command in commands(role, address)),
    ]
    return f"ACL SETUSER {user} {' '.join(rules)}"


def commands(role: Role, address: Address) -> list[str]:
    """The commands that a role needs, in lower case, sorted; a subcommand as `client|id`."""
    needed = {"eval", "evalsha", *_COMMANDS[role].split(), *_CONNECTING.get(address.kind, "").split()}
    if address.db:
        needed.add("select")
    for name in _SCRIPTS[role]:
        needed.update(command.lower() for command in CALLED.findall(script(name).text))
    return sorted(needed)


def patterns(role: Role, prefix: str) -> list[str]:
    """The patterns of the keys that a role needs. A prefix has no character that means anything in one."""
    fleet = FleetKeys(prefix)
    if role == "producer":
        parts = [part for part in PARTS if part in {*_ENQUEUED, *_RESULT}]
        return [*(f"{prefix}:{{*}}:{part}" for part in parts), fleet.queues, fleet.schemas]
    return [f"{prefix}:{{*}}:*"]
