"""What operators say of a queue and of its tenants while everything runs: pauses and bounds.

It is kept in the queue's `meta` and goes before what the plugin declares. Nothing here moves a job: a tenant
that may go on is given a turn, and workers take it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jobrunner.declaration import Declaration
from jobrunner.model import RateLimit
from jobrunner.names import check_queue, check_tenant
from jobrunner.store import calls, looks
from jobrunner.store.store import Store


class Limit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One limit of a queue, or of a tenant in it.

    What operators set goes before what the plugin declares. A number of 0 and a rate of "" bound nothing, null says nothing.
    """

    tenant: str
    """Empty for the queue's own."""
    name: str
    declared: int | str | None = None
    by_hand: int | float | str | None = None
    now: int | None = None
    """What it bounds, as it stands now, where that is a number of jobs."""


BY_QUEUE = (
    *("paused", "max_active", "max_active_per_tenant", "rate", "rate_per_tenant"),
    *("max_waiting", "max_waiting_bytes"),
)
BY_TENANT = ("pause", "max_active", "rate", "weight")
"""Fields of `meta`: those of the queue, and those that stand before `:` and a tenant."""


class Limits:
    """The limits of a store's queues.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pause(self, queue: str, tenant: str = "") -> None:
        """Let no further job of a queue, or of one tenant in it, start."""
        await self._store.run(calls.limit(self._store.keys(check_queue(queue)), {_paused(tenant): 1}))

    async def resume(self, queue: str, tenant: str = "") -> None:
        """Let a queue or a tenant go on, and wake a worker."""
        keys = self._store.keys(check_queue(queue))
        await self._store.run(calls.limit(keys, {_paused(tenant): ""}))
        if tenant:
            await self._store.run(calls.turn(keys, tenant, 1))
        else:
            await self._store.run(calls.command("LPUSH", keys["wake"], 1))

    async def set(self, queue: str, fields: Mapping[str, object]) -> None:
        """Set fields of `meta`, an empty value clears one; tenants that may go on by it are given their turn.

        Args:
            queue: The queue.
            fields: As the script `limit` takes them: `max_active`, `max_active:acme` ...
        """
        keys = self._store.keys(check_queue(queue))
        await self._store.run(calls.limit(keys, fields))
        await self.look_again(queue)

    async def clear(self, queue: str, tenant: str = "") -> None:
        """Forget what operators set for a queue itself, or for one tenant; a pause stays."""
        names = [f"{name}:{check_tenant(tenant)}" for name in BY_TENANT] if tenant else BY_QUEUE
        await self.set(queue, {name: "" for name in names if not name.startswith("pause")})

    async def table(self, queue: str, declared: Declaration, tenant: str = "") -> list[Limit]:
        """Every limit that is declared or set, the queue's first, then each tenant's.

        Args:
            queue: The queue.
            declared: What its plugin declares.
            tenant: Only this tenant's.
        """
        keys = self._store.keys(check_queue(queue))
        kept = await self._store.run(looks.hash_of(keys["meta"]))
        counts = await self._store.run(calls.counts(keys))
        now = {"max_active": counts.active, "max_waiting": counts.waiting + counts.delayed + counts.held}
        rows = [
            Limit(
                tenant="",
                name=name,
                declared=_declared(declared, name),
                by_hand=_shown(name, kept.get(name)),
                now=now.get(name),
            )
            for name in BY_QUEUE
            if not tenant
        ]
        found = sorted({(field.partition(":")[2], field.partition(":")[0]) for field in kept if ":" in field})
        for whose, name in found:
            if name in BY_TENANT and tenant in ("", whose):
                active = None
                if name == "max_active":
                    active = _number(await self._store.run(looks.tally(keys, f"active|{whose}")), 0)
                raw = kept[f"{name}:{whose}"]
                shown = "paused" if name == "pause" else name
                rows.append(Limit(tenant=whose, name=shown, by_hand=_shown(name, raw), now=active))
        return [row for row in rows if row.declared is not None or row.by_hand is not None]

    async def look_again(self, queue: str, *, max_active: int = 0, rate: str = "0") -> None:
        """Give a turn to every tenant with held jobs that may start some, a bounded number a step.

        Args:
            queue: The queue.
            max_active: What the queue declares for each tenant. 0 gives turns too freely, and an exchange takes them away.
            rate: The same of its rate.
        """
        keys, start, is_first = self._store.keys(queue), "", True
        while start or is_first:
            start = await self._store.run(calls.turn(keys, start, max_active=max_active, rate=rate))
            is_first = False

    async def why_held(self, queue: str, tenant: str, declared: Declaration) -> str:
        """Why the jobs of a tenant are held now, in plain words."""
        keys = self._store.keys(queue)
        set_by_hand = await self._store.run(looks.hash_of(keys["meta"]))
        if f"pause:{tenant}" in set_by_hand:
            return f"tenant {tenant} is paused: `jobrunner resume {queue} --tenant {tenant}` lets it go on"
        most = _number(
            set_by_hand.get(f"max_active:{tenant}", set_by_hand.get("max_active_per_tenant")),
            declared.max_active_per_tenant,
        )
        active = _number(await self._store.run(looks.tally(keys, f"active|{tenant}")), 0)
        if 0 < most <= active:
            what = "1 job at a time" if most == 1 else f"{most:,} jobs at once"
            return f"tenant {tenant} may run {what}, and does"
        ripe = await self._store.run(calls.command("ZSCORE", keys["refill"], tenant))
        if isinstance(ripe, bytes):
            now_ms = await self._store.run(calls.server_ms())
            wait_s = max(0.0, float(ripe) - now_ms) / 1000
            return f"tenant {tenant} has used up its rate, and starts the next in {wait_s:.1f} s"
        return f"tenant {tenant} had come to a limit, and its turn comes again"


def _paused(tenant: str) -> str:
    return f"pause:{check_tenant(tenant)}" if tenant else "paused"


def _declared(declared: Declaration, name: str) -> int | str | None:
    match name:
        case "rate" | "rate_per_tenant":
            stored = declared.rate_limit if name == "rate" else declared.rate_limit_per_tenant
            return _rate(stored) or None
        case "paused":
            return None
        case _:
            value = getattr(declared, name)
            return value if isinstance(value, int) and value else None


def _shown(name: str, raw: bytes | None) -> int | float | str | None:
    """What operators set, as people write it; what cannot be read is shown as it is."""
    if raw is None:
        return None
    text = raw.decode("utf-8", "replace")
    if name in ("rate", "rate_per_tenant"):
        return _rate(text) if text != "0" else ""
    try:
        return float(text) if name == "weight" else int(text)
    except ValueError:
        return text


def _rate(stored: str) -> str:
    rate = RateLimit.from_stored(stored)
    return str(rate) if rate else "" if stored == "0" else stored


def _number(raw: bytes | None, otherwise: int) -> int:
    """A number as it is kept; what is none counts as nothing said."""
    try:
        return otherwise if raw is None else int(raw)
    except ValueError:
        return otherwise
