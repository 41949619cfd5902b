"""What a platform is asked and what it answers: the whole interface of a platform.

A platform is anything with `METRICS` and an `async def read_page(query, account, cursor, context)`, a module as well
as an object. It knows no job, no queue and no database.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import httpx
import msgspec

from jobrunner_analytics.accounts import Account
from jobrunner_analytics.api import Api, Dialect
from jobrunner_analytics.settings import AnalyticsSettings

CALL_TIMEOUTS = 10
"""How many times the timeout of one read a call may take as a whole."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted.

    Args:
        start: Posts published at this moment or later, with a zone.
        end: And before this one.
        metrics: The platform's own names of what is wanted, each once.
        post_ids: The posts that are wanted, whenever they were published; empty for all of the range.
    """

    start: datetime
    end: datetime
    metrics: tuple[str, ...]
    post_ids: tuple[str, ...] = ()

    def holds(self, moment: datetime) -> bool:
        """Whether a post of that moment is in the range."""
        return self.start <= moment < self.end


class PostFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one post at this moment.

    Args:
        post_id: The platform's id of it.
        created_at: When it was published, with a zone; None where the platform did not tell.
        values: The platform's name of a metric to its value. `NAME.PART` is a part of a metric that has several.
    """

    post_id: str
    created_at: datetime | None = None
    values: Mapping[str, float]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of posts.

    Args:
        posts: The posts, with what figures they have.
        next_cursor: Where the next page begins; empty at the end. It holds no token.
        unsupported: Names of metrics that the platform says it does not have.
        cut: Why the page ends before a post that did not come through, empty where it is whole. `next_cursor` begins
            with that post, so that what was read is kept and only the rest is asked for again.
        retry_after: Seconds that the platform asks to wait before that, None if it says nothing.
    """

    posts: tuple[PostFigures, ...] = ()
    next_cursor: str = ""
    unsupported: tuple[str, ...] = ()
    cut: str = ""
    retry_after: float | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform works with.

    Args:
        http: The worker's client.
        settings: The plugin's settings.
        now: The clock, Unix time in seconds.
    """

    http: httpx.AsyncClient
    settings: AnalyticsSettings
    now: Callable[[], float] = time.time

    def api(
        self, account: Account, dialect: Dialect, base: str, *, headers: Mapping[str, str] | None = None
    ) -> Api:
        """Return a platform's API with the account's token."""
        return Api(
            self.http,
            dialect=dialect,
            base=base,
            token=account.token,
            headers=headers,
            deadline=CALL_TIMEOUTS * self.settings.timeout,
        )


class Platform(Protocol):
    """A platform: a module or an object with these.

    `METRICS` says which of the common names it has, and what it calls them. An optional `POST_ID`, a compiled
    pattern, says what its posts' ids look like.
    """

    METRICS: Mapping[str, str]

    async def read_page(self, query: Query, account: Account, cursor: str, context: Context) -> Page:
        """Read one page of posts with their figures.

        Args:
            query: What is wanted.
            account: Whose posts.
            cursor: Where the page begins; empty for the first one.
            context: What to work with.

        Returns:
            The page. Posts outside the range are left out, and so are those of other accounts.

        Raises:
            TransientError: Not this time; the job is tried again, and goes on with this page.
            RefusedError: Never; the account is given up in this job.
        """
        ...


def takes_id(platform: Platform, post_id: str) -> bool:
    """Whether a post's id looks like one of a platform's."""
    pattern: object = getattr(platform, "POST_ID", None)
    return not isinstance(pattern, re.Pattern) or pattern.fullmatch(post_id) is not None
