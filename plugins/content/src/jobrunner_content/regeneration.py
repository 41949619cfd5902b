"""The handler of `content.regen.single`: one post read, a part of it rewritten, and its former version kept.

The text is a durable step, so it is written once for each version of the post that the job meets, and the post is
rewritten once by a job, however often it runs.
"""

from __future__ import annotations

from jobrunner import Discard, Job, Retry
from jobrunner_content.failures import RefusedError, TransientError, UnusableError
from jobrunner_content.limits import limits_of
from jobrunner_content.monthly import waiting
from jobrunner_content.payload import ContentRegenSingle, RegenPreferences
from jobrunner_content.poststore import Post
from jobrunner_content.result import RegenResult
from jobrunner_content.studio import Studio
from jobrunner_content.text import PostText
from jobrunner_content.writer import Brief


async def regenerate(job: Job[ContentRegenSingle], studio: Studio) -> RegenResult:
    """Rewrite one post, or a part of it.

    Args:
        job: The job.
        studio: Who writes, and where the posts are kept.

    Returns:
        The post's new version.

    Raises:
        Retry: The service asks to wait.
        TransientError: No fitting text this time; the job is tried again.
        PostChangedError: Another job rewrote the post meanwhile; it is read again.
        Discard: There is no such post, or it is another brand's or platform's, or no text will ever be written.
        PostStoreError: The post store cannot be used at the moment.
    """
    payload, posts = job.payload, studio.posts
    post = await posts.find(payload.tenant_id, payload.post_id)
    if post is None:
        # The same words for a post that is another tenant's: who asks must not learn that it is there.
        raise Discard(f"there is no post {payload.post_id}")
    _check(post, payload)
    version = await posts.replacement(payload.tenant_id, payload.post_id, job_id=job.id)
    if version is None:
        version = await _rewrite(job, studio, post)
    return RegenResult(post_id=post.post_id, regenerated=payload.regeneration_type, version=version)


async def _rewrite(job: Job[ContentRegenSingle], studio: Studio, post: Post) -> int:
    part = job.payload.regeneration_type

    async def compose() -> PostText:
        return await studio.compose(job, _brief(job, post))

    try:
        text = await job.step(f"text:{post.version}", compose)
    except (RefusedError, UnusableError) as error:
        raise Discard(str(error)) from None
    except TransientError as error:
        if error.retry_after is None:
            raise
        raise Retry(after=waiting(error.retry_after, attempt=job.attempt), reason=str(error)) from None
    version = await studio.posts.replace(post, text, part=part, job_id=job.id)
    job.log.info("post.rewritten", post_id=post.post_id, part=part, version=version)
    return version


def _check(post: Post, payload: ContentRegenSingle) -> None:
    if post.brand_id != payload.brand_id:
        raise Discard(f"post {post.post_id} is not of brand {payload.brand_id}")
    if post.platform != payload.platform.lower():
        raise Discard(f"post {post.post_id} is for {post.platform}, not for {payload.platform}")


def _brief(job: Job[ContentRegenSingle], post: Post) -> Brief:
    wishes = job.payload.preferences or RegenPreferences()
    return Brief(
        tenant_id=post.tenant_id,
        brand_id=post.brand_id,
        post_id=post.post_id,
        platform=post.platform,
        limits=limits_of(post.platform),
        day=post.day,
        number=post.number,
        tone=(wishes.tone or "").strip() or post.tone,
        topic=post.topic,
        style=(wishes.style or "").strip(),
        hashtags=post.wanted_hashtags,
        part=job.payload.regeneration_type,
        former=post.text,
        edition=f"{job.id}:{post.version}",
    )
