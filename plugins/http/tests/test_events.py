"""The event stream: what happens is told once, to those who may know it, and to those who come back."""

import asyncio
import contextlib
import json

import pytest
from http_house import parcel, until


@contextlib.asynccontextmanager
async def listening(client, *, path="/api/events", **headers):
    """The events of a stream as they come: a queue of (name, id, data)."""
    found: asyncio.Queue = asyncio.Queue()

    async def read():
        async with client.stream("GET", path, headers=headers, timeout=None) as answer:
            if answer.status_code != 200:
                await answer.aread()
                found.put_nowait(("refused", None, answer))
                return
            assert answer.headers["content-type"].startswith("text/event-stream")
            name, number = "", None
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    number = value
                elif field == "data":
                    found.put_nowait((name, number, json.loads(value)))
                    number = None
        found.put_nowait(("ended", None, None))

    task = asyncio.create_task(read())
    try:
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def take(found, wanted=lambda data: True, seconds=15.0):
    """The next event that is wanted; its data, and the last id."""
    async with asyncio.timeout(seconds):
        while True:
            name, number, data = await found.get()
            if name in ("ended", "refused"):
                return name, data
            if wanted(data):
                return number, data


def completed(data):
    return data["queues"].get("parcel.deliver", {}).get("happened", {}).get("completed", 0)


async def test_listener_hears_of_all_queues_first_and_then_of_changes(house):
    """A page can draw itself from the first event and keep itself true by the rest."""
    viewer = await house.client("viewer")
    async with listening(viewer) as found:
        number, first = await take(found)
        assert set(first["queues"]) == {"note.send", "parcel.deliver"}
        assert int(number) == first["at"]
        await house.enqueue(parcel(), parcel())
        _, second = await take(found)
        assert second["queues"]["parcel.deliver"]["stats"]["waiting"] == 2
        assert "note.send" not in second["queues"]
        await house.work()
        total = 0
        while total < 2:
            _, data = await take(found, completed)
            total += completed(data)
        assert total == 2


async def test_who_comes_back_with_its_last_id_misses_nothing(house):
    """A laptop that was closed for a while shows true totals when it is opened."""
    viewer = await house.client("viewer")
    async with listening(viewer) as found:
        number, _ = await take(found)
    await house.enqueue(*[parcel() for _ in range(3)])
    await house.work()
    async with listening(viewer, **{"last-event-id": number}) as found:
        _, data = await take(found)
        total = completed(data)
        while total < 3:  # what was written in the very moment of the look is told by the next one
            _, data = await take(found, completed)
            total += completed(data)
        assert total == 3
        assert data["gap"] is False
    for bogus in ("nonsense", "9" * 15, "-1", "²"):
        async with listening(viewer, **{"last-event-id": bogus.encode()}) as found:
            _, data = await take(found)
            assert set(data["queues"]) == {"note.send", "parcel.deliver"}


async def test_tenants_listener_hears_of_its_own_jobs_only(house):
    """Not even that something happened to somebody else."""
    one = await house.client("viewer", tenants=("acme",))
    async with listening(one) as found:
        _, first = await take(found)
        assert first["queues"]["parcel.deliver"]["stats"]["total"] == 0
        assert first["queues"]["parcel.deliver"]["happened"] is None
        await house.enqueue(*[parcel("globex") for _ in range(3)])
        await house.work()
        await house.enqueue(parcel("acme"))
        _, data = await take(found)
        assert data["queues"]["parcel.deliver"]["stats"]["total"] == 1
        assert "globex" not in json.dumps(data)


async def test_job_is_followed_until_it_ends(house):
    """A progress bar moves without anybody asking again; a foreign job is missing here too."""
    viewer = await house.client("viewer")
    (job,) = await house.enqueue(parcel(number=5))
    path = f"/api/events?queue=parcel.deliver&job={job}"
    async with listening(viewer, path=path) as found:
        _, first = await take(found)
        assert first["state"] == "waiting"
        await house.work()
        _, last = await take(found, lambda data: data["state"] == "completed")
        assert (last["progress"], last["result"]["delivered"]) == (0.5, 5)
        await house.site.admin.remove("parcel.deliver", [job])
        assert (await take(found))[1] in ({}, None)
    stranger = await house.client("viewer", tenants=("nobody",))
    async with listening(stranger, path=path) as found:
        name, answer = await take(found)
        assert (name, answer.status_code) == ("refused", 404)


@pytest.mark.parametrize("path", ["/api/events", "/api/events?queue=parcel.deliver&job={}"])
async def test_stream_ends_when_its_token_is_revoked(house, path):
    """A stream outlives its request; it must not outlive its token."""
    viewer = await house.client("viewer")
    (job,) = await house.enqueue(parcel())
    async with listening(viewer, path=path.format(job)) as found:
        await take(found)
        await house.site.admin.drop_token(viewer.headers["authorization"].split("_")[1])
        async with asyncio.timeout(5):
            while (await found.get())[0] != "ended":
                pass


async def test_streams_are_bounded_and_given_back(open_house):
    """Nobody can take all places for good, and a client that went away frees its own."""
    house = await open_house(max_streams=2)
    viewer = await house.client("viewer")
    async with listening(viewer) as one, listening(viewer) as two:
        await take(one)
        await take(two)
        async with listening(viewer) as three:
            name, answer = await take(three)
            assert (name, answer.status_code) == ("refused", 429)
            assert answer.headers["retry-after"]
    await until(lambda: not house.site.feed.is_full)
    async with listening(viewer) as found:
        assert (await take(found))[1]["queues"]


async def test_nobody_listens_and_the_store_is_left_alone(house):
    """The feed costs nothing while it is not used."""
    viewer = await house.client("viewer")
    async with listening(viewer) as found:
        await take(found)
    await until(lambda: not house.site.feed._listeners)
    await until(lambda: house.site.feed._task is None or house.site.feed._task.done())


async def test_slow_listener_is_ended_and_loses_nothing(house):
    """A listener that does not read is not kept in memory; its last id brings it back."""
    from jobrunner_http.access import Caller, Role
    from jobrunner_http.feed import KEPT, FeedEvent

    caller = Caller(token_id="t", name="n", role=Role.VIEWER)
    listener = await house.site.feed.join(caller)
    given = 1
    while listener.give(FeedEvent(at=given, queues={})):
        given += 1
    assert given <= KEPT
    rest = [listener.events.get_nowait() for _ in range(listener.events.qsize())]
    assert rest[-1] is None
    house.site.feed.leave(listener)
