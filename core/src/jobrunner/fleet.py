"""What a worker says of itself in the store, for whoever looks at the fleet."""

from __future__ import annotations

import msgspec


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A worker as others see it."""

    id: str
    host: str
    pid: int
    version: str
    started_ms: int
    seen_ms: int
    """When it last said something, by the store's clock."""
    queues: dict[str, int] = {}
    """Queue -> concurrency."""
    plugins: dict[str, str] = {}
    """Plugin -> distribution and version."""
    running: int = 0
    held: int = 0
    abandoned: int = 0
    completed: int = 0
    failed: int = 0
    loop_lag_ms: int = 0
    store_ms: float = 0.0
    """Milliseconds that the last report took to the store and back."""
    clock_skew_ms: int = 0
    """This worker's clock less the store's."""
    stopping: bool = False
