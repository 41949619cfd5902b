"""Mastodon accounts, on the instance of the settings or on an allowed one: media first, then one status.

The Idempotency-Key makes sending again safe for as long as the instance remembers it, an hour. After that
nothing tells whether a status is there whose answer was lost, and the settings decide.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from urllib.parse import urlsplit

import httpx
import msgspec

from jobrunner_publish.adapter import Account, Context, Post, Published
from jobrunner_publish.api import Api, Dialect, json_object, server_time, text_of, wait_named
from jobrunner_publish.failures import RefusedError
from jobrunner_publish.settings import PublishSettings
from jobrunner_publish.verdicts import Problem, Verdict, rule

MOST_MEDIA = 4
KEY_LIFE_S = 50 * 60.0
"""How long a key is relied on: Mastodon keeps one for an hour, and ten minutes are left for clocks and queues."""

RULES = (
    rule(Verdict.RETRY, status=422, text="not finished processing"),
    rule(Verdict.REFUSED, status=401, advice="connect the account again"),
    rule(Verdict.REFUSED, status=403, advice="the token lacks write:statuses or write:media"),
)


class _Media(msgspec.Struct, frozen=True):
    id: str


class _Status(msgspec.Struct, frozen=True):
    id: str
    url: str | None = None


def read(answer: httpx.Response) -> Problem:
    """Read a refusal of an instance."""
    message = str(json_object(answer).get("error") or text_of(answer))
    return Problem(status=answer.status_code, message=message, retry_after=_wait(answer))


DIALECT = Dialect(name="Mastodon", read=read, rules=RULES)


async def publish(post: Post, account: Account, context: Context) -> Published:
    """Publish as the account of the token, on the instance of the credential `instanceUrl` where it is allowed."""
    if len(post.media_urls) > MOST_MEDIA:
        raise RefusedError(f"Mastodon takes {MOST_MEDIA} files a post, not {len(post.media_urls)}")
    api = context.api(account, DIALECT, instance(account, context.settings))

    async def upload(url: str) -> str:
        return await _upload(api, url, context)

    media = await context.uploaded(post.media_urls, upload)
    body: dict[str, object] = {"status": post.text}
    if media:
        body["media_ids"] = media
    effect = await context.effect()
    if effect.lost_at is not None and context.now() - effect.lost_at > KEY_LIFE_S:
        context.risk_duplicate("Mastodon's answer was lost, and its memory of the idempotency key is over")
    headers = {"Idempotency-Key": idempotency_key(post, account)}

    async def send() -> _Status:
        return api.decode(await api.post("/api/v1/statuses", json=body, headers=headers), _Status)

    status = await effect.make(send)
    return Published(post_id=status.id, url=status.url or "")


def idempotency_key(post: Post, account: Account) -> str:
    """Return the key of one job's post to one account: the same in every attempt, and no other job's."""
    parts = (post.tenant_id, post.post_id, account.platform, account.id, post.job_id)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def instance(account: Account, settings: PublishSettings) -> str:
    """Return the address of the account's instance.

    Raises:
        RefusedError: The credentials name an instance that is not allowed.
    """
    named = account.credential("instanceUrl").rstrip("/")
    default = settings.mastodon_url.rstrip("/")
    if not named or named == default:
        return default
    try:
        parts = urlsplit(named)
        port = parts.port
    except ValueError:
        raise RefusedError("Mastodon: the credential instanceUrl is not a URL") from None
    host = (parts.hostname or "").lower()
    plain = (
        parts.scheme == "https"
        and not parts.username
        and port in (None, 443)
        and not (parts.path or parts.query)
    )
    own = urlsplit(default)
    allowed = {name.lower() for name in settings.mastodon_instances}
    if own.scheme == "https":  # the default in another spelling; never another port of the same machine
        allowed.add(own.netloc.lower())
    if not plain or host not in allowed:
        raise RefusedError(
            f"Mastodon: the instance {host[:80]!r} is not allowed; add it to JOBRUNNER_PUBLISH_MASTODON_INSTANCES"
        )
    return f"https://{host}"


async def _upload(api: Api, url: str, context: Context) -> str:
    file = await context.fetcher.fetch(url)
    answer = await api.post(
        "/api/v2/media", files={"file": (file.file_name, file.content, file.content_type)}
    )
    media_id = api.decode(answer, _Media).id

    async def look() -> bool:
        seen = await api.get(f"/api/v1/media/{media_id}")
        return seen.status_code == httpx.codes.OK  # 206 while it is being processed

    if answer.status_code == httpx.codes.ACCEPTED:
        await context.poll(look, what="Mastodon: the media")
    return media_id


def _wait(answer: httpx.Response) -> float | None:
    reset = answer.headers.get("x-ratelimit-reset", "")
    try:
        until_reset = (
            max(0.0, datetime.fromisoformat(reset).timestamp() - server_time(answer)) if reset else None
        )
    except ValueError:
        until_reset = None
    if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
        until_reset = None  # the header is on every answer, and means nothing where the limit was not met
    named = wait_named(answer)
    return named if named is not None else until_reset
