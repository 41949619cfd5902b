"""Places for so many at once: who gets one, and when."""

import asyncio

from jobrunner.store.places import Places


async def test_place_goes_to_who_waited_the_longest():
    """Whoever comes while others wait does not get in before them."""
    places, came = Places(2), []
    assert places.take()
    assert places.take()
    assert not places.take()

    async def visit(name):
        await places.wait()
        came.append(name)

    visits = [asyncio.ensure_future(visit(name)) for name in "abc"]
    await asyncio.sleep(0)
    for name in "abc":
        places.leave()
        assert not places.take(), "it is another's who was there first"
        await asyncio.sleep(0)
        assert came[-1] == name
    await asyncio.gather(*visits)
    places.leave()
    places.leave()
    assert places.take()
    assert places.take()
    assert not places.take(), "none was lost, and none was made"


async def test_place_of_one_who_gave_up_waiting_is_not_lost():
    """He may give up before a place is given to him, or just after it was."""
    places = Places(1)
    assert places.take()
    early, late, last = (asyncio.ensure_future(places.wait()) for _ in range(3))
    await asyncio.sleep(0)
    early.cancel()
    places.leave()  # to the second
    late.cancel()
    await asyncio.wait([early, late])
    assert early.cancelled()
    assert late.cancelled()
    await asyncio.wait_for(last, 5)
    assert not places.take()
    places.leave()
    assert places.take()


async def test_place_that_a_dropped_coroutine_waited_for_is_not_lost():
    """Nobody cancels it; it is only never run to its end."""
    places = Places(1)
    assert places.take()
    dropped = places.wait()
    dropped.send(None)
    dropped.close()
    places.leave()
    assert places.take()
