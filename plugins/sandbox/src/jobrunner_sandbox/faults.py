"""One-off faults by plan, for tests that need this request to go wrong and no other.

Never draws a random number: what is planned happens, once, to the first request that fits.
"""

from __future__ import annotations

import threading
from fnmatch import fnmatchcase

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One request that will go wrong.

    Args:
        service: The service's name, such as `x`.
        path: The path inside the service, with `*` for anything: `/2/tweets`, `*/media_publish`.
        method: The HTTP method, or `*`.
        status: Answer this status, 400 to 599, in the service's own words, before any effect.
        lost: Let the effect happen and close the connection without an answer.
        retry_after: Seconds that a status of 429 asks for; the behaviour's own where it is None.

    Raises:
        ValueError: There is neither a status nor `lost`, or both, or the status is no error.
    """

    service: str
    path: str = "*"
    method: str = "*"
    status: int | None = None
    lost: bool = False
    retry_after: float | None = None

    def __post_init__(self) -> None:
        if (self.status is None) != self.lost:
            raise ValueError("Fault: give either status=, for before the effect, or lost=True, for after it")
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError(f"Fault: status is 400 to 599, not {self.status}")


class Faults:
    """The queue of planned faults; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Fault] = []

    def next(
        self,
        service: str,
        *,
        path: str = "*",
        method: str = "*",
        status: int | None = None,
        lost: bool = False,
        retry_after: float | None = None,
        times: int = 1,
    ) -> None:
        """Let the next request that fits go wrong; faults planned earlier come first.

        Args:
            service: The service's name.
            path: The path inside the service, with `*` for anything.
            method: The HTTP method, or `*`.
            status: Answer this status before any effect.
            lost: Close the connection without an answer after the effect.
            retry_after: Seconds that a status of 429 asks for.
            times: How many requests, 1 or more.

        Raises:
            ValueError: There is neither a status nor `lost`, or both, or the status is no error.
        """
        fault = Fault(
            service=service, path=path, method=method, status=status, lost=lost, retry_after=retry_after
        )
        self.plan(fault, times=times)

    def plan(self, fault: Fault, *, times: int = 1) -> None:
        """Add a fault to the end of the queue, `times` times."""
        with self._lock:
            self._planned.extend([fault] * times)

    def take(self, service: str, *, method: str, path: str) -> Fault | None:
        """Remove and return the first fault that fits this request, or None."""
        with self._lock:
            for index, fault in enumerate(self._planned):
                fits_path = fnmatchcase(path, fault.path)
                if fault.service == service and fault.method in ("*", method) and fits_path:
                    return self._planned.pop(index)
        return None

    def waiting(self) -> list[Fault]:
        """Return what is planned and has not happened yet, in order."""
        with self._lock:
            return list(self._planned)

    def clear(self) -> None:
        """Forget every fault that has not happened yet."""
        with self._lock:
            self._planned.clear()
