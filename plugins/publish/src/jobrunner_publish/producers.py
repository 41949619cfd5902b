"""Typed producers of the plugin's queues, for editors and type checkers.

They do what `client.enqueue` does, with the payload's fields as arguments. They never talk to a platform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from jobrunner import Client, JobHandle
from jobrunner_publish.payload import PlatformAccount, PostContent, PublishDispatch

QUEUE = "publish.dispatch"


class Publish:
    """Enqueues publish jobs.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def dispatch(
        self,
        *,
        tenant_id: str,
        post_id: str,
        schedule_id: str,
        platforms: Sequence[PlatformAccount],
        content: PostContent,
        scheduled_time: datetime,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue a post for publication at its time.

        Args:
            tenant_id: Whose post it is.
            post_id: The post's id in the caller's system.
            schedule_id: The schedule that it belongs to.
            platforms: 1 to 20 accounts, each once.
            content: What the post says and shows.
            scheduled_time: When it is due, with a zone.
            priority: 0 to 100, higher is served first; None takes the queue's, 10.
            job_id: The job's id; the same id and payload twice is one job. None makes a new one.
            headers: What goes beside the payload.

        Returns:
            The job's handle.

        Raises:
            PayloadError: A field does not fit; the error names it.
            ConflictError: A job of that id is there with another payload.
        """
        payload = PublishDispatch(
            tenant_id=tenant_id,
            post_id=post_id,
            schedule_id=schedule_id,
            platforms=tuple(platforms),
            content=content,
            scheduled_time=scheduled_time,
        )
        return await self._client.enqueue(QUEUE, payload, priority=priority, job_id=job_id, headers=headers)
