"""Turns templates into pages. Everything that a template is given comes out as text; addresses are built here only."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Mapping
from importlib import resources
from typing import TypeAlias
from urllib.parse import quote, urlencode

import jinja2
from litestar import Response
from litestar.di import NamedDependency
from markupsafe import Markup, escape

from jobrunner_http.access import Caller, Role
from jobrunner_http.api.asking import Ask
from jobrunner_http.dashboard import phrases
from jobrunner_http.dashboard.charts import ORDER
from jobrunner_http.door import CALLER

STATIC = {
    "style.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Every file that is served as it is, with its type."""

DONE = {
    "retried": "in line again",
    "promoted": "may start now",
    "cancelled": "cancelled",
    "requested": "told to stop; it ends as soon as its handler does",
    "removed": "removed",
    "cleared": "deleted",
}
"""What a page says of jobs that were changed."""

SAID = {
    "paused": "The queue is paused: what runs goes on, and nothing else starts.",
    "resumed": "The queue runs again.",
    "tenant_paused": "The tenant is paused: its jobs are held, and those of others go on.",
    "tenant_resumed": "The tenant goes on.",
    "limited": "The limit holds from now on, for every worker.",
}


class Pages:
    """Makes pages; one for a site."""

    def __init__(self) -> None:
        self._files = {name: _static(name) for name in STATIC}
        self._marks = {name: hashlib.sha256(raw).hexdigest()[:12] for name, raw in self._files.items()}
        self._templates = _templates()

    def show(
        self,
        request: Ask,
        template: str,
        data: Mapping[str, object],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response[bytes]:
        """A page.

        Args:
            request: What it answers.
            template: The template's name.
            data: What the template shows.
            status: The answer's status.
            headers: Further headers of the answer.
        """
        now_ms = int(time.time() * 1000)
        root = request.scope.get("root_path", "")
        caller = request.scope.get(CALLER)

        def url(*parts: str, **query: object) -> str:
            return address(root, *parts, **query)

        def may(role: str) -> bool:
            return isinstance(caller, Caller) and caller.may(Role[role.upper()])

        text = self._templates.get_template(template).render(
            **data,
            url=url,
            may=may,
            caller=caller,
            now_ms=now_ms,
            ago=lambda ms: phrases.ago(ms, now_ms),
            states=[state.value for state in ORDER],
            static=lambda name: f"{root}/static/{name}?v={self._marks[name]}",
            said=said(request),
        )
        return Response(
            text.encode("utf-8", "backslashreplace"),
            status_code=status,
            media_type="text/html",
            headers={"cache-control": "no-store", "vary": "cookie, authorization", **(headers or {})},
        )

    def file(self, name: str) -> tuple[bytes, str] | None:
        """A file that is served as it is, and its type; None where there is no such file."""
        return (self._files[name], STATIC[name]) if name in STATIC else None


OnPages: TypeAlias = NamedDependency[Pages]


def address(root: str, *parts: str, **query: object) -> str:
    """An address on this site: every part and value is quoted, and empty values are left out."""
    path = "/".join(quote(part, safe="") for part in parts)
    asked = urlencode({name: str(value) for name, value in query.items() if value not in (None, "")})
    return f"{quote(root)}/{path}" + (f"?{asked}" if asked else "")


def back(request: Ask, *parts: str, **query: object) -> Response[None]:
    """The answer to a form: where to look at what it did."""
    target = address(request.scope.get("root_path", ""), *parts, **query)
    headers = {"location": target, "cache-control": "no-store"}
    return Response(
        None, status_code=303, media_type="text/plain", headers=headers
    )  # as JSON it would say null


def said(request: Ask) -> str:
    """What the form before this page did, in words of ours: nothing of the address itself is shown."""
    done, number = request.query_params.get("done", ""), request.query_params.get("n", "")
    if done in SAID:
        return SAID[done]
    if done not in DONE or not (number.isascii() and number.isdigit() and len(number) < 12):
        return ""
    more = " More are left: do it again." if request.query_params.get("more") else ""
    return f"{phrases.jobs(int(number))} {DONE[done]}.{more}"


def coded(text: str) -> Markup:
    """A sentence with what stands between backticks as code; everything in it is escaped first."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 and at < len(parts) - 1 else escape(part)
        for at, part in enumerate(parts)
    )


@functools.cache
def _templates() -> jinja2.Environment:
    """The templates, read and compiled once in a process: that takes a third of a second, and no page should wait for it."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("jobrunner_http.dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words: tuple[Callable[..., str], ...] = (
        *(phrases.count, phrases.span, phrases.moment, phrases.machine, phrases.size),
        *(phrases.jobs, phrases.pretty, phrases.short, phrases.limit_name, phrases.limit_value),
        coded,
    )
    templates.filters |= {word.__name__: word for word in words}
    for name in templates.list_templates():
        templates.get_template(name)
    return templates


def _static(name: str) -> bytes:
    return resources.files("jobrunner_http.dashboard").joinpath("static", name).read_bytes()
