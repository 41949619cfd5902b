"""The dashboard: pages for people, from the same calls as the API."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from jobrunner_http.site import Site


def routes(site: Site) -> list[ControllerRouterHandler]:
    """The dashboard's pages."""
    del site
    return []
