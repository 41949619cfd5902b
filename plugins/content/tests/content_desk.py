"""What the tests work at: jobs run as a worker runs them, with the settings of one test."""

from __future__ import annotations

import msgspec

from jobrunner.testing import Performed, perform_job

KEY = "sk-a-secret-key-77"
Payload = dict[str, object]


def month(**changes: object) -> Payload:
    return {
        "tenantId": "demo-tenant",
        "brandId": "brand-123",
        "month": 12,
        "year": 2024,
        "contentCount": 6,
        "platforms": ["instagram", "x"],
        "preferences": {"tone": "friendly", "topics": ["winter coffee"], "hashtags": ["newin"]},
        **changes,
    }


def single(**changes: object) -> Payload:
    return {
        "tenantId": "demo-tenant",
        "postId": "december-001",
        "brandId": "brand-123",
        "platform": "instagram",
        "regenerationType": "full",
        **changes,
    }


class Desk(msgspec.Struct, kw_only=True):
    """One test's post store and chat endpoint."""

    database: str
    openai_url: str
    writer: str = "openai"
    model: str = "m-1"
    key: str = KEY
    more: dict[str, object] = {}

    @property
    def settings(self) -> dict[str, object]:
        return {
            "writer": self.writer,
            "database_url": self.database,
            "openai_url": self.openai_url,
            "openai_key": self.key,
            "openai_model": self.model,
            **self.more,
        }

    async def write(self, payload: Payload, *, job_id: str = "december", **more: object) -> Performed:
        return await perform_job(
            "content.generate.monthly",
            payload,
            plugin="content",
            settings=self.settings,
            job_id=job_id,
            **more,
        )

    async def rewrite(self, payload: Payload, *, job_id: str = "again-1", **more: object) -> Performed:
        return await perform_job(
            "content.regen.single", payload, plugin="content", settings=self.settings, job_id=job_id, **more
        )
