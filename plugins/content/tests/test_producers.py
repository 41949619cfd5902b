"""The typed producers, held to the payloads, and the factory that does the same at run time."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrunner import Client, PayloadError, SyncClient
from jobrunner_content import (
    Content,
    ContentGenerateMonthly,
    ContentRegenSingle,
    MonthlyPreferences,
    RegenPreferences,
    SyncContent,
)

OPTIONS = ["priority", "job_id", "headers"]


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    environ = {"REDIS_URL": f"embedded://{tmp_path / 'store'}", "PATH": os.environ["PATH"]}
    with SyncClient.from_env(environ):  # holds the server for as long as the test goes on
        yield environ


@pytest.mark.parametrize("producers", [Content, SyncContent])
@pytest.mark.parametrize(
    ("name", "payload"),
    [("generate_monthly", ContentGenerateMonthly), ("regenerate_single", ContentRegenSingle)],
)
def test_arguments_are_the_payloads_fields(producers: type, name: str, payload: type) -> None:
    """A field that is added to the payload is added here."""
    arguments = [
        argument for argument in inspect.signature(getattr(producers, name)).parameters if argument != "self"
    ]

    assert arguments == [*payload.__struct_fields__, *OPTIONS]


async def test_both_ways_enqueue_the_same_jobs(environ: dict[str, str]) -> None:
    """The same id and payload twice is one job, whoever sends it and however it is spelt."""
    wishes = MonthlyPreferences(tone="dry", topics=("tea",))
    monthly = {
        "tenant_id": "acme",
        "brand_id": "b",
        "month": 1,
        "year": 2025,
        "content_count": 3,
        "platforms": ["x"],
    }
    single = {
        "tenant_id": "acme",
        "post_id": "p",
        "brand_id": "b",
        "platform": "x",
        "regeneration_type": "hook",
    }
    style = RegenPreferences(style="short")

    async with Client.from_env(environ) as client:
        made = [
            await Content(client).generate_monthly(**monthly, preferences=wishes, job_id="m-1"),
            await Content(client).regenerate_single(**single, preferences=style, job_id="s-1"),
            await client.content.generate_monthly(
                **monthly, preferences={"tone": "dry", "topics": ["tea"]}, job_id="m-1"
            ),
            await client.content.regenerate_single(**single, preferences={"style": "short"}, job_id="s-1"),
        ]
    with SyncClient.from_env(environ) as sync:
        made += [
            SyncContent(sync).generate_monthly(**monthly, preferences=wishes, job_id="m-1"),
            SyncContent(sync).regenerate_single(**single, preferences=style, job_id="s-1"),
        ]

    assert [handle.created for handle in made] == [True, True, False, False, False, False]
    assert [handle.queue for handle in made[:2]] == ["content.generate.monthly", "content.regen.single"]


async def test_wrong_argument_is_named_as_on_the_wire(environ: dict[str, str]) -> None:
    """Before anything is sent."""
    async with Client.from_env(environ) as client:
        with pytest.raises(PayloadError) as caught:
            await Content(client).generate_monthly(
                tenant_id="acme", brand_id="b", month=13, year=2025, content_count=3, platforms=["x"]
            )
    assert caught.value.field == "month"
