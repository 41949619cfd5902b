"""A gateway that serves a picture for any address, so that nothing has to be fetched from outside.

Makes every picture itself, but for those of a folder that it was given. Never opens a connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from starlette.responses import RedirectResponse, Response, StreamingResponse

from jobrunner_sandbox.pictures import picture, recognise
from jobrunner_sandbox.service import Call, Context, Endpoint, answer_json
from jobrunner_sandbox.troubles import MediaTrouble, fetchable, media_trouble

TOO_LARGE_BYTES = 64 << 20
"""More than any platform takes, so a client has to stop by itself."""

CHUNK = bytes(64 << 10)


SHELF = "pictures.example.com"
"""The host whose addresses stand for the files of the folder."""


class MediaService:
    """`GET ?url=...` at the service's address or at `/media` below it; no token is needed.

    Args:
        context: What the services share.
        folder: The folder whose files are served for `https://pictures.example.com/PATH`; None for none.
    """

    name = "media"

    def __init__(self, context: Context, *, folder: Path | None = None) -> None:
        self._context = context
        self._folder = folder.resolve() if folder else None

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (
            Endpoint(method="GET", path="", handler=self._serve, public=True),
            Endpoint(method="GET", path="/media", handler=self._serve, public=True),
        )

    def refuse(self, status: int, message: str) -> Response:
        """Word any error: one field, `error`."""
        return answer_json({"error": message}, status=status)

    def refuse_token(self, *, missing: bool) -> Response:  # noqa: ARG002 - one wording for both
        """Word a planned 401; no request needs a token here."""
        return self.refuse(401, "Unauthorized")

    def refuse_path(self, method: str, path: str) -> Response:
        """Word a path or method that does not exist."""
        return self.refuse(404, f"There is no {method} {path}; it is GET ?url=https://...")

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests, with a Retry-After header in seconds."""
        answer = self.refuse(429, "Too many requests")
        answer.headers["Retry-After"] = f"{retry_after:g}"
        return answer

    def finish(self, call: Call, answer: Response) -> None:
        """Add nothing."""

    def clear(self) -> None:
        """Forget nothing, since nothing is kept."""

    async def _serve(self, call: Call) -> Response:
        url = call.request.query_params.get("url", "")
        if not url.startswith("https://") or not fetchable(url):
            return self.refuse(400, "url= must be an https address")
        match media_trouble(url):
            case MediaTrouble.NOT_FOUND:
                return self.refuse(404, "Not found")
            case MediaTrouble.TOO_LARGE:
                headers = {"content-length": str(TOO_LARGE_BYTES)}
                return StreamingResponse(_zeros(), media_type="image/jpeg", headers=headers)
            case MediaTrouble.REDIRECT:
                return RedirectResponse(
                    f"{call.base}?url=https://cdn.example.com/redirected.jpg", status_code=302
                )
            case MediaTrouble.NOT_AN_IMAGE:
                return Response("<!doctype html><title>Not an image</title>", media_type="text/html")
            case MediaTrouble.CONTAINER_ERROR | MediaTrouble.CONTAINER_EXPIRED | None:
                if self._folder is not None and urlsplit(url).hostname == SHELF:
                    return self._from_folder(self._folder, unquote(urlsplit(url).path))
                made = picture(url)
                return Response(made.content, media_type=made.content_type)

    def _from_folder(self, folder: Path, path: str) -> Response:
        try:
            file = (folder / path.lstrip("/")).resolve()
            content = file.read_bytes() if file.is_relative_to(folder) else None
        except (OSError, ValueError):
            content = None
        kind = None if content is None else recognise(content)
        return self.refuse(404, "Not found") if kind is None else Response(content, media_type=kind)


async def _zeros() -> AsyncIterator[bytes]:
    for _ in range(TOO_LARGE_BYTES // len(CHUNK)):
        yield CHUNK
