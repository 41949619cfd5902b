"""Typed producers of the plugin's queue, for editors and type checkers.

They do what `client.enqueue` does, with the payload's fields as arguments. They never talk to a platform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobrunner import Client, JobHandle, SyncClient, SyncJobHandle
from jobrunner_analytics.payload import AnalyticsPull, DateRange

QUEUE = "analytics.pull"


class Analytics:
    """Enqueues analytics jobs.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def pull(
        self,
        *,
        tenant_id: str,
        platforms: Sequence[str],
        date_range: DateRange,
        metrics: Sequence[str],
        brand_id: str | None = None,
        post_ids: Sequence[str] | None = None,
        delay: float | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue a pull of figures.

        Args:
            tenant_id: Whose posts.
            platforms: 1 to 20 names, each once.
            date_range: When the posts were published; at most a year.
            metrics: 1 to 50 names: of `METRICS`, or a platform's own as `PLATFORM:METRIC`.
            brand_id: One brand's accounts; None for all of the tenant's.
            post_ids: Up to 500 posts by the platforms' own ids, in place of the range's.
            delay: Seconds before it starts.
            priority: 0 to 100, higher is served first; None takes the queue's, 3.
            job_id: The job's id; the same id and payload twice is one job. None makes a new one.
            headers: What goes beside the payload.

        Returns:
            The job's handle.

        Raises:
            PayloadError: A field does not fit; the error names it.
            ConflictError: A job of that id is there with another payload.
        """
        payload = _payload(
            tenant_id=tenant_id,
            platforms=platforms,
            date_range=date_range,
            metrics=metrics,
            brand_id=brand_id,
            post_ids=post_ids,
        )
        return await self._client.enqueue(
            QUEUE, payload, delay=delay, priority=priority, job_id=job_id, headers=headers
        )


class SyncAnalytics:
    """Enqueues analytics jobs, for those who do not await; see `Analytics`.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def pull(
        self,
        *,
        tenant_id: str,
        platforms: Sequence[str],
        date_range: DateRange,
        metrics: Sequence[str],
        brand_id: str | None = None,
        post_ids: Sequence[str] | None = None,
        delay: float | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncJobHandle:
        """Enqueue a pull of figures; see `Analytics.pull`."""
        payload = _payload(
            tenant_id=tenant_id,
            platforms=platforms,
            date_range=date_range,
            metrics=metrics,
            brand_id=brand_id,
            post_ids=post_ids,
        )
        return self._client.enqueue(
            QUEUE, payload, delay=delay, priority=priority, job_id=job_id, headers=headers
        )


def _payload(
    *,
    tenant_id: str,
    platforms: Sequence[str],
    date_range: DateRange,
    metrics: Sequence[str],
    brand_id: str | None,
    post_ids: Sequence[str] | None,
) -> AnalyticsPull:
    return AnalyticsPull(
        tenant_id=tenant_id,
        brand_id=brand_id,
        platforms=tuple(platforms),
        date_range=date_range,
        metrics=tuple(metrics),
        post_ids=None if post_ids is None else tuple(post_ids),
    )
