"""How the server starts and stops."""

from __future__ import annotations

import asyncio
import socket
import threading

import httpx
import pytest

from jobrunner_sandbox import Behaviour, SandboxServer


async def test_server_runs_in_the_event_loop_at_hand() -> None:
    """A test of a worker has its sandbox in the same loop."""
    async with SandboxServer() as server, httpx.AsyncClient() as client:
        answer = await client.post(
            f"{server.services()['x']}/2/tweets", json={"text": "a"}, headers={"Authorization": "Bearer t"}
        )

    assert answer.status_code == 201
    assert server.ledger.counts() == {"x": 1}


async def test_requests_are_served_at_the_same_time() -> None:
    """A latency holds up one request, not the server: the last of them answers while the others wait."""
    async with SandboxServer(Behaviour(latency=60)) as server, httpx.AsyncClient(timeout=None) as client:
        address = f"{server.services()['x']}/2/tweets"
        slow = [asyncio.create_task(client.post(address)) for _ in range(4)]
        page = await client.get(f"{server.url}/_sandbox/behaviour")
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    assert page.json()["latency"] == 60


async def test_stop_closes_connections_that_are_kept_open() -> None:
    """A client that keeps its connections must not keep the server."""
    async with httpx.AsyncClient() as client:
        async with SandboxServer() as server:
            await client.get(f"{server.url}/_sandbox/ledger")
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{server.url}/_sandbox/ledger")


def test_thread_ends_with_its_block() -> None:
    """Nothing is left running behind a test."""
    with SandboxServer.in_thread() as server:
        names = {thread.name for thread in threading.enumerate()}
        assert httpx.get(f"{server.url}/_sandbox/ledger").status_code == 200

    assert "jobrunner-sandbox" in names
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/_sandbox/ledger")


def test_services_share_one_loopback_port() -> None:
    """A client takes a base address, so a prefix is enough."""
    with SandboxServer.in_thread() as server:
        services = server.services()

    assert services.pop("smtp").startswith("smtp://127.0.0.1:"), "a mail server has a port of its own"
    assert services == {
        name: f"{server.url}/{name}"
        for name in ("graph", "linkedin", "x", "mastodon", "media", "openai", "whatsapp")
    }
    assert server.url.startswith("http://127.0.0.1:")


async def test_taken_port_is_an_error_at_once() -> None:
    """It is raised where the server is started, in a loop or in a thread."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(OSError, match="in use"):
            await SandboxServer(port=port).__aenter__()
        with pytest.raises(OSError, match="in use"), SandboxServer.in_thread(port=port):
            pass


def test_many_lost_answers_under_concurrency_are_all_in_the_ledger() -> None:
    """By identity: what the client did not hear of is exactly what the ledger calls lost."""

    async def scenario() -> tuple[set[str], set[str], set[str]]:
        async with SandboxServer(Behaviour(lost_rate=0.4, seed=1)) as server, httpx.AsyncClient() as client:

            async def post(text: str) -> str | None:
                try:
                    answer = await client.post(
                        f"{server.services()['mastodon']}/api/v1/statuses",
                        json={"status": text},
                        headers={"Authorization": "Bearer t"},
                    )
                except httpx.TransportError:
                    return None
                return str(answer.json()["id"])

            heard = await asyncio.gather(*(post(f"text {n}") for n in range(60)))
            posted = server.ledger.posts()
            lost_count = len(server.ledger.lost())
        assert lost_count == heard.count(None)
        return {one for one in heard if one}, {p.post_id for p in posted}, {p.text for p in posted}

    heard, posted, texts = asyncio.run(scenario())

    assert heard < posted
    assert len(texts) == len(posted) == 60
