"""The handler of `publish.dispatch`: every account of a post in turn, each once, and what the job makes of it.

Each account is a durable step, whatever its end: published, refused for good, or unknown. So a later attempt
calls only those that did not come to an end. One account's failure never keeps the others from being served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from jobrunner import Discard, Job, JobrunnerError, Retry
from jobrunner_publish.adapter import Account, Post
from jobrunner_publish.effect import Remember
from jobrunner_publish.failures import PublishError, RefusedError, TransientError, UnknownOutcomeError, clip
from jobrunner_publish.payload import PlatformAccount, PublishDispatch
from jobrunner_publish.publisher import Publisher
from jobrunner_publish.result import Delivery, DispatchResult
from jobrunner_publish.verdicts import MOST_WAIT_S

T = TypeVar("T")

MOST_KEY = 96
"""Characters of an account's step name, which leaves room for the steps within: a name has 128 at most."""

MOST_FLOOR_S = 300.0


class Postponed(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is to be tried again: why, and how many seconds the platform asks to wait."""

    platform: str
    account_id: str
    reason: str
    retry_after: float | None = None


class PublishIncompleteError(Exception):
    """Some accounts did not work this time; the text lists them. The job's retry policy decides when next."""


async def dispatch(job: Job[PublishDispatch]) -> DispatchResult:
    """Publish a post to all of its accounts.

    Args:
        job: The job.

    Returns:
        What became of each account, once the post is on all of them.

    Raises:
        Retry: Some are to be tried again, and a platform says after how long.
        PublishIncompleteError: Some are to be tried again.
        Discard: The others are served, and the rest never will be.
    """
    publisher = job.resource(Publisher)
    post = _post(job)
    entries = job.payload.platforms
    ends: list[Delivery | Postponed] = []
    for number, entry in enumerate(entries, start=1):
        ends.append(await _serve(job, publisher, post, entry))
        await job.progress(number / len(entries), f"{number} of {len(entries)}")
    return conclude(ends, post_id=post.post_id, attempt=job.attempt)


def conclude(ends: list[Delivery | Postponed], *, post_id: str, attempt: int) -> DispatchResult:
    """Turn the ends of all accounts into the end of the attempt, as the worst of them asks.

    Args:
        ends: One for each account, in the payload's order.
        post_id: The post's id in the producer's system.
        attempt: The attempt's number, from 1.

    Raises:
        Retry: Some are to be tried again, and a platform says after how long; the longest of those waits,
            and no shorter than 2, 4, 8 and so on to 300 seconds, so that no attempts are spent in a moment; a day at most.
        PublishIncompleteError: Some are to be tried again.
        Discard: None is, and some were refused or are unknown.
    """
    postponed = [end for end in ends if isinstance(end, Postponed)]
    deliveries = [end for end in ends if isinstance(end, Delivery)]
    lost = [delivery for delivery in deliveries if not delivery.is_there]
    if not postponed and not lost:
        return DispatchResult(post_id=post_id, platforms=tuple(deliveries))
    summary = _summary(postponed, lost, [delivery for delivery in deliveries if delivery.is_there])
    if not postponed:
        raise Discard(summary)
    waits = [end.retry_after for end in postponed if end.retry_after is not None]
    if waits:
        wait = max(*waits, min(2.0**attempt, MOST_FLOOR_S))
        raise Retry(after=min(wait, MOST_WAIT_S), reason=summary)
    raise PublishIncompleteError(summary)


def step_key(platform: str, account_id: str) -> str:
    """Return the step name of an account: readable where it can be, and never the same for two of them."""
    key = f"{platform.lower()}:{account_id}"
    if len(key) <= MOST_KEY and key.isprintable() and not account_id.startswith("~"):
        return key
    return f"{platform.lower()}:~{hashlib.sha256(account_id.encode()).hexdigest()[:40]}"


async def _serve(
    job: Job[PublishDispatch], publisher: Publisher, post: Post, entry: PlatformAccount
) -> Delivery | Postponed:
    adapter = publisher.platforms.find(entry.platform)
    if adapter is None:
        # No step: whoever installs the platform and retries the job gets it served.
        known = ", ".join(publisher.platforms.names)
        reason = f"no installed platform is named {entry.platform!r} (installed: {known})"
        return _delivery(entry, "failed", reason=reason)
    key = step_key(entry.platform, entry.account_id)
    context = publisher.context(_remembering(job, key), run=job.run)
    account = Account(platform=entry.platform.lower(), id=entry.account_id, credentials=entry.credentials)

    async def deliver() -> Delivery:
        try:
            published = await adapter.publish(post, account, context)
        except RefusedError as error:
            return _delivery(entry, "failed", reason=str(error))
        except UnknownOutcomeError as error:
            return _delivery(entry, "unknown", reason=str(error))
        status: Literal["posted", "already_posted"] = "already_posted" if published.already else "posted"
        return _delivery(entry, status, post_id=published.post_id, url=published.url, reason=published.note)

    end = await _settle(job, entry, key, deliver)
    _log(job, end)
    return end


async def _settle(
    job: Job[PublishDispatch], entry: PlatformAccount, key: str, deliver: Callable[[], Awaitable[Delivery]]
) -> Delivery | Postponed:
    try:
        return await job.step(key, deliver)
    except TransientError as error:
        return _postponed(entry, str(error), error.retry_after)
    except JobrunnerError:
        raise  # the lease or the store: this attempt is over, whatever the accounts
    except PublishError as error:
        return _postponed(entry, str(error), None)
    except Exception as error:  # a bug of one adapter's must not keep the other accounts from being served
        job.log.exception("post.adapter_broke", platform=entry.platform, account=entry.account_id)
        return _postponed(entry, f"the adapter broke: {type(error).__name__}: {error}", None)


def _remembering(job: Job[PublishDispatch], key: str) -> Remember:
    async def remember(name: str, make: Callable[[], Awaitable[T]], /) -> T:
        return await job.step(f"{key}:{name}", make)

    return remember


def _post(job: Job[PublishDispatch]) -> Post:
    payload = job.payload
    tags = ("".join(tag.split()).lstrip("#") for tag in payload.content.hashtags)
    return Post(
        job_id=job.id,
        tenant_id=payload.tenant_id,
        post_id=payload.post_id,
        hook=payload.content.hook,
        body=payload.content.body,
        hashtags=tuple(tag for tag in tags if tag),
        media_urls=payload.content.media_urls,
    )


def _delivery(
    entry: PlatformAccount,
    status: Literal["posted", "already_posted", "failed", "unknown"],
    *,
    post_id: str = "",
    url: str = "",
    reason: str = "",
) -> Delivery:
    return Delivery(
        platform=entry.platform,
        account_id=entry.account_id,
        status=status,
        post_id=post_id,
        url=url,
        reason=reason,
    )


def _postponed(entry: PlatformAccount, reason: str, retry_after: float | None) -> Postponed:
    return Postponed(
        platform=entry.platform, account_id=entry.account_id, reason=reason, retry_after=retry_after
    )


def _log(job: Job[PublishDispatch], end: Delivery | Postponed) -> None:
    if isinstance(end, Postponed):
        job.log.warning("post.postponed", platform=end.platform, account=end.account_id, reason=end.reason)
    elif end.is_there:
        job.log.info(
            "post.published",
            platform=end.platform,
            account=end.account_id,
            status=end.status,
            post_id=end.post_id,
            post_url=end.url,
        )
    else:
        job.log.error(
            "post.given_up",
            platform=end.platform,
            account=end.account_id,
            status=end.status,
            reason=end.reason,
        )


def _summary(postponed: list[Postponed], lost: list[Delivery], there: list[Delivery]) -> str:
    total = len(postponed) + len(lost) + len(there)
    parts = [f"{total - len(there)} of {total} accounts not published"]
    parts += [f"{end.platform} {end.account_id}: {clip(end.reason)}" for end in postponed]
    parts += [f"{end.platform} {end.account_id} {end.status}: {clip(end.reason)}" for end in lost]
    if there:
        parts.append("published: " + ", ".join(f"{end.platform} {end.account_id}" for end in there))
    return "; ".join(parts)
