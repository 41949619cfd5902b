"""Typed producers of the plugin's queue, for editors and type checkers.

They do what `client.enqueue` does, with the payload's fields as arguments. They never write to an approver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from jobrunner import Client, JobHandle, SyncClient, SyncJobHandle

QUEUE = "approval.notify"


class Approval:
    """Enqueues approval jobs.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def notify(
        self,
        *,
        tenant_id: str,
        post_id: str,
        brand_id: str,
        approver_ids: Sequence[str],
        notification_type: Literal["email", "whatsapp", "both"],
        due_date: datetime | None = None,
        message: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue a notice to approvers.

        Args:
            tenant_id: Whose post it is.
            post_id: The post's id in the caller's system.
            brand_id: The brand that it belongs to.
            approver_ids: 1 to 100 approvers of the tenant, each once.
            notification_type: `email`, `whatsapp` or `both`.
            due_date: Until when their word is needed.
            message: What they are told besides, up to 2,000 characters.
            priority: 0 to 100, higher is served first; None takes the queue's, 7.
            delay: Seconds before it may be sent.
            at: An aware time before which it is not sent.
            job_id: The job's id; the same id and payload twice is one job. None makes a new one.
            headers: What goes beside the payload.

        Returns:
            The job's handle.

        Raises:
            PayloadError: A field does not fit; the error names it.
            ConflictError: A job of that id is there with another payload.
        """
        payload = _payload(
            tenant_id, post_id, brand_id, approver_ids, notification_type, due_date=due_date, message=message
        )
        return await self._client.enqueue(
            QUEUE, payload, priority=priority, delay=delay, at=at, job_id=job_id, headers=headers
        )


class SyncApproval:
    """Enqueues approval jobs, without `await`.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def notify(
        self,
        *,
        tenant_id: str,
        post_id: str,
        brand_id: str,
        approver_ids: Sequence[str],
        notification_type: Literal["email", "whatsapp", "both"],
        due_date: datetime | None = None,
        message: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncJobHandle:
        """Enqueue a notice to approvers; see `Approval.notify`."""
        payload = _payload(
            tenant_id, post_id, brand_id, approver_ids, notification_type, due_date=due_date, message=message
        )
        return self._client.enqueue(
            QUEUE, payload, priority=priority, delay=delay, at=at, job_id=job_id, headers=headers
        )


def _payload(
    tenant_id: str,
    post_id: str,
    brand_id: str,
    approver_ids: Sequence[str],
    notification_type: str,
    *,
    due_date: datetime | None,
    message: str | None,
) -> dict[str, object]:
    # A map and not the Struct: its errors then name the field, as for every other producer.
    payload: dict[str, object] = {
        "tenantId": tenant_id,
        "postId": post_id,
        "brandId": brand_id,
        "approverIds": list(approver_ids),
        "notificationType": notification_type,
    }
    more = {"dueDate": due_date, "message": message}
    return {**payload, **{name: value for name, value in more.items() if value is not None}}
