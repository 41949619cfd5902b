"""The handler of `analytics.pull`: every account of every platform, page by page, into the table.

Each page is a durable step that ends when its rows are written, and a page ends before a post that does not come through:
what is done again is that post alone. One account's failure never keeps the others from being read, and an attempt that
got on is not spent.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import msgspec

from jobrunner import Discard, Job, JobrunnerError, PluginError, Retry, Snooze
from jobrunner_analytics.accounts import VARIABLE, Account
from jobrunner_analytics.api import MOST_WAIT_S
from jobrunner_analytics.desk import Desk
from jobrunner_analytics.failures import PlatformError, TransientError, clip
from jobrunner_analytics.payload import AnalyticsPull
from jobrunner_analytics.plan import Wanted, make_plan, make_rows, unknown_ids
from jobrunner_analytics.platform import Page, Platform
from jobrunner_analytics.result import Pull, PullResult

MOST_KEY = 96
"""Characters of an account's step name, which leaves room for the page's number: a name has 128 at most."""

MOST_FLOOR_S = 300.0
MOST_CUTS = 200
"""Pages of one account that may end before their time: each is a step, and what a job's steps hold is bounded."""

MOST_SNOOZE_S = 86_400.0
"""The longest that a job may be put off without an attempt."""

GOT_ON_S = 10.0
"""Seconds until a job that got on comes back, where no platform says when."""

MOST_LISTED = 20


class PageDone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page whose rows are in the table: the step's result."""

    posts: int = 0
    rows: int = 0
    found: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    next_cursor: str = ""
    is_cut: bool = False


class Postponed(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is to be read again: why, how many seconds the platform asks to wait, and whether it got on."""

    platform: str
    account_id: str
    reason: str
    retry_after: float | None = None
    got_on: bool = False


class Progress:
    """What this attempt has read of one account that no attempt before it had."""

    def __init__(self) -> None:
        self.pages = 0


class PullIncompleteError(Exception):
    """Some accounts did not work this time; the text lists them. The job's retry policy decides when next."""


End = Pull | Postponed


async def pull(job: Job[AnalyticsPull], desk: Desk) -> PullResult:
    """Pull the figures of a tenant's posts from every platform.

    Args:
        job: The job.
        desk: The accounts, the platforms and the table.

    Returns:
        What came of each account, where one at least was read.

    Raises:
        Snooze: Some are to be tried again, and one of them got on; no attempt is spent.
        Retry: Some are to be tried again, and a platform says after how long.
        PullIncompleteError: Some are to be tried again.
        Discard: None was read, and none ever will be.
        MetricStoreError: The table cannot be written at the moment.
    """
    await _refresh(job, desk)
    payload = job.payload
    ends: list[End] = []
    for number, name in enumerate(payload.platforms, start=1):
        ends += await _pull_platform(job, desk, name)
        await job.progress(number / len(payload.platforms), f"{number} of {len(payload.platforms)}")
    installed = [found for name in payload.platforms if (found := desk.platforms.find(name))]
    unknown = unknown_ids(payload, installed)
    return conclude(ends, payload=payload, unknown=unknown, attempt=job.attempt)


def conclude(
    ends: Sequence[End], *, payload: AnalyticsPull, unknown: Sequence[str], attempt: int
) -> PullResult:
    """Turn the ends of all accounts into the end of the attempt.

    Args:
        ends: One for each account, in the payload's order of platforms.
        payload: The job's payload.
        unknown: Posts that are no asked platform's.
        attempt: The attempt's number, from 1.

    Raises:
        Snooze: Some are to be tried again, and one of them got on; a large account on a platform that often fails
            would else use up its attempts.
        Retry: Some are to be tried again, and a platform says after how long; the longest of those waits,
            and no shorter than 2, 4, 8 and so on to 300 seconds, so that no attempts are spent in a moment; a day at most.
        PullIncompleteError: Some are to be tried again.
        Discard: None is, and all failed.
    """
    postponed = [end for end in ends if isinstance(end, Postponed)]
    pulls = [end for end in ends if isinstance(end, Pull)]
    failed = [end for end in pulls if end.status == "failed"]
    reasons = [f"{end.platform} {end.account_id}".strip() + f": {clip(end.reason)}" for end in failed]
    if postponed:
        late = [f"{end.platform} {end.account_id}: {clip(end.reason)}" for end in postponed]
        summary = "; ".join([f"{len(postponed)} of {len(ends)} accounts not read yet", *late, *reasons])
        waits = [end.retry_after for end in postponed if end.retry_after is not None]
        if any(end.got_on for end in postponed):
            raise Snooze(min(max([GOT_ON_S, *waits]), MOST_SNOOZE_S), summary)
        if waits:
            wait = max(*waits, min(2.0**attempt, MOST_FLOOR_S))
            raise Retry(after=min(wait, MOST_WAIT_S), reason=summary)
        raise PullIncompleteError(summary)
    if len(failed) == len(pulls):
        raise Discard("; ".join(["no account could be read", *reasons]))
    rows = {name.lower(): 0 for name in payload.platforms}
    for end in pulls:
        rows[end.platform] += end.rows
    return PullResult(
        rows=rows,
        pulls=tuple(pulls),
        failed=tuple(dict.fromkeys(end.platform for end in failed)),
        unknown_post_ids=tuple(unknown[:MOST_LISTED]),
    )


def step_key(platform: str, account_id: str) -> str:
    """Return the step name of an account: readable where it can be, and never the same for two of them."""
    key = f"{platform}:{account_id}"
    if len(key) <= MOST_KEY and key.isprintable() and not account_id.startswith("~"):
        return key
    return f"{platform}:~{hashlib.sha256(account_id.encode()).hexdigest()[:40]}"


async def _refresh(job: Job[AnalyticsPull], desk: Desk) -> None:
    """Read the accounts file again if it changed; a broken one leaves the accounts of before."""
    try:
        await asyncio.to_thread(desk.accounts.refresh)
    except PluginError as error:
        # No traceback: the text names the entry, and it is nobody's bug.
        job.log.error("accounts.unreadable", reason=str(error))  # noqa: TRY400
    hint = desk.accounts.take_hint()
    if hint:
        job.log.warning("accounts.exposed", reason=hint)


async def _pull_platform(job: Job[AnalyticsPull], desk: Desk, name: str) -> list[End]:
    payload, lower = job.payload, name.lower()
    platform = desk.platforms.find(name)
    if platform is None:
        known = ", ".join(desk.platforms.names)
        return [_failed(job, lower, f"no installed platform is named {name!r} (installed: {known})")]
    accounts = desk.accounts.find(tenant=payload.tenant_id, brand=payload.brand_id, platform=name)
    if not accounts:
        return [_failed(job, lower, _without_account(payload, desk))]
    wanted = make_plan(payload, name, platform)
    if not wanted.query.metrics or (payload.post_ids and not wanted.query.post_ids):
        # Nothing that it has is asked for: no call, and no failure.
        return [
            Pull(platform=lower, account_id=one.id, status="pulled", unsupported=wanted.unsupported)
            for one in accounts
        ]
    found: set[str] = set()
    ends = [await _pull_account(job, desk, platform, account, wanted, found) for account in accounts]
    missing = tuple(post_id for post_id in wanted.query.post_ids if post_id not in found)
    return [
        msgspec.structs.replace(end, missing=missing[:MOST_LISTED], missing_count=len(missing))
        if isinstance(end, Pull) and end.status == "pulled"
        else end
        for end in ends
    ]


async def _pull_account(
    job: Job[AnalyticsPull],
    desk: Desk,
    platform: Platform,
    account: Account,
    wanted: Wanted,
    found: set[str],
) -> End:
    progress = Progress()
    try:
        pages, truncated = await _read_pages(job, desk, platform, account, wanted, progress)
    except TransientError as error:
        job.log.warning("account.postponed", platform=account.platform, account=account.id, reason=str(error))
        return Postponed(
            platform=account.platform,
            account_id=account.id,
            reason=str(error),
            retry_after=error.retry_after,
            got_on=progress.pages > 0,
        )
    except PlatformError as error:
        return _failed(job, account.platform, f"{error}; see {account.entry}", account_id=account.id)
    found.update(post_id for page in pages for post_id in page.found)
    refused = {name for page in pages for native in page.unsupported for name in wanted.names.get(native, ())}
    end = Pull(
        platform=account.platform,
        account_id=account.id,
        status="pulled",
        posts=sum(page.posts for page in pages),
        rows=sum(page.rows for page in pages),
        unsupported=(*wanted.unsupported, *sorted(refused)),
        truncated=truncated,
    )
    job.log.info(
        "account.pulled", platform=account.platform, account=account.id, posts=end.posts, rows=end.rows
    )
    return end


async def _read_pages(
    job: Job[AnalyticsPull],
    desk: Desk,
    platform: Platform,
    account: Account,
    wanted: Wanted,
    progress: Progress,
) -> tuple[list[PageDone], bool]:
    """All pages of an account, each a step; and whether there were more than the settings allow."""
    key = step_key(account.platform, account.id)
    pages: list[PageDone] = []
    cursor = ""
    whole = 0
    while whole < desk.context.settings.max_pages:
        reading = _Reading(desk, platform, account, wanted)
        page = await job.step(f"{key}:{len(pages) + 1}", reading.page, cursor)
        pages.append(page)
        progress.pages += reading.is_done
        whole += not page.is_cut
        if not page.next_cursor or page.next_cursor == cursor:
            return pages, False
        cursor = page.next_cursor
        if reading.wait is not None or len(pages) - whole > MOST_CUTS:
            raise TransientError(reading.why or "too many calls failed", retry_after=reading.wait)
    return pages, True


class _Reading:
    """The reading of one page in this attempt; nothing of it is there where an earlier attempt read the page."""

    def __init__(self, desk: Desk, platform: Platform, account: Account, wanted: Wanted) -> None:
        self._desk = desk
        self._platform = platform
        self._account = account
        self._wanted = wanted
        self.is_done = False
        self.why = ""
        self.wait: float | None = None

    async def page(self, cursor: str) -> PageDone:
        """Read a page and write its rows."""
        wanted, context = self._wanted, self._desk.context
        page = await _ask(self._desk, self._platform, self._account, wanted, cursor)
        rows = make_rows(page.posts, wanted=wanted, account=self._account, now=context.now())
        await self._desk.store.upsert(rows)
        self.is_done, self.why, self.wait = True, page.cut, page.retry_after
        with_figures = {row.post for row in rows}
        return PageDone(
            posts=len(with_figures),
            rows=len(rows),
            found=tuple(sorted(with_figures)) if wanted.query.post_ids else (),
            unsupported=page.unsupported,
            next_cursor=page.next_cursor,
            is_cut=bool(page.cut),
        )


async def _ask(desk: Desk, platform: Platform, account: Account, wanted: Wanted, cursor: str) -> Page:
    try:
        return await platform.read_page(wanted.query, account, cursor, desk.context)
    except (PlatformError, JobrunnerError):
        raise
    except Exception as error:  # a bug of one platform's must not keep the others from being read
        raise TransientError(f"the platform broke: {type(error).__name__}: {error}") from error


def _without_account(payload: AnalyticsPull, desk: Desk) -> str:
    if not desk.accounts.is_named:
        return f"there are no accounts: set {VARIABLE} to a file with them"
    brand = f", brand {payload.brand_id!r}" if payload.brand_id else ""
    return f"the accounts file has no account for tenant {payload.tenant_id!r}{brand} there: add one"


def _failed(job: Job[AnalyticsPull], platform: str, reason: str, *, account_id: str = "") -> Pull:
    job.log.error("account.given_up", platform=platform, account=account_id, reason=reason)
    return Pull(platform=platform, account_id=account_id, status="failed", reason=reason)
