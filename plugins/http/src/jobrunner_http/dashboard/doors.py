"""The log-in page, and the files that pages need; open to everybody."""

from __future__ import annotations

from litestar import Response, get

from jobrunner_http.api.asking import Ask, Named
from jobrunner_http.dashboard.rendering import OnPages
from jobrunner_http.door import open_to
from jobrunner_http.problems import not_found


@get("/login", opt=open_to(None))
async def login_page(pages: OnPages, request: Ask) -> Response[bytes]:
    """Ask for a token."""
    failed = bool(request.query_params.get("failed"))
    return pages.show(request, "login.html", {"failed": failed, "wanted": ""}, status=401 if failed else 200)


@get("/static/{name:str}", opt=open_to(None))
async def static_file(pages: OnPages, name: Named) -> Response[bytes]:
    """Give a file that pages need; its address changes with its content, so browsers keep it."""
    found = pages.file(name)
    if found is None:
        raise not_found("there is no such file")
    content, kind = found
    return Response(
        content, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"}
    )


HANDLERS = (login_page, static_file)
