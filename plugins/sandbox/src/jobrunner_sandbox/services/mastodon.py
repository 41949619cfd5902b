"""A stand-in for a Mastodon instance: statuses with their Idempotency-Key, and media.

Faithful in statuses, bodies, rate limit headers and what a repeated key answers; federates nothing.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.fields import Fields, read_fields
from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.pictures import fingerprint, recognise
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.insights_mastodon import MastodonInsights

FIRST_ID = 113_000_000_000_000_000
MOST_CHARACTERS = 500
MOST_MEDIA = 4
KEY_LIFE_S = 3600
"""How long a key is remembered. Source: the service that posts statuses in Mastodon's own code."""

LIMIT = 300
LIMIT_WINDOW_S = 300
VISIBILITIES = ("", "public", "unlisted", "private", "direct")


class Attachment(msgspec.Struct, kw_only=True):
    """An uploaded file, until a status takes it."""

    id: str
    account: str
    content: bytes
    description: str
    uploaded_at: float
    status_id: str = ""


class MastodonService:
    """The endpoints of an instance, its media, its statuses, and the keys that it remembers."""

    name = "mastodon"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._media: dict[str, Attachment] = {}
        self._statuses: dict[str, dict[str, object]] = {}
        self._keys: dict[tuple[str, str], tuple[float, str]] = {}
        self._used: dict[tuple[str, int], int] = {}
        self._insights = MastodonInsights(context, statuses=lambda: self._statuses)

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (
            Endpoint(method="POST", path="/api/v2/media", handler=self._upload),
            Endpoint(method="GET", path="/api/v1/media/{media_id}", handler=self._show_media),
            Endpoint(method="POST", path="/api/v1/statuses", handler=self._post),
            Endpoint(method="GET", path="/api/v1/statuses/{status_id}", handler=self._show_status),
            *self._insights.endpoints(),
        )

    def refuse(self, status: int, message: str) -> Response:
        """Word any error: one field, `error`."""
        return answer_json({"error": message}, status=status)

    def refuse_token(self, *, missing: bool) -> Response:  # noqa: ARG002 - an instance words both alike
        """Word a token that is missing or not valid."""
        return self.refuse(401, "The access token is invalid")

    def refuse_path(self, method: str, path: str) -> Response:  # noqa: ARG002 - an instance does not repeat them
        """Word a path or method that does not exist."""
        return self.refuse(404, "The page you are looking for isn't here.")

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests; the reset is a header of its own, in ISO 8601."""
        answer = self.refuse(429, "Too many requests")
        answer.headers["X-RateLimit-Limit"] = str(LIMIT)
        answer.headers["X-RateLimit-Remaining"] = "0"
        answer.headers["X-RateLimit-Reset"] = _iso(self._context.now() + retry_after)
        return answer

    def finish(self, call: Call, answer: Response) -> None:
        """Add the rate limit's headers: they count, and refuse nobody."""
        if not call.account or "X-RateLimit-Reset" in answer.headers:
            return
        window = int(self._context.now() // LIMIT_WINDOW_S)
        used = self._used[call.account, window] = self._used.get((call.account, window), 0) + 1
        answer.headers["X-RateLimit-Limit"] = str(LIMIT)
        answer.headers["X-RateLimit-Remaining"] = str(max(0, LIMIT - used))
        answer.headers["X-RateLimit-Reset"] = _iso((window + 1) * LIMIT_WINDOW_S)

    def clear(self) -> None:
        """Forget all that was uploaded and published."""
        for memory in (self._media, self._statuses, self._keys, self._used):
            memory.clear()

    async def _upload(self, call: Call) -> Response:
        fields = await read_fields(call.request)
        content = fields.content("file")
        if content is None:
            raise self._invalid("Validation failed: File can't be blank")
        if recognise(content) is None:
            raise self._invalid("Validation failed: File content type is invalid, File is invalid")
        media = Attachment(
            id=str(self._context.next_id(FIRST_ID)),
            account=call.account,
            content=content,
            description=fields.text("description"),
            uploaded_at=self._context.now(),
        )
        self._media[media.id] = media
        return answer_json(self._described(call, media), status=200 if self._processed(media) else 202)

    async def _show_media(self, call: Call) -> Response:
        media = self._media.get(call.path("media_id"))
        if media is None or media.account != call.account or media.status_id:
            raise RefusedError(self.refuse(404, "Record not found"))
        return answer_json(self._described(call, media), status=200 if self._processed(media) else 206)

    async def _post(self, call: Call) -> Response:
        fields = await read_fields(call.request)
        key = call.request.headers.get("idempotency-key", "")
        known = self._remembered(call, key)
        if known is not None:
            return answer_json(known)
        media = self._attached(call, fields)
        text = fields.text("status")
        if not text.strip() and not media:
            raise self._invalid("Validation failed: Text can't be blank")
        if len(text) > MOST_CHARACTERS:
            raise self._invalid(f"Validation failed: Text character limit of {MOST_CHARACTERS} exceeded")
        if fields.text("visibility") not in VISIBILITIES:
            raise self._invalid("Validation failed: Visibility is not included in the list")
        status_id = str(self._context.next_id(FIRST_ID))
        now = self._context.now()
        status = self._status(call, status_id, text=text, media=media, fields=fields)
        self._statuses[status_id] = status
        for item in media:
            item.status_id = status_id
        if key:
            self._keys[call.account, key] = (now, status_id)
        self._context.ledger.publish(
            Published(
                platform="mastodon",
                account=call.account,
                post_id=status_id,
                url=str(status["url"]),
                text=text,
                media=tuple(fingerprint(item.content) for item in media),
                idempotency=key or None,
                at=now,
            )
        )
        return answer_json(status)

    async def _show_status(self, call: Call) -> Response:
        status = self._statuses.get(call.path("status_id"))
        if status is None:
            raise RefusedError(self.refuse(404, "Record not found"))
        return answer_json(status | self._insights.counts(call.path("status_id")))

    def _remembered(self, call: Call, key: str) -> dict[str, object] | None:
        # The same key answers the first status, whatever the second request says.
        at, status_id = self._keys.get((call.account, key), (0.0, ""))
        fresh = bool(status_id) and self._context.now() - at < KEY_LIFE_S
        return self._statuses.get(status_id) if fresh else None

    def _attached(self, call: Call, fields: Fields) -> list[Attachment]:
        ids = [str(item) for item in fields.objects("media_ids")]
        if len(ids) > MOST_MEDIA:
            raise self._invalid("Cannot attach more than 4 files")
        found = {
            i: m for i in ids if (m := self._media.get(i)) and m.account == call.account and not m.status_id
        }
        missing = [media_id for media_id in ids if media_id not in found]
        if missing:
            raise self._invalid(f"Media {', '.join(missing)} not found or already attached to another post")
        media = list(found.values())
        if not all(self._processed(item) for item in media):
            raise self._invalid(
                "Cannot attach files that have not finished processing. Try again in a moment!"
            )
        return media

    def _processed(self, media: Attachment) -> bool:
        return self._context.now() - media.uploaded_at >= self._context.behaviour.publish_delay

    def _described(self, call: Call, media: Attachment) -> dict[str, object]:
        url = f"{call.base}/system/media_attachments/{media.id}"
        return {
            "id": media.id,
            "type": "image",
            "url": url if self._processed(media) else None,
            "preview_url": url,
            "remote_url": None,
            "meta": {},
            "description": media.description or None,
            "blurhash": None,
        }

    def _status(
        self, call: Call, status_id: str, *, text: str, media: list[Attachment], fields: Fields
    ) -> dict[str, object]:
        profile = f"{call.base}/@{call.account}"
        return {
            "id": status_id,
            "created_at": _iso(self._context.now()),
            "sensitive": fields.flag("sensitive", default=False),
            "spoiler_text": fields.text("spoiler_text"),
            "visibility": fields.text("visibility") or "public",
            "language": fields.text("language") or None,
            "uri": f"{call.base}/users/{call.account}/statuses/{status_id}",
            "url": f"{profile}/{status_id}",
            "content": f"<p>{html.escape(text)}</p>",
            "account": {"id": call.account, "username": call.account, "acct": call.account, "url": profile},
            "media_attachments": [self._described(call, item) for item in media],
        }

    def _invalid(self, message: str) -> RefusedError:
        return RefusedError(self.refuse(422, message))


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
