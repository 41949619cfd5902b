"""Routes for whoever keeps the process running: does it live, and can it serve. They are open, and say nothing else."""

from __future__ import annotations

import contextlib

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from jobrunner.errors import StoreError
from jobrunner_http.api.asking import OnSite
from jobrunner_http.door import open_to
from jobrunner_http.tokens import STALE_S

READY_S = STALE_S
"""Seconds for which a store call that succeeded makes this ready."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe is told."""

    status: str


@get("/livez", opt=open_to(None), tags=["probes"])
async def livez() -> Probe:
    """Say that the process answers."""
    return Probe(status="alive")


@get(
    "/readyz",
    opt=open_to(None),
    tags=["probes"],
    responses={503: ResponseSpec(Probe, generate_examples=False)},
)
async def readyz(site: OnSite) -> Response[Probe]:
    """Say whether the store was read from within the last seconds, and a worker of this process lives."""
    with contextlib.suppress(StoreError):
        await site.tokens.refresh()
    ready = site.tokens.age_s < READY_S and site.worker_lives()
    return Response(Probe(status="ready" if ready else "not ready"), status_code=200 if ready else 503)


HANDLERS = (livez, readyz)
