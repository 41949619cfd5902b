"""What operators say of a queue and of its tenants while everything runs: pauses and bounds.

It is kept in the queue's `meta` and goes before what the plugin declares. Nothing here moves a job: a tenant
that may go on is given a turn, and workers take it.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import AsyncIterator, Collection, Mapping

import msgspec

from jobrunner.declaration import Declaration
from jobrunner.model import RateLimit
from jobrunner.names import check_queue, check_tenant
from jobrunner.store import calls, looks
from jobrunner.store.keys import QueueKeys
from jobrunner.store.store import Store
from jobrunner.wording import counted


class Limit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One limit of a queue, or of a tenant in it.

    What operators set goes before what the plugin declares. A number of 0 and a rate of "" bound nothing, null says nothing.
    """

    tenant: str
    """Empty for the queue's own."""
    name: str
    declared: int | str | None = None
    by_hand: float | str | None = None
    now: int | None = None
    """What it bounds, as it stands now, where that is a number of jobs."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What lets no further job of a queue, or of a tenant in it, start now.

    Attributes:
        code: `queue_paused`, `queue_at_limit`, `queue_rate`, or the same of a tenant.
        text: What it is, in plain words.
        remedy: What lets it go on, in plain words.
        at_ms: When that will be, by the store's clock, where it is known.
    """

    code: str
    text: str
    remedy: str
    at_ms: int | None = None

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}"


class HeldTenant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A tenant whose jobs are held in a queue."""

    tenant: str
    jobs: int
    why: str
    """In plain words, as it is now."""


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
        bounded = [field.partition(":")[2] for field in kept if field.startswith("max_active:")]
        fields = [f"active|{whose}" for whose in bounded if tenant in ("", whose)]
        active = await self._store.run(looks.some_of(keys["tally"], fields)) if fields else {}
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
                runs = _number(active.get(f"active|{whose}"), 0) if name == "max_active" else None
                raw = kept[f"{name}:{whose}"]
                shown = "paused" if name == "pause" else name
                rows.append(Limit(tenant=whose, name=shown, by_hand=_shown(name, raw), now=runs))
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

    async def held(
        self, queue: str, declared: Declaration, *, only: Collection[str] | None = None, most: int = 10
    ) -> list[HeldTenant]:
        """Tenants whose jobs are held, by name, each with how many and why.

        Args:
            queue: The queue.
            declared: What its plugin declares.
            only: Look at these tenants; None is everybody.
            most: Tenants to tell of.
        """
        keys = self._store.keys(check_queue(queue))
        tenants = [tenant async for tenant in self._holding(keys, most)] if only is None else sorted(only)
        found = []
        for tenant in tenants[:most]:
            # A tenant's jobs are a range: `tenant order id`, and no name has a space.
            count = calls.command("ZLEXCOUNT", keys["held"], f"[{tenant} ", f"({tenant}!")
            jobs = await self._store.run(count)
            if isinstance(jobs, int) and jobs:
                why = await self.why_held(queue, tenant, declared)
                found.append(HeldTenant(tenant=tenant, jobs=jobs, why=why))
        return found

    async def _holding(self, keys: QueueKeys, most: int) -> AsyncIterator[str]:
        """Tenants with held jobs, by name, one look each."""
        start = "-"
        for _ in range(most):
            entry = await self._store.run(
                calls.command("ZRANGEBYLEX", keys["held"], start, "+", "LIMIT", 0, 1)
            )
            if not isinstance(entry, list) or not entry:
                return
            tenant = entry[0].decode().partition(" ")[0]
            yield tenant
            start = f"[{tenant}!"

    async def why_held(self, queue: str, tenant: str, declared: Declaration) -> str:
        """Why the jobs of a tenant are held now, in plain words."""
        bound = await self.bound_of_tenant(queue, tenant, declared)
        return str(bound) if bound else f"tenant {tenant} had come to a limit, and its turn comes again"

    async def bound_of_tenant(self, queue: str, tenant: str, declared: Declaration) -> Bound | None:
        """What lets no further job of a tenant start now; None where nothing does."""
        keys = self._store.keys(queue)
        kept = await self._store.run(looks.hash_of(keys["meta"]))
        if f"pause:{tenant}" in kept:
            resume = f"`jobrunner resume {queue} --tenant {shlex.quote(tenant)}` lets it go on"
            return Bound(code="tenant_paused", text=f"tenant {tenant} is paused", remedy=resume)
        most = _number(
            kept.get(f"max_active:{tenant}", kept.get("max_active_per_tenant")),
            declared.max_active_per_tenant,
        )
        active = _number(await self._store.run(looks.tally(keys, f"active|{tenant}")), 0)
        if 0 < most <= active:
            return _full("tenant_at_limit", f"tenant {tenant}", most)
        rate = kept.get(f"rate:{tenant}", kept.get("rate_per_tenant"))
        return await self._emptied(queue, tenant, rate, declared.rate_limit_per_tenant)

    async def bounds_of_queue(self, queue: str, declared: Declaration) -> list[Bound]:
        """Everything that lets no further job of a queue start now, but for the lack of a free worker."""
        keys = self._store.keys(queue)
        kept = await self._store.run(looks.hash_of(keys["meta"]))
        counts = await self._store.run(calls.counts(keys))
        bounds = []
        if counts.paused:
            resume = f"`jobrunner resume {queue}` lets it go on"
            bounds.append(Bound(code="queue_paused", text="the queue is paused", remedy=resume))
        most = _number(kept.get("max_active"), declared.max_active)
        if 0 < most <= counts.active:
            bounds.append(_full("queue_at_limit", "the queue", most))
        emptied = await self._emptied(queue, "", kept.get("rate"), declared.rate_limit)
        return bounds + ([emptied] if emptied else [])

    async def _emptied(self, queue: str, tenant: str, by_hand: bytes | None, declared: str) -> Bound | None:
        """The bound of a rate, where as many jobs have started lately as it allows."""
        rate = RateLimit.from_stored(declared if by_hand is None else by_hand.decode("utf-8", "replace"))
        full = await self._store.run(calls.command("ZSCORE", self._store.keys(queue)["rates"], tenant or "*"))
        if rate is None or not isinstance(full, bytes):
            return None
        now_ms = await self._store.run(calls.server_ms())
        wait_ms = refill_ms(rate, full_ms=float(full), now_ms=now_ms)
        whose, code = (f"tenant {tenant}", "tenant_rate") if tenant else ("the queue", "queue_rate")
        if not wait_ms:
            return None
        return Bound(
            code=code,
            text=f"{whose} has used up its rate of {counted(rate.jobs, 'job')} in {rate.per_seconds:g} s",
            remedy=f"it may start the next in {wait_ms / 1000:.1f} s",
            at_ms=now_ms + wait_ms,
        )


def refill_ms(rate: RateLimit, *, full_ms: float, now_ms: int) -> int:
    """Milliseconds until a rate allows one more job; 0 where it does now.

    Args:
        rate: The rate.
        full_ms: When its bucket will be full again if nothing starts, in ms since 1970.
        now_ms: Now, in ms since 1970.
    """
    step = rate.per_seconds * 1000 / rate.jobs
    depth = step * (rate.burst or rate.jobs)
    full = min(max(full_ms, now_ms), now_ms + depth)
    if math.floor((now_ms + depth - full + 0.002) / step) >= 1:  # a score has 3 decimals
        return 0
    return max(1, math.ceil(full + step - depth - now_ms - 0.001))


def _full(code: str, who: str, most: int) -> Bound:
    what = "1 job at a time" if most == 1 else f"{most:,} jobs at once"
    return Bound(
        code=code, text=f"{who} may run {what}, and does", remedy="the next starts when one of these ends"
    )


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
