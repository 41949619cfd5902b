"""What the dashboard's tests look at: jobs in most states, and scripts in whatever is stored."""

from __future__ import annotations

import msgspec
from http_house import CANARY, House, Note, parcel

from jobrunner.fleet import WorkerReport
from jobrunner.model import State

QUEUE = "/queues/parcel.deliver"
SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


async def stocked(house: House) -> dict[str, str]:
    """Jobs in most states, of two tenants: the id of a failed one of each, and of a delayed one."""
    await house.enqueue(*[parcel("acme", at) for at in range(3)])
    await house.enqueue(*[parcel("acme", at, how="fail", token=CANARY) for at in range(4)])
    await house.enqueue(*[parcel("globex", at, how="discard", token=CANARY) for at in range(2)])
    await house.work()
    (waits,) = await house.enqueue(parcel("acme", 9, token=CANARY))
    (delayed,) = await house.enqueue(parcel("acme", 8, token=CANARY), delay=3600)
    await house.site.client.enqueue("note.send", Note(to="x"))
    page = await house.site.admin.listing.page("parcel.deliver", State.FAILED)
    failed = {job.tenant: job.id for job in page.jobs}
    return {"acme": failed["acme"], "globex": failed["globex"], "delayed": delayed, "waits": waits}


def addresses(ids: dict[str, str]) -> list[str]:
    """Every page, and every state of a queue."""
    return [
        *("/", "/?range=3h&sort=failed", "/?find=parcel", "/failures", "/workers", "/plugins"),
        *(f"{QUEUE}?state={state}" for state in State),
        *(QUEUE, f"{QUEUE}?range=24h", f"{QUEUE}/failures", f"{QUEUE}/schema", "/queues/note.send"),
        *(f"{QUEUE}/jobs/{job_id}" for job_id in ids.values()),
        *("/login", "/nowhere", "/queues/nowhere", f"{QUEUE}/jobs/nowhere"),
    ]


def hostile(house: House, job_id: str) -> None:
    """Write scripts over what the store holds of a job, and a fleet of hostile names."""
    base, raw = "jr:{parcel.deliver}:", house.redis
    record = msgspec.json.decode(raw.hget(base + "jobs", job_id))
    record[4] = {"tenantId": "acme", "how": SCRIPT, "number": 1}
    record[5:] = [{SCRIPT: SCRIPT}]
    raw.hset(base + "jobs", job_id, msgspec.json.encode(record))
    error = {"kind": "error", "attempt": 1, "error_type": SCRIPT, "message": SCRIPT, "traceback": SCRIPT}
    error |= {"fingerprint": SCRIPT, "worker": SCRIPT}
    journal = b"".join(
        b"%d %s\n" % (at, msgspec.json.encode(entry))
        for at, entry in enumerate(
            (
                {"kind": "result", "value": SCRIPT},
                {"kind": "note", "what": SCRIPT, "reason": SCRIPT},
                error,
            ),
            1_700_000_000_000,
        )
    )
    raw.hset(base + "state", job_id, journal)
    raw.hset(base + "steps", job_id, msgspec.json.encode([SCRIPT, SCRIPT]) + b"\n")
    raw.hset(base + "progress", job_id, b"1 " + msgspec.json.encode([0.5, SCRIPT]))
    line = {"timestamp": SCRIPT, "level": SCRIPT, "event": SCRIPT, SCRIPT: SCRIPT}
    raw.hset(base + "logs", job_id, msgspec.json.encode(line) + b"\n")
    raw.hset(base + "tally", f"failed|{SCRIPT}", 3)
    report = WorkerReport(
        id=SCRIPT, host=SCRIPT, pid=1, version=SCRIPT, started_ms=1, seen_ms=1, queues={SCRIPT: 1}
    )
    fleet = house.site.admin.store.fleet
    raw.hset(fleet.workers, SCRIPT, msgspec.json.encode(report))
    about = {"name": "evil.queue", "plugin": SCRIPT, "distribution": SCRIPT, "route": SCRIPT}
    raw.hset(fleet.queues, "evil.queue", msgspec.json.encode(about | {"tenantField": SCRIPT}))
    field = {"type": SCRIPT, "description": SCRIPT, "default": SCRIPT, "pattern": SCRIPT}
    schema = {
        "$ref": f"#/$defs/{SCRIPT}",
        "$defs": {SCRIPT: {"description": SCRIPT, "properties": {SCRIPT: field}}},
    }
    raw.hset(fleet.schemas, "evil.queue", msgspec.json.encode(schema))
