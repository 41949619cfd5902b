"""Instagram accounts: a container of the media, Instagram's processing of it, and its publication.

The container's id is a durable step, and its status tells whether it was published, so an answer that was
lost is no riddle. A container that Instagram could not process, or that lay for 24 hours, is made anew.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec

from jobrunner_publish.adapter import NOTE_OURS, Account, Context, Post, Published
from jobrunner_publish.addresses import check_web_url
from jobrunner_publish.api import Api
from jobrunner_publish.failures import PublishError, RefusedError
from jobrunner_publish.platforms import graph

MOST_CONTAINERS = 3
"""Containers tried for a post: Instagram asks for a new one after an upload error, and rarely needs a third."""

NO_SUCH_OBJECT = "100"
VIDEO_ENDINGS = frozenset({".mp4", ".mov"})


class _Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container's id and when it was asked for, in Unix time; or why there is none."""

    id: str = ""
    at: float = 0
    problem: str = ""


class _State(msgspec.Struct, frozen=True):
    status_code: str
    status: str = ""


class _Media(msgspec.Struct, frozen=True):
    id: str
    caption: str = ""
    permalink: str = ""
    timestamp: str = ""


class _MediaList(msgspec.Struct, frozen=True):
    data: tuple[_Media, ...] = ()


async def publish(post: Post, account: Account, context: Context) -> Published:
    """Publish to an account; its id, or the credential `igUserId`, is the Instagram user's."""
    if not post.media_urls:
        raise RefusedError("Instagram takes no post without a picture; give mediaUrls")
    for url in post.media_urls:
        check_web_url(url)  # Instagram fetches it, not we; but what we would refuse is not handed on
    work = _Work(post, account, context)
    problem = ""
    for generation in range(1, MOST_CONTAINERS + 1):
        container = await work.container(generation)
        if container.problem:
            problem = container.problem
            continue
        match await work.wait(container.id):
            case "PUBLISHED":
                return await work.find(container)
            case "FINISHED":
                return await work.publish(container.id, generation)
            case "GONE":
                await work.check_gone(generation)
                problem = "its container is gone"
            case status:  # ERROR, or EXPIRED after 24 hours
                problem = f"its container ended as {status}"
    raise RefusedError(f"Instagram could not process the media: {problem}")


class _Work:
    """One post on its way to one account."""

    def __init__(self, post: Post, account: Account, context: Context) -> None:
        self._post = post
        self._context = context
        self._api: Api = graph.open_api(account, context, graph.INSTAGRAM)
        self._user = graph.node(account, "igUserId")

    async def container(self, generation: int) -> _Container:
        """Make the container, once: a retry gets the same id, and so never publishes a second one."""

        async def build() -> _Container:
            urls, at = self._post.media_urls, self._context.now()
            if len(urls) == 1:
                fields = _media_fields(urls[0], single=True) | {"caption": self._post.text}
                return _Container(id=await self._create(fields), at=at)
            return await self._carousel(generation)

        return await self._context.remember(f"container-{generation}", build)

    async def wait(self, container_id: str) -> str:
        """Wait until a container is no longer in progress, and return its status then; GONE where it has none."""
        state = ""

        async def look() -> bool:
            nonlocal state
            state = await self._status(container_id)
            return state != "IN_PROGRESS"

        await self._context.poll(look, what="Instagram: the media")
        return state

    async def publish(self, container_id: str, generation: int) -> Published:
        """Publish a finished container."""
        effect = await self._context.effect(f"publish-{generation}")

        async def send() -> graph.Created:
            answer = await self._api.post(f"/{self._user}/media_publish", json={"creation_id": container_id})
            return self._api.decode(answer, graph.Created)

        created = await effect.make(send)
        return Published(post_id=created.id, url=await self._permalink(created.id))

    async def check_gone(self, generation: int) -> None:
        """Go on only if no earlier attempt published the container that is gone now, or the settings allow it."""
        effect = await self._context.effect(f"publish-{generation}")
        await effect.withdraw()
        if effect.lost_at is not None:
            self._context.risk_duplicate(
                "Instagram's answer was lost, and the container that would tell is gone"
            )

    async def find(self, container: _Container) -> Published:
        """Find the id and address of what a container became; it is there, whether or not they are told."""
        params = {"fields": "id,caption,permalink,timestamp", "limit": "50"}
        try:
            answer = await self._api.get(f"/{self._user}/media", params=params)
            media = self._api.decode(answer, _MediaList).data
        except PublishError:
            media = ()
        for one in media:
            if graph.same_text(one.caption, self._post.text) and graph.since(one.timestamp, container.at):
                return Published(post_id=one.id, url=one.permalink, already=True, note=NOTE_OURS)
        return Published(already=True, note=NOTE_OURS)

    async def _carousel(self, generation: int) -> _Container:
        children: list[str] = []
        at = self._context.now()
        for number, url in enumerate(self._post.media_urls, start=1):

            async def build(url: str = url) -> graph.Created:
                return graph.Created(id=await self._create(_media_fields(url, single=False)))

            child = await self._context.remember(f"item-{generation}.{number}", build)
            children.append(child.id)
        for number, child_id in enumerate(children, start=1):
            status = await self.wait(child_id)
            if status != "FINISHED":
                return _Container(problem=f"item {number} of {len(children)} ended as {status}")
        caption = self._post.text
        fields: dict[str, str | bool] = {
            "media_type": "CAROUSEL",
            "children": ",".join(children),
            "caption": caption,
        }
        return _Container(id=await self._create(fields), at=at)

    async def _create(self, fields: dict[str, str | bool]) -> str:
        answer = await self._api.post(f"/{self._user}/media", json=fields)
        return self._api.decode(answer, graph.Created).id

    async def _status(self, container_id: str) -> str:
        try:
            answer = await self._api.get(f"/{container_id}", params={"fields": "status_code,status"})
        except RefusedError as error:
            # There is no such object (any more). Another refusal, such as of the token, is one of the post.
            if error.code == NO_SUCH_OBJECT:
                return "GONE"
            raise
        return self._api.decode(answer, _State).status_code

    async def _permalink(self, media_id: str) -> str:
        try:
            answer = await self._api.get(f"/{media_id}", params={"fields": "permalink"})
            return self._api.decode(answer, _Media).permalink
        except PublishError:  # it is posted; where exactly is no reason to fail
            return ""


def _media_fields(url: str, *, single: bool) -> dict[str, str | bool]:
    is_video = PurePosixPath(urlsplit(url).path).suffix.lower() in VIDEO_ENDINGS
    if single:
        return {"media_type": "REELS", "video_url": url} if is_video else {"image_url": url}
    kind: dict[str, str | bool] = (
        {"media_type": "VIDEO", "video_url": url} if is_video else {"image_url": url}
    )
    return kind | {"is_carousel_item": True}
