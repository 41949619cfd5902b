"""A queue with the payload and the route of the source document's example."""

import msgspec

from jobrunner import Job, Queue, hookimpl


class GenerateMonthly(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    tenant_id: str
    brand_id: str
    month: int
    year: int
    content_count: int
    platforms: list[str]


async def generate(job: Job[GenerateMonthly]) -> int:
    return job.payload.content_count


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [Queue("content.generate.monthly", GenerateMonthly, generate, route="content/generate-monthly")]
