"""A store opened by its address: the embedded one comes back when its server was killed."""

import asyncio
import os
import signal

import pytest

from jobrunner.errors import OutcomeUnknownError, StoreUnavailableError
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store


async def again(store, call):
    """Send again, as clients do: the dead connection is noticed first, and a killed server takes a moment to go."""
    for _ in range(200):
        try:
            return await store.run(call)
        except (OutcomeUnknownError, StoreUnavailableError):
            await asyncio.sleep(0.02)
    raise AssertionError("the server did not come back")


async def test_embedded_store_comes_back_when_its_server_is_killed(tmp_path):
    """A worker on the embedded store must not need a restart because its server was killed."""
    store = open_store(parse_url(f"embedded://{tmp_path}/store"))
    await store.run(calls.command("SET", "k", "v"))
    await store.run(calls.command("WAITAOF", 1, 0, 2000))
    pid = await store.run(
        calls.plain(["INFO", "server"], lambda raw: int(raw.split(b"process_id:")[1].split()[0]))
    )

    os.kill(pid, signal.SIGKILL)

    assert await again(store, calls.command("GET", "k")) == b"v"
    await store.close()


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_embedded_store_is_shared_within_a_folder(tmp_path, kind):
    """A producer and a worker of one folder must meet in one server."""
    address = parse_url(f"embedded://{tmp_path}/store")
    store, other = open_store(address), open_sync_store(address)
    if kind == "async":
        await store.run(calls.command("SET", "k", "v"))
        assert other.run(calls.command("GET", "k")) == b"v"
    else:
        other.run(calls.command("SET", "k", "v"))
        assert await store.run(calls.command("GET", "k")) == b"v"
    other.close()
    await store.close()
