"""What an adapter is given and what it gives back: the whole interface of a platform.

A platform is anything with an `async def publish(post, account, context)`, a module as well as an object. It
knows no job and no queue. Whatever it wants to survive the attempt it remembers through the context.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import httpx
import msgspec

from jobrunner_publish import effect
from jobrunner_publish.api import Api, Dialect
from jobrunner_publish.effect import Effect, Remember
from jobrunner_publish.failures import RefusedError, TransientError, UnknownOutcomeError
from jobrunner_publish.fetch import Fetcher
from jobrunner_publish.settings import PublishSettings

UPLOAD_LIFE_S = 20 * 3600.0
"""How long an uploaded file's id is used again: the platforms drop what no post took after 24 hours."""

CALL_TIMEOUTS = 10
"""How many times the timeout of one read a call may take as a whole, with the upload of a picture in it."""

TOKEN = re.compile(r"[\x21-\x7e]+")

NOTE_OURS = "published by an earlier attempt, whose answer was lost"
NOTE_EARLIER = "refused as a duplicate of an earlier post"


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be published.

    Args:
        job_id: The job that publishes it.
        tenant_id: Whose post it is.
        post_id: The post's id in the producer's system.
        hook: The first line.
        body: The text below it.
        hashtags: Without `#`.
        media_urls: Addresses of pictures and videos, in order, as the tenant gave them.
    """

    job_id: str
    tenant_id: str
    post_id: str
    hook: str
    body: str
    hashtags: tuple[str, ...] = ()
    media_urls: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Hook, body and hashtags as plain text, a blank line between them."""
        return self.compose(text=lambda plain: plain, hashtag=lambda tag: f"#{tag}")

    def compose(self, *, text: Callable[[str], str], hashtag: Callable[[str], str]) -> str:
        """Put the post together where a platform has a notation of its own.

        Args:
            text: Turns plain text into that notation.
            hashtag: Turns a hashtag, without `#`, into it.
        """
        parts = [text(part) for part in (self.hook.strip(), self.body.strip()) if part]
        if self.hashtags:
            parts.append(" ".join(hashtag(tag) for tag in self.hashtags))
        return "\n\n".join(parts)


class Account:
    """One account on one platform, with its credentials, which no repr shows.

    Args:
        platform: The platform's name in lower case.
        id: The account on it.
        credentials: As the producer gave them.
    """

    def __init__(self, *, platform: str, id: str, credentials: dict[str, object]) -> None:  # noqa: A002 - its name
        self.platform = platform
        self.id = id
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"Account(platform={self.platform!r}, id={self.id!r})"

    def credential(self, name: str, default: str = "") -> str:
        """Return a credential that is text.

        Raises:
            RefusedError: It is there and is no text.
        """
        value = self._credentials.get(name, default)
        if not isinstance(value, str):
            raise RefusedError(f"the credential {name} must be text")
        return value.strip()

    @property
    def token(self) -> str:
        """The access token, the credential `accessToken`.

        Raises:
            RefusedError: There is none, or it is none that a header can carry.
        """
        token = self.credential("accessToken")
        if not token:
            raise RefusedError("the credentials have no accessToken; connect the account again")
        if not TOKEN.fullmatch(token):
            raise RefusedError("the credential accessToken has characters that no token has")
        return token


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A post that is there.

    Args:
        post_id: The platform's id of it, empty where the platform did not tell.
        url: Where people see it, empty likewise.
        already: Whether it was there before this attempt made its call.
        note: For people, where there is something to say.
    """

    post_id: str = ""
    url: str = ""
    already: bool = False
    note: str = ""


class _Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a platform has: its id there, and when it came, in Unix time."""

    id: str
    at: float


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter works with, for one account of one job in one attempt.

    Args:
        http: The worker's client, for the platforms' own addresses. Never for an address that a tenant gave.
        fetcher: The guarded fetch, for those.
        settings: The plugin's settings.
        remember: Durable steps, their names this account's own.
        run: The number of this run of the job; it rises with each.
        now: The clock, Unix time in seconds.
    """

    http: httpx.AsyncClient
    fetcher: Fetcher
    settings: PublishSettings
    remember: Remember
    run: int
    now: Callable[[], float] = time.time

    def api(
        self, account: Account, dialect: Dialect, base: str, *, headers: dict[str, str] | None = None
    ) -> Api:
        """Return a platform's API with the account's token.

        Raises:
            RefusedError: The account has no token.
        """
        return Api(
            self.http,
            dialect=dialect,
            base=base,
            token=account.token,
            headers=headers,
            deadline=CALL_TIMEOUTS * self.settings.timeout,
        )

    async def effect(self, name: str = "send") -> Effect:
        """Note that the call that makes the post visible is about to be made.

        Args:
            name: Tells several such calls of one account apart; each name is used once an attempt.
        """
        return await effect.begin(self.remember, name=name, run=self.run, now=self.now)

    def risk_duplicate(self, reason: str) -> None:
        """Return if a post that may be there may be sent once more, as the setting `on_unknown` says.

        Args:
            reason: What is not known, for people.

        Raises:
            UnknownOutcomeError: It may not.
        """
        if self.settings.on_unknown == "fail":
            raise UnknownOutcomeError(
                f"{reason}; look at the account (JOBRUNNER_PUBLISH_ON_UNKNOWN=retry would send it once more)"
            )

    async def uploaded(self, urls: Sequence[str], upload: Callable[[str], Awaitable[str]]) -> list[str]:
        """Return the platform's ids of media, each uploaded once a job, and again only when it grew too old.

        Args:
            urls: The tenant's addresses, in order.
            upload: Uploads what is at one of them and returns its id.
        """
        return [await self._uploaded(number, url, upload) for number, url in enumerate(urls, start=1)]

    async def _uploaded(self, number: int, url: str, upload: Callable[[str], Awaitable[str]]) -> str:
        async def once() -> _Uploaded:
            return _Uploaded(id=await upload(url), at=self.now())

        for generation in itertools.count(1):
            file = await self.remember(f"media-{number}.{generation}", once)
            if self.now() - file.at < UPLOAD_LIFE_S:
                return file.id
        raise AssertionError("unreachable: the count has no end")

    async def poll(self, look: Callable[[], Awaitable[bool]], *, what: str) -> None:
        """Wait until a platform has processed something, as long as the settings allow.

        Args:
            look: Looks, and says whether it is done.
            what: What is waited for, for people.

        Raises:
            TransientError: It is not done yet; the job is to look again later.
        """
        until = time.monotonic() + self.settings.poll_wait
        while not await look():
            if time.monotonic() >= until:
                raise TransientError(f"{what} is still being processed", retry_after=30.0)
            await asyncio.sleep(self.settings.poll_interval)


class Adapter(Protocol):
    """A platform: a module or an object with this function."""

    async def publish(self, post: Post, account: Account, context: Context) -> Published:
        """Publish a post, or find that it is there already.

        Args:
            post: The post.
            account: The account that it goes to.
            context: What to work with.

        Returns:
            The post as it is on the platform.

        Raises:
            TransientError: Not this time; the job is tried again, and so is this.
            RefusedError: Never; it is not tried again.
            UnknownOutcomeError: Nobody knows whether it is there; it is not tried again.
        """
        ...
