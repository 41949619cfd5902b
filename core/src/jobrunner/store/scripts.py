"""The Lua scripts as they are sent: text, SHA, and the keys that each takes.

A script names the parts that it uses, and where; they are put in that place. Nothing is built from data.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import re

import msgspec

SCRIPT_KEYS: dict[str, tuple[str, ...]] = {
    name: tuple(keys.split())
    for name, keys in {
        "enqueue": ("jobs wait later seen share wake stats tally meta held parked turns unique uniques"),
        "enqueue_one": "jobs wait seen share wake stats tally meta",
        "exchange": (
            "jobs wait later active lease attempts state done dead cancelled parked seen "
            "share wake stats tally meta events steps progress logs held turns rates refill "
            "unique uniques memory"
        ),
        "extend": "active lease meta",
        "recover": (
            "jobs active lease later dead cancelled attempts state wake stats tally meta "
            "events wait share held turns unique uniques"
        ),
        "note": "active lease steps progress logs",
        "cancel": (
            "jobs wait later active lease cancelled parked state stats tally events share "
            "meta held turns refill unique uniques"
        ),
        "retry": "from jobs wait attempts share wake stats tally meta events held parked turns",
        "remove": (
            "jobs lease attempts state steps progress logs seen tally wait later done dead "
            "cancelled parked share meta held turns refill unique uniques"
        ),
        "trim": (
            "list jobs attempts state steps progress logs seen share tally wait meta held "
            "turns refill unique uniques"
        ),
        "prune": "seen rates",
        "heads": "jobs attempts state",
        "causes": "jobs state",
        "counts": "wait later active done dead cancelled parked meta jobs held turns refill",
        "limit": "meta",
        "repair": (
            "jobs wait later active lease attempts state done dead cancelled parked share wake meta steps "
            "progress logs held turns refill unique uniques"
        ),
        "adjust": "tally",
        "turn": "wait active held turns share wake tally meta rates refill",
    }.items()
}
"""Script -> its keys in order. `from` and `list` stand for a structure that the caller names."""

_USES = re.compile(r"^-- uses: (.+)$", re.MULTILINE)

CALLED = re.compile(r"\bp?call\('([A-Z]+)'")
"""A command that a script calls."""

SERVER_CLOCK = "call('TIME')"


class Script(msgspec.Struct, frozen=True):
    """A script ready to be sent."""

    name: str
    text: str
    sha: str


def source(name: str) -> str:
    """A script's own text, header and all."""
    return (importlib.resources.files("jobrunner.store") / "lua" / f"{name}.lua").read_text("utf-8")


@functools.cache
def script(name: str, clock: str = SERVER_CLOCK) -> Script:
    """A script with the parts that it uses.

    Args:
        name: One of `SCRIPT_KEYS`.
        clock: The Lua expression that gives {seconds, microseconds}; the server's own but for tests.
    """
    text = _without_comments(_USES.sub(_parts, source(name))).replace(SERVER_CLOCK, clock)
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _parts(uses: re.Match[str]) -> str:
    return "\n".join(source(f"parts/{part}") for part in uses.group(1).split())


def _without_comments(text: str) -> str:
    """Lines that are comments only, taken out: what is sent again after a restart should be short."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
