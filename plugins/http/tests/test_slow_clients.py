"""Clients that are slow on purpose: hundreds that trickle, and a body without an end, leave everybody else alone."""

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx
import pytest

PLUGIN = str(Path(__file__).parent / "parcels_plugin.py")
TRICKLERS = 500
SECONDS = 8.0
PATIENCE_S = 60.0
"""Seconds after which a trickler gives up on being ended: far more than the deadlines, for a machine that is busy."""


@pytest.fixture
def served(shared_server, start_process):
    server = shared_server("valkey")
    with server.client() as client:
        client.flushall()
    env = {
        "REDIS_URL": server.url,
        "JOBRUNNER_LOG_FORMAT": "json",
        "JOBRUNNER_HTTP_PORT": "0",
        "JOBRUNNER_HTTP_MAX_PER_ADDRESS": "2000",  # all of them come from here
        "JOBRUNNER_HTTP_HEADER_TIMEOUT": "3",
        "JOBRUNNER_HTTP_RECEIVE_TIMEOUT": "3",
    }
    process = start_process(
        [sys.executable, "-m", "jobrunner", "serve", "--plugin", PLUGIN, "--dev"], env=env
    )
    address = json.loads(process.wait_for_line('"event":"http.started"'))["address"]
    token = process.wait_for_line("^token: ").removeprefix("token: ")
    return process, address, token


async def trickle(port, head, begun):
    """Send a byte now and then; whether the server ended it before we did."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)

    async def until_closed():
        try:
            while await reader.read(4096):
                pass
        except OSError:
            pass

    closed = asyncio.create_task(until_closed())
    try:
        while not closed.done() and time.monotonic() - begun < PATIENCE_S:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.5)
        await asyncio.wait([closed], timeout=1)
    except OSError:  # the server ended it
        return True
    finally:
        closed.cancel()
        writer.close()
    return closed.done() and not closed.cancelled()


async def pour(port, token, begun):
    """Send a chunked body without an end; the bytes that went out before the server ended it."""
    sent = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /api/queue/parcel.deliver/jobs HTTP/1.1\r\nHost: localhost\r\n"
        b"Authorization: Bearer " + token.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    try:
        while time.monotonic() - begun < SECONDS:
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            await writer.drain()
            sent += 0x4000
            await asyncio.sleep(0)
    except OSError:
        pass
    writer.close()
    del reader
    return sent


@pytest.mark.chaos
async def test_trickling_clients_and_an_endless_body_leave_livez_quick(served):
    """The receive deadline ends them, and meanwhile a probe is answered within a second, every time."""
    process, address, token = served
    port = int(address.rpartition(":")[2])
    begun = time.monotonic()
    heads = [
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        b"POST /api/queue/parcel.deliver/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        + token.encode()
        + b"\r\nContent-Length: 100000\r\n\r\n{",
    ]
    crowd = [asyncio.create_task(trickle(port, heads[at % 2], begun)) for at in range(TRICKLERS)]
    flood = asyncio.create_task(pour(port, token, begun))
    slowest, answers = 0.0, 0
    while time.monotonic() - begun < SECONDS - 1:
        async with httpx.AsyncClient(base_url=address) as client:
            asked = time.monotonic()
            assert (await client.get("/livez")).status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
            answers += 1
        await asyncio.sleep(0.1)
    ended = await asyncio.gather(*crowd)
    assert slowest < 1.0, f"the slowest of {answers} took {slowest:.2f} s"
    assert all(ended), f"{ended.count(False)} of {TRICKLERS} were never ended"
    assert await flood < 16 << 20
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {token}"}) as client:
        assert (await client.get("/api/queue/stats")).status_code == 200
    process.terminate()
    assert process.wait() == 0
