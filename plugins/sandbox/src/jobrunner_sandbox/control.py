"""The sandbox's own endpoints under `/_sandbox`: look at the ledger, reset, change the behaviour, plan a fault.

For whoever runs the sandbox in another process. No stand-in is reachable through them.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.fates import Fates
from jobrunner_sandbox.faults import Fault, Faults
from jobrunner_sandbox.ledger import Ledger
from jobrunner_sandbox.service import answer_json


class Control:
    """The endpoints of the sandbox itself."""

    def __init__(self, *, ledger: Ledger, fates: Fates, faults: Faults, reset: Callable[[], None]) -> None:
        self._ledger = ledger
        self._fates = fates
        self._faults = faults
        self._reset = reset

    def routes(self) -> list[Route]:
        """Return the routes, all under `/_sandbox`."""
        return [
            Route("/_sandbox/ledger", self._show_ledger, methods=["GET"]),
            Route("/_sandbox/reset", self._clear, methods=["POST"]),
            Route("/_sandbox/behaviour", self._show_behaviour, methods=["GET"]),
            Route("/_sandbox/behaviour", self._change_behaviour, methods=["POST"]),
            Route("/_sandbox/faults", self._plan_fault, methods=["POST"]),
        ]

    async def _show_ledger(self, _request: Request) -> Response:
        body = {
            "posts": self._ledger.posts(),
            "requests": self._ledger.requests(),
            "generated": self._ledger.generated(),
            "counts": self._ledger.counts(),
            "duplicates": self._ledger.duplicates(),
        }
        return answer_json(body)

    async def _clear(self, _request: Request) -> Response:
        self._reset()
        return Response(status_code=204)

    async def _show_behaviour(self, _request: Request) -> Response:
        return answer_json(self._fates.behaviour)

    async def _change_behaviour(self, request: Request) -> Response:
        try:
            changes = msgspec.json.decode(await request.body(), type=dict[str, object])
            merged = {**msgspec.to_builtins(self._fates.behaviour), **changes}
            self._fates.behaviour = msgspec.convert(merged, Behaviour)
        except msgspec.MsgspecError as error:
            return answer_json({"error": str(error)}, status=400)
        return answer_json(self._fates.behaviour)

    async def _plan_fault(self, request: Request) -> Response:
        try:
            fault = msgspec.json.decode(await request.body(), type=Fault)
        except msgspec.MsgspecError as error:
            return answer_json({"error": str(error)}, status=400)
        self._faults.plan(fault)
        return answer_json(fault, status=201)
