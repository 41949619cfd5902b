"""Typed producers of the plugin's queue, for editors and type checkers.

They do what `client.enqueue` does, with the payload's fields as arguments. They never draw anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobrunner import Client, JobHandle, SyncClient, SyncJobHandle
from jobrunner_image.payload import Dimensions, ImageGenerate, Style

QUEUE = "image.generate"


class Image:
    """Enqueues image jobs.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def generate(
        self,
        *,
        tenant_id: str,
        brand_id: str,
        prompt: str,
        style: Style,
        dimensions: Dimensions,
        post_id: str | None = None,
        brand_colors: Sequence[str] | None = None,
        brand_fonts: Sequence[str] | None = None,
        delay: float | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue a picture.

        Args:
            tenant_id: Whose picture it is.
            brand_id: The brand that it is drawn for.
            prompt: What it shows, 1 to 4,000 characters.
            style: How it looks.
            dimensions: Its size.
            post_id: The post that it is for.
            brand_colors: Up to 8 colours, `#rgb` or `#rrggbb`.
            brand_fonts: Up to 4 names of bundled fonts.
            delay: Seconds before it starts.
            priority: 0 to 100, higher is served first; None takes the queue's, 6.
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
            brand_id=brand_id,
            prompt=prompt,
            style=style,
            dimensions=dimensions,
            post_id=post_id,
            brand_colors=brand_colors,
            brand_fonts=brand_fonts,
        )
        return await self._client.enqueue(
            QUEUE, payload, delay=delay, priority=priority, job_id=job_id, headers=headers
        )


class SyncImage:
    """Enqueues image jobs, for those who do not await; see `Image`.

    Args:
        client: The client that enqueues.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def generate(
        self,
        *,
        tenant_id: str,
        brand_id: str,
        prompt: str,
        style: Style,
        dimensions: Dimensions,
        post_id: str | None = None,
        brand_colors: Sequence[str] | None = None,
        brand_fonts: Sequence[str] | None = None,
        delay: float | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncJobHandle:
        """Enqueue a picture; see `Image.generate`."""
        payload = _payload(
            tenant_id=tenant_id,
            brand_id=brand_id,
            prompt=prompt,
            style=style,
            dimensions=dimensions,
            post_id=post_id,
            brand_colors=brand_colors,
            brand_fonts=brand_fonts,
        )
        return self._client.enqueue(
            QUEUE, payload, delay=delay, priority=priority, job_id=job_id, headers=headers
        )


def _payload(
    *,
    tenant_id: str,
    brand_id: str,
    prompt: str,
    style: Style,
    dimensions: Dimensions,
    post_id: str | None,
    brand_colors: Sequence[str] | None,
    brand_fonts: Sequence[str] | None,
) -> ImageGenerate:
    return ImageGenerate(
        tenant_id=tenant_id,
        post_id=post_id,
        brand_id=brand_id,
        prompt=prompt,
        style=style,
        dimensions=dimensions,
        brand_colors=None if brand_colors is None else tuple(brand_colors),
        brand_fonts=None if brand_fonts is None else tuple(brand_fonts),
    )
