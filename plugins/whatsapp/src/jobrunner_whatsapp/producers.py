"""Typed producers of the plugin's queue, for editors and type checkers.

They do what `client.enqueue` does, with the payload's fields as arguments. They never talk to WhatsApp.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from jobrunner import Client, JobHandle, SyncClient, SyncJobHandle

QUEUE = "whatsapp-messages"


class WhatsApp:
    """Enqueues messages.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(
        self,
        *,
        to: str,
        message: str,
        campaign_id: str | None = None,
        tenant: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue a message.

        Args:
            to: The recipient's phone number with its country code.
            message: The text, 1 to 4,096 characters.
            campaign_id: What the message belongs to; on every log line and in the result.
            tenant: Whose message it is.
            priority: 0 to 100, higher is served first; None takes the queue's, 5.
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
        return await self._client.enqueue(
            QUEUE,
            _message(to, message, campaign_id),
            tenant=tenant,
            priority=priority,
            delay=delay,
            at=at,
            job_id=job_id,
            headers=headers,
        )


class SyncWhatsApp:
    """Enqueues messages, without `await`.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def send(
        self,
        *,
        to: str,
        message: str,
        campaign_id: str | None = None,
        tenant: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncJobHandle:
        """Enqueue a message; see `WhatsApp.send`."""
        return self._client.enqueue(
            QUEUE,
            _message(to, message, campaign_id),
            tenant=tenant,
            priority=priority,
            delay=delay,
            at=at,
            job_id=job_id,
            headers=headers,
        )


def _message(to: str, message: str, campaign_id: str | None) -> dict[str, object]:
    # A map and not the Struct: its errors then name the field, as for every other producer.
    fields: dict[str, object] = {"to": to, "message": message}
    return fields if campaign_id is None else {**fields, "campaignId": campaign_id}
