"""Instagram accounts behind the Graph API: containers, their processing, and what is published from them.

Nothing is published before its container is finished, and none twice.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.fields import Fields, read_fields
from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.service import Call, Context, RefusedError, answer_json
from jobrunner_sandbox.services.graph_refusals import check_media_url, graph_error
from jobrunner_sandbox.troubles import MediaTrouble, media_trouble

FIRST_ID = 17_900_000_000_000_000
MOST_CHARACTERS = 2200
MOST_CHILDREN = 10
CONTAINER_LIFE_S = 24 * 3600
STATUS_TEXTS = {
    "EXPIRED": "Expired: Media has expired",
    "ERROR": "Error: Media upload has failed with error code 2207053",
    "FINISHED": "Finished: Media has been uploaded and it is ready to be published",
    "IN_PROGRESS": "In Progress: Media is still being processed.",
    "PUBLISHED": "Published: Media has been successfully published.",
}


class Container(msgspec.Struct, kw_only=True):
    """Media on the way to being published."""

    id: str
    account: str
    caption: str
    urls: tuple[str, ...]
    is_item: bool
    created_at: float
    published: bool = False


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """What people see."""

    id: str
    account: str
    caption: str
    created_at: float

    def fields(self) -> dict[str, object]:
        """Return what the Graph API tells about it."""
        return {
            "id": self.id,
            "caption": self.caption,
            "permalink": f"https://www.instagram.com/p/{_shortcode(self.id)}/",
            "shortcode": _shortcode(self.id),
            "timestamp": datetime.fromtimestamp(self.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        }


class Instagram:
    """All accounts, made by the first container for them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._containers: dict[str, Container] = {}
        self._media: dict[str, Media] = {}

    async def create(self, call: Call) -> Response:
        """Create a container: of an `image_url`, or with `media_type=CAROUSEL` of `children`."""
        fields = await read_fields(call.request)
        account, caption = call.path("node"), fields.text("caption")
        if len(caption) > MOST_CHARACTERS:
            raise RefusedError(graph_error("The caption was too long.", code=36004, subcode=2207010))
        if fields.text("media_type").upper() == "CAROUSEL":
            urls = self._children(fields, account)
        else:
            url = fields.text("image_url") or fields.text("video_url")
            if not url:
                raise RefusedError(graph_error("(#100) The parameter image_url is required", code=100))
            check_media_url(url)
            urls = (url,)
        container = Container(
            id=str(self._context.next_id(FIRST_ID)),
            account=account,
            caption=caption,
            urls=urls,
            is_item=fields.flag("is_carousel_item", default=False),
            created_at=self._context.now(),
        )
        self._containers[container.id] = container
        return answer_json({"id": container.id})

    async def publish(self, call: Call) -> Response:
        """Publish the container of `creation_id`, once it is finished, and once only."""
        fields = await read_fields(call.request)
        creation_id = fields.text("creation_id")
        if not creation_id:
            raise RefusedError(graph_error("(#100) The parameter creation_id is required", code=100))
        container = self._containers.get(creation_id)
        if container is None or container.account != call.path("node"):
            message = f"The media with {creation_id} cannot be found"
            raise RefusedError(graph_error(message, code=24, subcode=2207006))
        if container.is_item:
            message = "(#100) A carousel item cannot be published by itself"
            raise RefusedError(graph_error(message, code=100))
        self._check_publishable(container)
        container.published = True
        now = self._context.now()
        media = Media(
            id=str(self._context.next_id(FIRST_ID)),
            account=container.account,
            caption=container.caption,
            created_at=now,
        )
        self._media[media.id] = media
        self._context.ledger.publish(
            Published(
                platform="instagram",
                account=media.account,
                post_id=media.id,
                url=str(media.fields()["permalink"]),
                text=media.caption,
                media=container.urls,
                at=now,
            )
        )
        return answer_json({"id": media.id})

    def find(self, node: str) -> dict[str, object] | None:
        """Return what there is to tell about a container or a media, or None."""
        if node in self._containers:
            status = self._status(self._containers[node])
            return {"id": node, "status_code": status, "status": STATUS_TEXTS[status]}
        return self._media[node].fields() if node in self._media else None

    def clear(self) -> None:
        """Forget all containers and media."""
        self._containers.clear()
        self._media.clear()

    def _children(self, fields: Fields, account: str) -> tuple[str, ...]:
        ids = [part for item in fields.objects("children") for part in str(item).split(",")]
        if not 2 <= len(ids) <= MOST_CHILDREN:
            message = f"(#100) A carousel has 2 to {MOST_CHILDREN} children, not {len(ids)}"
            raise RefusedError(graph_error(message, code=100))
        urls: list[str] = []
        for child_id in ids:
            child = self._containers.get(child_id.strip())
            if child is None or not child.is_item or child.account != account:
                message = f"(#100) Param children has an invalid container: {child_id}"
                raise RefusedError(graph_error(message, code=100))
            urls.extend(child.urls)
        return tuple(urls)

    def _status(self, container: Container) -> str:
        troubles = [media_trouble(url) for url in container.urls]
        age_s = self._context.now() - container.created_at
        if container.published:
            return "PUBLISHED"
        if MediaTrouble.CONTAINER_EXPIRED in troubles or age_s > CONTAINER_LIFE_S:
            return "EXPIRED"
        if age_s < self._context.behaviour.publish_delay:
            return "IN_PROGRESS"
        return "ERROR" if MediaTrouble.CONTAINER_ERROR in troubles else "FINISHED"

    def _check_publishable(self, container: Container) -> None:
        match self._status(container):
            case "FINISHED":
                return
            case "IN_PROGRESS":
                answer = graph_error(
                    "Media ID is not available",
                    code=9007,
                    subcode=2207027,
                    title="Media Not Ready",
                    user_message="The media is not ready for publishing, please wait for a moment",
                )
            case "ERROR":
                answer = graph_error("Media upload has failed", code=-1, subcode=2207053)
            case _:
                # Published or expired: the builder is gone. Only the container's status tells which it was.
                message = (
                    f"The media builder with creation id = {container.id} does not exist or has been expired."
                )
                answer = graph_error(message, code=24, subcode=2207008)
        raise RefusedError(answer)


def _shortcode(media_id: str) -> str:
    return f"C{int(media_id):x}"
