"""Facebook pages: photos first, unpublished, then one post in the page's feed that holds them.

Facebook refuses a post that is like the page's last one, but not one that is like an earlier one. So before a
post is sent again whose answer was lost, the feed is read: it tells. Only pictures are published.
"""

from __future__ import annotations

import msgspec

from jobrunner_publish.adapter import NOTE_EARLIER, NOTE_OURS, Account, Context, Post, Published
from jobrunner_publish.addresses import check_web_url
from jobrunner_publish.api import Api
from jobrunner_publish.failures import DuplicateError, PublishError, RefusedError
from jobrunner_publish.platforms import graph


class _FeedPost(msgspec.Struct, frozen=True):
    id: str
    message: str = ""
    permalink_url: str = ""
    created_time: str = ""


class _Feed(msgspec.Struct, frozen=True):
    data: tuple[_FeedPost, ...] = ()


async def publish(post: Post, account: Account, context: Context) -> Published:
    """Publish to a page; the account's id, or the credential `pageId`, is the page's."""
    for url in post.media_urls:
        check_web_url(url)  # Facebook fetches it, not we; but what we would refuse is not handed on
    api = graph.open_api(account, context, graph.FACEBOOK)
    page = graph.node(account, "pageId")

    async def add_photo(url: str) -> str:
        answer = await api.post(f"/{page}/photos", json={"url": url, "published": False})
        return api.decode(answer, graph.Created).id

    photos = await context.uploaded(post.media_urls, add_photo)
    body: dict[str, object] = {"message": post.text}
    if photos:
        body["attached_media"] = [{"media_fbid": photo} for photo in photos]
    effect = await context.effect()
    if effect.lost_at is not None:
        found = await _look(api, page, post, context, since=effect.lost_at)
        if found is not None:
            return found

    async def send() -> graph.Created:
        return api.decode(await api.post(f"/{page}/feed", json=body), graph.Created)

    try:
        created = await effect.make(send)
    except DuplicateError:
        return await _duplicate(api, page, post)
    return Published(post_id=created.id, url=f"https://www.facebook.com/{created.id}")


async def _look(api: Api, page: str, post: Post, context: Context, *, since: float) -> Published | None:
    """What became of a post whose answer was lost: what the feed tells, or what the settings say if it may not."""
    try:
        found = await _find(api, page, post, since=since)
    except RefusedError as error:
        context.risk_duplicate(
            f"Facebook's answer was lost, and the feed that would tell cannot be read: {error}"
        )
        return None
    if found is None:
        return None
    return Published(post_id=found.id, url=found.permalink_url, already=True, note=NOTE_OURS)


async def _duplicate(api: Api, page: str, post: Post) -> Published:
    try:
        found = await _find(api, page, post, since=0)
    except PublishError:  # it is posted, whether or not Facebook tells where
        found = None
    if found is None:
        return Published(already=True, note=NOTE_EARLIER)
    return Published(post_id=found.id, url=found.permalink_url, already=True, note=NOTE_EARLIER)


async def _find(api: Api, page: str, post: Post, *, since: float) -> _FeedPost | None:
    fields = "id,message,permalink_url,created_time"
    answer = await api.get(f"/{page}/feed", params={"fields": fields, "limit": "100"})
    for one in api.decode(answer, _Feed).data:
        if graph.same_text(one.message, post.text) and graph.since(one.created_time, since):
            return one
    return None
