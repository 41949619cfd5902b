"""Facebook pages behind the Graph API: photos, posts, and the feed to look them up in.

Refuses what Facebook refuses: a post like the page's last one. An earlier one may be repeated, as there.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.fields import Fields, read_fields
from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.pictures import fingerprint, recognise
from jobrunner_sandbox.service import Call, Context, RefusedError, answer_json
from jobrunner_sandbox.services.graph_refusals import check_media_url, graph_error

FIRST_ID = 122_100_000_000_000_000
MOST_CHARACTERS = 63_206
MOST_LISTED = 100


class Photo(msgspec.Struct, frozen=True, kw_only=True):
    """A photo of a page; the source is its URL, or a fingerprint of what was uploaded."""

    id: str
    page: str
    source: str


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A post of a page."""

    id: str
    page: str
    message: str
    photos: tuple[str, ...]
    created_at: float

    def fields(self) -> dict[str, object]:
        """Return what the Graph API tells about it."""
        number = self.id.rpartition("_")[2]
        return {
            "id": self.id,
            "message": self.message,
            "permalink_url": f"https://www.facebook.com/{self.page}/posts/{number}",
            "created_time": datetime.fromtimestamp(self.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        }


class Pages:
    """All pages, made by the first post to them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._photos: dict[str, Photo] = {}
        self._posts: dict[str, list[Post]] = {}

    async def post(self, call: Call) -> Response:
        """Publish a post: `message`, `link`, `attached_media` with the ids of photos."""
        fields = await read_fields(call.request)
        page, message = call.path("node"), fields.text("message")
        photos = self._attached(fields, page)
        if not (message.strip() or fields.text("link") or photos):
            raise RefusedError(graph_error("(#100) Missing message or attachment", code=100))
        if len(message) > MOST_CHARACTERS:
            raise RefusedError(graph_error("(#100) The message is too long", code=100))
        post = self._publish(page, message, photos)
        return answer_json({"id": post.id})

    async def add_photo(self, call: Call) -> Response:
        """Add a photo by `url` or upload `source`; it is published at once unless `published=false`."""
        fields = await read_fields(call.request)
        page, url, uploaded = call.path("node"), fields.text("url"), fields.content("source")
        if uploaded is not None:
            if recognise(uploaded) is None:
                raise RefusedError(graph_error("(#324) Missing or invalid image file", code=324))
            source = fingerprint(uploaded)
        elif url:
            check_media_url(url)
            source = url
        else:
            raise RefusedError(graph_error("(#324) Requires upload file", code=324))
        photo = Photo(id=str(self._context.next_id(FIRST_ID)), page=page, source=source)
        if not fields.flag("published", default=True):
            self._photos[photo.id] = photo
            return answer_json({"id": photo.id})
        post = self._publish(page, fields.text("caption") or fields.text("message"), [photo])
        self._photos[photo.id] = photo
        return answer_json({"id": photo.id, "post_id": post.id})

    async def show_feed(self, call: Call) -> Response:
        """List a page's posts, newest first, at most `limit` (25)."""
        params = call.request.query_params
        wanted = params.get("fields", "id,message,created_time").split(",")
        limit = params.get("limit", "25")
        most = min(int(limit), MOST_LISTED) if limit.isdecimal() else 25
        posts = self._posts.get(call.path("node"), [])[::-1][:most]
        listed = [post.fields() for post in posts]
        return answer_json(
            {"data": [{k: v for k, v in post.items() if k in ("id", *wanted)} for post in listed]}
        )

    def find(self, node: str) -> dict[str, object] | None:
        """Return what there is to tell about a post or a photo, or None."""
        if node in self._photos:
            photo = self._photos[node]
            link = f"https://www.facebook.com/photo/?fbid={photo.id}"
            return {"id": photo.id, "link": link, "permalink_url": link}
        page = node.rpartition("_")[0]
        return next((post.fields() for post in self._posts.get(page, ()) if post.id == node), None)

    def clear(self) -> None:
        """Forget all photos and posts."""
        self._photos.clear()
        self._posts.clear()

    def _attached(self, fields: Fields, page: str) -> list[Photo]:
        photos: list[Photo] = []
        for item in fields.objects("attached_media"):
            photo = self._photos.get(str(item.get("media_fbid", ""))) if isinstance(item, dict) else None
            if photo is None or photo.page != page:
                raise RefusedError(graph_error("(#100) Invalid parameter: attached_media", code=100))
            photos.append(photo)
        return photos

    def _publish(self, page: str, message: str, photos: list[Photo]) -> Post:
        posts = self._posts.setdefault(page, [])
        ids = tuple(photo.id for photo in photos)
        # Only the last post counts, and photos of other ids are other content, even from the same URL.
        if posts and (posts[-1].message, posts[-1].photos) == (message, ids):
            raise RefusedError(
                graph_error(
                    "Duplicate status message",
                    code=506,
                    subcode=1455006,
                    title="Duplicate Status Update",
                    user_message="This status update is identical to the last one you posted.",
                )
            )
        now = self._context.now()
        post = Post(
            id=f"{page}_{self._context.next_id(FIRST_ID)}",
            page=page,
            message=message,
            photos=ids,
            created_at=now,
        )
        posts.append(post)
        self._context.ledger.publish(
            Published(
                platform="facebook",
                account=page,
                post_id=post.id,
                url=str(post.fields()["permalink_url"]),
                text=message,
                media=tuple(photo.source for photo in photos),
                at=now,
            )
        )
        return post
