"""What becomes of a request: drawn from a seeded source, or taken from the planned faults.

Decides and nothing else: waiting, answering and closing are the gate's.
"""

from __future__ import annotations

import random
import threading

import msgspec

from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.faults import Faults

CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one request.

    Args:
        status: The error to answer before any effect; None to serve the request.
        lost: Whether to close the connection without an answer after the effect.
        retry_after: Seconds that a 429 asks for.
    """

    status: int | None = None
    lost: bool = False
    retry_after: float = 1.0


class Fates:
    """The behaviour in force and the random source of each service; safe to use from any thread."""

    def __init__(self, behaviour: Behaviour, faults: Faults) -> None:
        self._lock = threading.Lock()
        self._faults = faults
        self._behaviour = behaviour
        self._sources: dict[str, random.Random] = {}

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force. Setting it begins the random sources anew, from its seed."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._lock:
            self._behaviour = behaviour
            self._sources.clear()

    def restart(self) -> None:
        """Begin the random sources anew, from the seed in force."""
        self.behaviour = self._behaviour

    def draw(self, service: str, *, method: str, path: str) -> Fate:
        """Decide one request; a planned fault goes before chance.

        Args:
            service: The service's name; each has a random source of its own.
            method: The HTTP method; only one that changes something can lose its answer.
            path: The path inside the service.

        Returns:
            The fate. At most one of `status` and `lost` is set.
        """
        with self._lock:
            behaviour = self._behaviour
            source = self._sources.get(service)
            if source is None:
                source = self._sources[service] = random.Random(f"{behaviour.seed}:{service}")  # noqa: S311 - not for secrets
            # Always four draws, so that changing one rate does not move the others' picks.
            limited, failed, which, lost = (source.random() for _ in range(4))
        fault = self._faults.take(service, method=method, path=path)
        if fault is not None:
            wait_s = behaviour.retry_after if fault.retry_after is None else fault.retry_after
            return Fate(status=fault.status, lost=fault.lost, retry_after=wait_s)
        if limited < behaviour.rate_limit_rate:
            return Fate(status=429, retry_after=behaviour.retry_after)
        if failed < behaviour.fail_rate:
            return Fate(status=500 if which < 0.5 else 503)
        return Fate(lost=method in CHANGING_METHODS and lost < behaviour.lost_rate)
