"""Behind Sentinels: the primary is found, also where a Sentinel is down, and found anew after a failover."""

import asyncio

import pytest

from jobrunner.errors import OutcomeUnknownError, StoreRefusedError, StoreUnavailableError
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store

from .conftest import job

pytestmark = pytest.mark.long


async def again(run):
    """As clients do."""
    for _ in range(600):
        try:
            return await run()
        except (OutcomeUnknownError, StoreUnavailableError):
            await asyncio.sleep(0.05)
    raise AssertionError("it did not come back")


async def test_failover_is_followed_by_every_kind_of_store(start_sentinels):
    """Nobody restarts anything, even with one Sentinel down."""
    setup = start_sentinels()
    address = parse_url(setup.url)
    store, blocking = open_store(address), open_sync_store(address)
    keys = store.keys("q")
    await store.run(calls.enqueue(keys, [job("a")]))
    assert blocking.run(calls.counts(keys)).waiting == 1
    old = setup.primary()
    assert old.client().wait(1, 5000) == 1

    old.kill()
    new = setup.wait_for_promotion(old=old)
    setup.sentinels[0].kill()

    counts = await again(lambda: store.run(calls.counts(keys)))
    assert counts.waiting == 1
    assert (await again(lambda: asyncio.to_thread(blocking.run, calls.counts(keys)))).waiting == 1
    await again(lambda: store.run(calls.enqueue(keys, [job("b")])))
    assert new.client().hlen(keys["jobs"]) == 2
    await store.close()
    blocking.close()


async def test_name_that_no_sentinel_knows_is_refused_in_one_line(start_sentinels):
    """A misspelt name must not look like a store that is away."""
    setup = start_sentinels(replicas=0, sentinels=1)
    address = parse_url(setup.url.replace("/main/", "/mian/"))
    store, blocking = open_store(address), open_sync_store(address)
    with pytest.raises(StoreRefusedError, match="no primary named 'mian'"):
        await store.run(calls.command("PING"))
    with pytest.raises(StoreRefusedError, match="no primary named 'mian'"):
        blocking.run(calls.command("PING"))
    await store.close()
    blocking.close()


async def test_sentinels_that_are_away_are_named(start_sentinels):
    """They are the first thing to look at when nothing can be reached."""
    setup = start_sentinels(replicas=0, sentinels=1)
    address = parse_url(setup.url)
    setup.sentinels[0].kill()
    store, blocking = open_store(address), open_sync_store(address)
    with pytest.raises(StoreUnavailableError, match=r"no Sentinel of 127\.0\.0\.1:\d+ names the primary"):
        await store.run(calls.command("PING"))
    with pytest.raises(StoreUnavailableError, match=r"no Sentinel of 127\.0\.0\.1:\d+ names the primary"):
        blocking.run(calls.command("PING"))
    await store.close()
    blocking.close()


async def test_replica_that_a_sentinel_still_names_is_not_written_to(start_sentinels):
    """A Sentinel that has not heard of the failover yet names the old one, which may be a replica by now."""
    setup = start_sentinels(sentinels=1)
    address = parse_url(setup.url)
    old, copy = setup.primary(), setup.replica()
    setup.sentinels[0].freeze()  # nobody undoes what follows
    copy.client().replicaof("no", "one")
    old.client().replicaof("127.0.0.1", copy.port)
    setup.sentinels[0].thaw()
    store, blocking = open_store(address), open_sync_store(address)
    with pytest.raises(StoreUnavailableError, match="is no primary any more"):
        await store.run(calls.command("PING"))
    with pytest.raises(StoreUnavailableError, match="is no primary any more"):
        blocking.run(calls.command("PING"))
    await store.close()
    blocking.close()
