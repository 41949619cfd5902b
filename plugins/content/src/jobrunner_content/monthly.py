"""The handler of `content.generate.monthly`: every post of the plan in turn, each once.

Each post is a durable step that writes it into the post store, so a later attempt asks only for those that are not
there. One post's failure never keeps the others from being written, unless it tells that they would fail, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobrunner import Discard, Job, Retry, Snooze
from jobrunner_content.failures import RefusedError, TransientError, UnusableError
from jobrunner_content.limits import limits_of
from jobrunner_content.payload import ContentGenerateMonthly, MonthlyPreferences
from jobrunner_content.plan import Slot, plan_month, post_id
from jobrunner_content.poststore import Post
from jobrunner_content.result import MonthlyResult
from jobrunner_content.studio import Studio
from jobrunner_content.text import clean_hashtags
from jobrunner_content.writer import Brief

MOST_IN_A_ROW = 5
"""Posts that fail one after the other until the attempt ends: the writer is down, and each may take a minute to say so."""

MOST_NAMED = 5
"""Posts that a reason names; the others are counted."""

MOST_WAIT_S = 21_600.0
"""The longest wait that is taken from a service at once; it can ask again."""

MOST_FLOOR_S = 300.0


class ContentIncompleteError(Exception):
    """Some posts did not work this time; the text names them. The job's retry policy decides when next."""


class Written(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a post's step keeps: where the post is."""

    post_id: str


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A post that is not there: its number, why, and whether it may be the next time."""

    number: int
    reason: str
    passing: bool


async def generate(job: Job[ContentGenerateMonthly], studio: Studio) -> MonthlyResult:
    """Write a month of posts.

    Args:
        job: The job.
        studio: Who writes, and where the posts are kept.

    Returns:
        The posts by platform, once all are written.

    Raises:
        Snooze: The service asks to wait, and this attempt has written posts; no attempt is spent.
        Retry: The service asks to wait.
        ContentIncompleteError: Some are to be tried again.
        Discard: The others are written, and the rest never will be; or none will be until somebody changes something.
        PostStoreError: The post store cannot be used at the moment.
    """
    return await _Month(job, studio).run()


def failed(failures: Sequence[Failure], *, done: int, total: int) -> Exception:
    """Turn the posts that are not there into the end of the attempt.

    Args:
        failures: One for each that was tried, at least one.
        done: How many posts are there.
        total: How many posts the job has.

    Returns:
        What to raise: a Discard if none of them may come, else the error that is retried.
    """
    named = "; ".join(f"post {failure.number}: {failure.reason}" for failure in failures[:MOST_NAMED])
    rest = f"; and {len(failures) - MOST_NAMED} more" if len(failures) > MOST_NAMED else ""
    summary = f"{total - done} of {total} posts not written; {named}{rest}"
    if any(failure.passing for failure in failures):
        return ContentIncompleteError(summary)
    return Discard(summary)


class _Month:
    """One attempt at a month."""

    def __init__(self, job: Job[ContentGenerateMonthly], studio: Studio) -> None:
        self._job = job
        self._studio = studio
        self._wishes = job.payload.preferences or MonthlyPreferences()
        self._hashtags = clean_hashtags(self._wishes.hashtags)
        self._new = 0

    async def run(self) -> MonthlyResult:
        job, payload = self._job, self._job.payload
        slots = plan_month(
            payload.year,
            payload.month,
            count=payload.content_count,
            platforms=payload.platforms,
            topics=self._wishes.topics,
        )
        posts: dict[str, list[str]] = {platform.lower(): [] for platform in payload.platforms}
        failures: list[Failure] = []
        in_a_row = done = 0
        for slot in slots:
            outcome = await self._attempt(slot)
            if isinstance(outcome, Failure):
                failures.append(outcome)
                in_a_row += 1
                if in_a_row == MOST_IN_A_ROW:
                    break
                continue
            in_a_row = 0
            done += 1
            posts[slot.platform].append(outcome.post_id)
            await job.progress(done / len(slots), f"{done} of {len(slots)}")
        if failures:
            raise failed(failures, done=done, total=len(slots))
        return MonthlyResult(
            brand_id=payload.brand_id,
            year=payload.year,
            month=payload.month,
            count=done,
            posts={platform: tuple(ids) for platform, ids in posts.items()},
        )

    async def _attempt(self, slot: Slot) -> Written | Failure:
        try:
            return await self._job.step(f"post:{slot.number}", self._write, slot)
        except UnusableError as error:
            raise Discard(f"post {slot.number} of {self._job.payload.content_count}: {error}") from None
        except RefusedError as error:
            return self._failure(slot, error, passing=False)
        except TransientError as error:
            if error.retry_after is not None:
                raise self._wait(error.retry_after, f"post {slot.number}: {error}") from None
            return self._failure(slot, error, passing=True)

    async def _write(self, slot: Slot) -> Written:
        job, posts = self._job, self._studio.posts
        key = post_id(job.id, slot.number)
        kept = await posts.find(job.payload.tenant_id, key)
        if kept is None:  # else an earlier attempt wrote it and died before its step was kept
            kept = await posts.add(await self._compose(key, slot))
            self._new += 1
            job.log.info("post.written", post_id=key, platform=slot.platform, day=slot.day.isoformat())
        if (kept.brand_id, kept.platform, kept.day) != (job.payload.brand_id, slot.platform, slot.day):
            raise UnusableError(
                f"there is a post {key} of another brand, platform or day; enqueue the month under another job id"
            )
        return Written(post_id=key)

    async def _compose(self, key: str, slot: Slot) -> Post:
        payload, tone = self._job.payload, (self._wishes.tone or "").strip()
        brief = Brief(
            tenant_id=payload.tenant_id,
            brand_id=payload.brand_id,
            post_id=key,
            platform=slot.platform,
            limits=limits_of(slot.platform),
            day=slot.day,
            number=slot.number,
            tone=tone,
            topic=slot.topic.strip(),
            hashtags=self._hashtags,
        )
        return Post(
            tenant_id=payload.tenant_id,
            post_id=key,
            brand_id=payload.brand_id,
            platform=slot.platform,
            day=slot.day,
            number=slot.number,
            topic=brief.topic,
            tone=tone,
            wanted_hashtags=self._hashtags,
            text=await self._studio.compose(self._job, brief),
            job_id=self._job.id,
        )

    def _failure(self, slot: Slot, error: Exception, *, passing: bool) -> Failure:
        self._job.log.warning(
            "post.postponed" if passing else "post.refused",
            number=slot.number,
            platform=slot.platform,
            reason=str(error),
        )
        return Failure(number=slot.number, reason=str(error), passing=passing)

    def _wait(self, seconds: float, reason: str) -> Exception:
        """Come back when the service says; an attempt that got on is not spent, or a month would run out of them."""
        wait = waiting(seconds, attempt=1 if self._new else self._job.attempt)
        return Snooze(wait, reason) if self._new else Retry(after=wait, reason=reason)


def waiting(seconds: float, *, attempt: int) -> float:
    """Return how long to wait: what the service asks for, no shorter than 2, 4, 8 and so on to 300, and 6 h at most."""
    return min(max(seconds, min(2.0**attempt, MOST_FLOOR_S)), MOST_WAIT_S)
