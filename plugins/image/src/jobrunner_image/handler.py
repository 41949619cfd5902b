"""The handler of `image.generate`: has a picture drawn, brings it to its size, stores it, and says where it is.

The picture is one durable step: an attempt whose end was lost does not pay for it again. Never draws itself.
"""

from __future__ import annotations

import time

from jobrunner import Discard, Job
from jobrunner_image.engine import Order
from jobrunner_image.naming import picture_path
from jobrunner_image.payload import ImageGenerate
from jobrunner_image.result import ImageResult
from jobrunner_image.studio import Studio


async def generate(job: Job[ImageGenerate]) -> ImageResult:
    """Draw a picture and store it.

    Args:
        job: The job.

    Returns:
        Where the picture is, and what it is.

    Raises:
        Discard: The engine will never draw it.
        Retry: The engine says when to come back.
        OSError: It cannot be stored at the moment.
    """
    studio = job.resource(Studio)
    order = _order(job)

    async def make() -> ImageResult:
        return await _make(job, studio, order)

    try:
        return await job.step("picture", make)
    except Discard as wish:
        # No traceback: the reason says it all, and it is nobody's bug.
        job.log.error("image.refused", engine=studio.settings.engine, reason=wish.reason)  # noqa: TRY400
        raise


async def _make(job: Job[ImageGenerate], studio: Studio, order: Order) -> ImageResult:
    started = time.monotonic()
    await job.progress(0.1, f"drawing with {studio.settings.engine}")
    drawn = await studio.engine.draw(order)
    await job.progress(0.8, "storing")
    path = picture_path(
        tenant_id=order.tenant_id,
        subject=job.payload.post_id or order.brand_id,
        job_id=job.id,
        suffix=studio.suffix,
    )
    stored = await studio.finish(drawn, order, path)
    job.log.info(
        "image.stored",
        engine=studio.settings.engine,
        url=stored.url,
        size_bytes=stored.bytes,
        drawing_ms=round((time.monotonic() - started) * 1000),
    )
    return ImageResult(
        url=stored.url,
        path=path,
        width=order.width,
        height=order.height,
        bytes=stored.bytes,
        sha256=stored.sha256,
        mime_type=studio.mime_type,
        engine=studio.settings.engine,
        post_id=job.payload.post_id or "",
        notes=drawn.notes,
    )


def _order(job: Job[ImageGenerate]) -> Order:
    payload = job.payload
    return Order(
        seed=f"{payload.tenant_id}/{job.id}",
        tenant_id=payload.tenant_id,
        brand_id=payload.brand_id,
        prompt=payload.prompt,
        style=payload.style,
        width=payload.dimensions.width,
        height=payload.dimensions.height,
        colors=payload.brand_colors or (),
        fonts=payload.brand_fonts or (),
    )
