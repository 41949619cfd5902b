"""Errors as pages: what is wrong in one line, and where to go on. Who is not known gets the log-in page in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request, Response

from jobrunner.errors import StoreCorruptError
from jobrunner_http.dashboard.rendering import Pages
from jobrunner_http.door import COOKIE, cookie_of
from jobrunner_http.gate import inner, wants_page
from jobrunner_http.problems import ProblemError, problem_of
from jobrunner_http.site import Site

TITLES = {
    400: "That cannot be read",
    403: "Not for this token",
    404: "Not here",
    409: "Not in this state",
    422: "That does not fit",
    405: "Not in this way",
    408: "It took too long",
    413: "Too large",
    421: "Not under this name",
    429: "Too many requests",
    503: "The store does not answer",
}

Failed = Callable[[Request[Any, Any, Any], Exception], Response[Any]]


def failed_page(site: Site, pages: Pages) -> Failed:
    """What becomes of an error in a page or a form."""

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        problem = problem_of(error)
        if problem.status == 500 or isinstance(error, StoreCorruptError):
            site.trail.failed(request.method, request.scope["path"], error)
        return page_of(pages, request, problem)

    return failed


def missing_page(
    pages: Pages, request: Request[Any, Any, Any], problem: ProblemError
) -> Response[Any] | None:
    """The page for a browser that is refused where no page is; None where no browser asks for one."""
    headers = {b"accept": request.headers.get("accept", "").encode()}
    return page_of(pages, request, problem) if wants_page(inner(request.scope), headers) else None


def page_of(pages: Pages, request: Request[Any, Any, Any], problem: ProblemError) -> Response[Any]:
    """The page for a problem."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if problem.status == 401:
        wanted = path if request.method == "GET" else ""
        page = pages.show(request, "login.html", {"failed": False, "wanted": wanted}, status=401)
        if cookie_of(request.scope["headers"]):  # type: ignore[arg-type]  # pairs of bytes
            # It stands for nobody any more: a page that polls with it would count as a guesser.
            page.delete_cookie(COOKIE, path=request.scope.get("root_path", "") or "/")
        return page
    data = {
        "title": TITLES.get(problem.status, "Something went wrong"),
        "status": problem.status,
        "detail": problem.detail,
        "back": above(path),
    }
    kept = {name: value for name, value in problem.headers.items() if name in ("retry-after", "allow")}
    return pages.show(request, "error.html", data, status=problem.status, headers=kept)


def above(path: str) -> list[str]:
    """The parts of the address to go back to: what a form was about, or what a page is a part of."""
    parts = [part for part in path.split("/") if part][:-1]
    while parts and parts[-1] in ("queues", "jobs", "failures"):
        parts.pop()
    return parts
