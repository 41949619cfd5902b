"""What a producer must know of a queue, and all that it can know where the plugin is not installed.

Workers publish it, so that producers can enqueue by name. It is data from the store and so is never trusted
further than its types.
"""

from __future__ import annotations

import msgspec

from jobrunner.codec import json_schema
from jobrunner.model import MAX_PAYLOAD
from jobrunner.queue import Queue


class Declaration(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A queue as its workers declare it. Field names are those of the wire."""

    name: str
    plugin: str = ""
    distribution: str = ""
    priority: int = 0
    concurrency: int = 0
    """Jobs at once in one worker; 0 where no worker has said."""
    version: int = 1
    """Of the payload."""
    tenant_field: str = ""
    """The payload's field that names the tenant; empty where there is none, as for the next two."""
    schedule_field: str = ""
    unique_field: str = ""
    route: str = ""
    """Two names with a slash, for `/api/queue/test/`."""
    timeout: float = 3600.0
    """Seconds for one run."""
    lease: float = 30.0
    """Seconds."""
    max_attempts: int = 8
    max_active: int = 0
    """Jobs at once over all workers; 0 is any number, as for the other bounds."""
    max_active_per_tenant: int = 0
    rate_limit: str = "0"
    """Jobs, ms and burst; `0` is any number."""
    rate_limit_per_tenant: str = "0"
    max_waiting: int = 0
    max_waiting_bytes: int = 0
    max_payload: int = MAX_PAYLOAD
    """Bytes of JSON."""
    has_secrets: bool = False
    """Whether the payload has secret fields: producers that have a key seal it."""


def declare(queue: Queue, *, plugin: str = "", distribution: str = "", concurrency: int = 0) -> Declaration:
    """What a queue's producers must know."""
    wire = dict(zip(queue.payload.__struct_fields__, queue.payload.__struct_encode_fields__, strict=True))
    return Declaration(
        name=queue.name,
        plugin=plugin,
        distribution=distribution,
        priority=queue.priority,
        concurrency=concurrency,
        version=queue.version,
        tenant_field=wire.get(queue.tenant_field, ""),
        schedule_field=wire.get(queue.schedule_field or "", ""),
        unique_field=wire.get(queue.unique_field or "", ""),
        route=queue.route or "",
        timeout=queue.timeout,
        lease=queue.lease,
        max_attempts=queue.retry.max_attempts,
        max_active=queue.max_active or 0,
        max_active_per_tenant=queue.max_active_per_tenant or 0,
        rate_limit=queue.rate_limit.stored if queue.rate_limit else "0",
        rate_limit_per_tenant=queue.rate_limit_per_tenant.stored if queue.rate_limit_per_tenant else "0",
        max_waiting=queue.max_waiting or 0,
        max_waiting_bytes=queue.max_waiting_bytes or 0,
        max_payload=queue.max_payload,
        has_secrets=queue.has_secrets,
    )


def payload_schema(queue: Queue) -> dict[str, object]:
    """The JSON Schema of a queue's payload, as on the wire."""
    return json_schema(queue.payload)
