"""Typed producers of the plugin's queues, for editors and type checkers.

They do what `client.enqueue` does, with the payload's fields as arguments. They never write a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobrunner import Client, JobHandle, SyncClient, SyncJobHandle
from jobrunner_content.payload import (
    ContentGenerateMonthly,
    ContentRegenSingle,
    MonthlyPreferences,
    Part,
    RegenPreferences,
)

MONTHLY = "content.generate.monthly"
SINGLE = "content.regen.single"


class Content:
    """Enqueues content jobs.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def generate_monthly(
        self,
        *,
        tenant_id: str,
        brand_id: str,
        month: int,
        year: int,
        content_count: int,
        platforms: Sequence[str],
        preferences: MonthlyPreferences | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue a month of posts.

        Args:
            tenant_id: Whose posts they are.
            brand_id: The brand that they are for.
            month: 1 to 12.
            year: 2000 to 2100.
            content_count: How many posts in all, 1 to 200.
            platforms: 1 to 10 names, each once.
            preferences: How they are to sound, and what they are about.
            priority: 0 to 100, higher is served first; None takes the queue's, 5.
            job_id: The job's id, which the posts' ids are made of; the same id and payload twice is one job.
                None makes a new one.
            headers: What goes beside the payload.

        Returns:
            The job's handle.

        Raises:
            PayloadError: A field does not fit; the error names it.
            ConflictError: A job of that id is there with another payload.
        """
        payload = ContentGenerateMonthly(
            tenant_id=tenant_id,
            brand_id=brand_id,
            month=month,
            year=year,
            content_count=content_count,
            platforms=tuple(platforms),
            preferences=preferences,
        )
        return await self._client.enqueue(MONTHLY, payload, priority=priority, job_id=job_id, headers=headers)

    async def regenerate_single(
        self,
        *,
        tenant_id: str,
        post_id: str,
        brand_id: str,
        platform: str,
        regeneration_type: Part,
        preferences: RegenPreferences | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue the rewriting of one post.

        Args:
            tenant_id: Whose post it is.
            post_id: The post.
            brand_id: The brand that it is for.
            platform: The platform that it is for.
            regeneration_type: `hook`, `body` or `hashtags`, which leave the rest as it is, or `full`.
            preferences: How it is to sound.
            priority: 0 to 100, higher is served first; None takes the queue's, 8.
            job_id: The job's id; a post is rewritten once under it. None makes a new one.
            headers: What goes beside the payload.

        Returns:
            The job's handle.

        Raises:
            PayloadError: A field does not fit; the error names it.
            ConflictError: A job of that id is there with another payload.
        """
        payload = ContentRegenSingle(
            tenant_id=tenant_id,
            post_id=post_id,
            brand_id=brand_id,
            platform=platform,
            regeneration_type=regeneration_type,
            preferences=preferences,
        )
        return await self._client.enqueue(SINGLE, payload, priority=priority, job_id=job_id, headers=headers)


class SyncContent:
    """Enqueues content jobs, for those who do not await.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def generate_monthly(
        self,
        *,
        tenant_id: str,
        brand_id: str,
        month: int,
        year: int,
        content_count: int,
        platforms: Sequence[str],
        preferences: MonthlyPreferences | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncJobHandle:
        """Enqueue a month of posts; see `Content.generate_monthly`."""
        payload = ContentGenerateMonthly(
            tenant_id=tenant_id,
            brand_id=brand_id,
            month=month,
            year=year,
            content_count=content_count,
            platforms=tuple(platforms),
            preferences=preferences,
        )
        return self._client.enqueue(MONTHLY, payload, priority=priority, job_id=job_id, headers=headers)

    def regenerate_single(
        self,
        *,
        tenant_id: str,
        post_id: str,
        brand_id: str,
        platform: str,
        regeneration_type: Part,
        preferences: RegenPreferences | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncJobHandle:
        """Enqueue the rewriting of one post; see `Content.regenerate_single`."""
        payload = ContentRegenSingle(
            tenant_id=tenant_id,
            post_id=post_id,
            brand_id=brand_id,
            platform=platform,
            regeneration_type=regeneration_type,
            preferences=preferences,
        )
        return self._client.enqueue(SINGLE, payload, priority=priority, job_id=job_id, headers=headers)
