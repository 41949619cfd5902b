"""WhatsApp's stand-in, a server that answers with given bytes, and one message sent to either."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jobrunner.testing import Performed, perform_job
from jobrunner_sandbox import SandboxServer

# Test files are imported by their path, so the module that they share is found only if its folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from whatsapp_desk import TO, TOKEN, Canned, Send


@pytest.fixture
def jobrunner_plugin() -> str:
    return "whatsapp"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer.in_thread() as server:
        yield server


@pytest.fixture
def whatsapp(sandbox: SandboxServer) -> dict[str, object]:
    """The plugin's settings, its far side the sandbox."""
    return {
        "graph_url": sandbox.services()["whatsapp"],
        "phone_number_id": "106540352242922",
        "access_token": TOKEN,
    }


@pytest.fixture
def send(whatsapp: dict[str, object]) -> Send:
    """Run one attempt at a message: `await send(to=..., settings={...}, attempt=2, steps=first.steps)`."""

    async def attempt(
        *,
        to: str = TO,
        message: str = "Your post is ready",
        settings: dict[str, object] | None = None,
        campaign: str = "",
        **more: object,
    ) -> Performed:
        payload = {"to": to, "message": message} | ({"campaignId": campaign} if campaign else {})
        return await perform_job(
            "whatsapp-messages",
            payload,
            plugin="whatsapp",
            job_id="job-1",
            settings=whatsapp | (settings or {}),
            **more,  # type: ignore[arg-type]  # arguments of perform_job
        )

    return attempt


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    canned = Canned()
    async with await asyncio.start_server(canned.serve, "127.0.0.1", 0) as server:
        canned.port = server.sockets[0].getsockname()[1]
        yield canned
