"""HTTP API, dashboard and metrics of jobrunner: the command `jobrunner serve`, and an ASGI application.

Importing this loads nothing of the web framework; `create_app` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner_http.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> object:
    if name == "create_app":
        from jobrunner_http.app import create_app  # noqa: PLC0415 - the framework is heavy; commands must not wait for it

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
