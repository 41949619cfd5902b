"""The dashboard: pages for people, from the same calls as the API.

Pages are made on the server and can be read without JavaScript; forms are plain. Nothing is fetched from elsewhere.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler, Scope

from jobrunner_http.api import session
from jobrunner_http.dashboard import doors, failure_pages, forms, job_pages, overview_pages, queue_pages
from jobrunner_http.dashboard.failing import failed_page, missing_page, page_of
from jobrunner_http.dashboard.rendering import Pages
from jobrunner_http.problems import ProblemError
from jobrunner_http.site import Site


class Dashboard:
    """The dashboard of a site.

    Args:
        site: What its requests share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pages = Pages()

    def routes(self) -> list[ControllerRouterHandler]:
        """Its pages and forms."""
        pages = self._pages

        def the_pages() -> (
            Pages
        ):  # a function: the router copies what it is given, and a method's owner with it
            return pages

        return [
            Router(
                "/",
                route_handlers=[
                    *overview_pages.HANDLERS,
                    *queue_pages.HANDLERS,
                    *job_pages.HANDLERS,
                    *failure_pages.HANDLERS,
                    *forms.HANDLERS,
                    *doors.HANDLERS,
                    *session.HANDLERS,
                ],
                dependencies={"pages": Provide(the_pages, sync_to_thread=False)},
                exception_handlers={Exception: failed_page(self._site, self._pages)},
                include_in_schema=False,
            )
        ]

    def missing(self, request: Request[Any, Any, Any], problem: ProblemError) -> Response[Any] | None:
        """The page for a browser that is refused where no page is; None where no browser asks."""
        return missing_page(self._pages, request, problem)

    def refused(self, scope: Scope, problem: ProblemError) -> bytes:
        """The page for a browser whose request the gate does not let in."""
        return bytes(page_of(self._pages, Request(scope), problem).content)
