"""What must never reach a job's outcome, a log line or the store: a secret, a broken observer, a full disk, odd data."""

import contextlib
import datetime as dt
import io
from typing import Annotated

import msgspec
import pytest

from jobrunner import (
    Client,
    Discard,
    JobFailedError,
    PluginError,
    Queue,
    Retry,
    RetryPolicy,
    Secret,
    Snooze,
    hookimpl,
)
from jobrunner.admin import Admin
from jobrunner.discovery import Found
from jobrunner.events import (
    JobCompleted,
    JobFailed,
    JobParked,
    JobSnoozed,
    ObserverFailed,
    WorkerDutyRestarted,
)
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins, from_object
from jobrunner.settings import Settings
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store
from jobrunner.worker.worker import Worker, WorkerOptions

from .conftest import raw_client

SECRET = 'open "sesame" ö'


class Login(msgspec.Struct, rename="camel", kw_only=True):
    how: str
    token: Annotated[str, Secret]


@pytest.mark.parametrize("how", ["raise", "discard", "snooze", "return", "log", "chain", "note"])
async def test_secret_of_a_payload_is_nowhere_but_in_the_payload(at_work, one_queue, store_url, how):
    """Not in a line, a traceback, a result, a step, a reason: whatever a handler does with it."""

    async def leak(job):
        token = job.payload.token
        match how:
            case "raise":
                raise ValueError(f"the server said: {token} is wrong")
            case "discard":
                raise Discard(f"{token} is wrong")
            case "snooze":
                raise Snooze(3600, f"{token} is busy")
            case "log":
                line = f"using {token}"
                job.log.warning(line, token=token, all=[token], payload=job.payload, raw=token.encode())
                await job.progress(0.5, f"at {token}")
                await job.step("login", lambda: {"token": token})
            case "chain":
                try:
                    raise KeyError(token)
                except KeyError as error:
                    raise RuntimeError("no") from error
            case "note":
                error = ValueError("no")
                error.add_note(f"with {token}")
                raise error
        return {"used": token, "in": [f"({token})"]}

    queue = Queue("task.do", Login, leak, retry=one_queue().retry)
    async with at_work(queue) as running:
        handle = await running.enqueue(how=how, token=SECRET)
        await running.until(
            {
                "raise": JobFailed,
                "discard": JobFailed,
                "chain": JobFailed,
                "note": JobFailed,
                "snooze": JobSnoozed,
            }.get(how, JobCompleted)
        )
        seen = [
            running._stream.getvalue(),
            repr(running.witness.events),
            repr(await running.look(handle)),
            repr(await running.admin.logs("task.do", handle.id)),
        ]
        with contextlib.closing(raw_client(store_url)) as client:
            keys = [f"jr:{{task.do}}:{part}" for part in ("state", "steps", "progress", "logs")]
            seen += [value.decode() for key in keys for value in client.hvals(key)]
        for text in seen:
            assert "sesame" not in text


LONG, SHORT = "key-7f3a9b-and-more", "key-7f3a9b"


class KeyedShop:
    """A plugin with secrets in its settings, one of which begins like the payload's."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True):
        key: Annotated[str, Secret] = ""
        place: Annotated[str, Secret] = "sqlite:///shop.db"

    @hookimpl
    def jobrunner_settings(self):
        return self.Settings

    @hookimpl
    def jobrunner_queues(self, settings):
        async def leak(job):
            job.log.warning("using the key", key=settings.key)
            await job.step("login", lambda: {"key": settings.key})
            if job.payload.how == "raise":
                raise ValueError(f"the server said: {settings.key} is wrong, {job.payload.token} too")
            return {"key": settings.key, "token": job.payload.token, "place": settings.place}

        return [Queue("task.do", Login, leak, retry=RetryPolicy(max_attempts=1))]


@pytest.mark.parametrize("how", ["raise", "return"])
async def test_secret_of_the_plugins_settings_is_struck_out_too(store_url, how):
    """A service quotes the key that it does not take; that key is nobody's to see but the operator's."""
    found = Found(name="shop", target="")
    plugins = Plugins([from_object(KeyedShop(), found, {"JOBRUNNER_SHOP_KEY": SHORT})])
    settings, stream = Settings(log_format="json"), io.StringIO()
    async with Client(open_store(parse_url(store_url)), plugins) as client:
        handle = await client.enqueue("task.do", {"how": how, "token": LONG})
        worker = Worker(
            plugins,
            parse_url(store_url),
            settings,
            {},
            WorkerOptions(burst=True),
            Logs(settings, stream),
            listen=False,
        )
        await worker.run()
        info = repr(await Admin(client.store, plugins).job("task.do", handle.id))
    with contextlib.closing(raw_client(store_url)) as raw:
        keys = [f"jr:{{task.do}}:{part}" for part in ("state", "steps", "progress", "logs")]
        kept = [value.decode() for key in keys for value in raw.hvals(key)]
    for text in (info, stream.getvalue(), *kept):
        assert "7f3a9b" not in text
        assert "and-more" not in text
    assert how == "raise" or "sqlite:///shop.db" in info, "a default is no secret"


async def test_observer_that_raises_changes_no_outcome(at_work, one_queue, store_url):
    """One plugin's bug must not fail everybody's jobs."""

    class Broken:
        @hookimpl
        def jobrunner_event(self, event):
            raise RuntimeError(f"cannot take {type(event).__name__}")

    class Shop:
        @hookimpl
        def jobrunner_queues(self):
            return [one_queue()]

    told = []

    class Listener:
        @hookimpl
        def jobrunner_event(self, event: ObserverFailed | JobCompleted | WorkerDutyRestarted):
            told.append(event)

    hooks = {"shop": Shop(), "a-broken": Broken(), "z-listener": Listener()}
    plugins = Plugins([from_object(one, Found(name=name, target=""), {}) for name, one in hooks.items()])
    settings = Settings(log_level="debug", log_format="json")
    with open("/dev/full", "w") as full:  # noqa: ASYNC230, PTH123 - a device that takes no byte
        options = WorkerOptions(burst=True)
        worker = Worker(
            plugins, parse_url(store_url), settings, {}, options, Logs(settings, full), listen=False
        )
        async with Client(open_store(parse_url(store_url)), plugins) as client:
            handles = await client.enqueue_many("task.do", [{"number": number} for number in range(5)])
            assert await worker.run() == 0
            assert [await handle.result(timeout=5) for handle in handles] == list(range(5))
        with contextlib.suppress(OSError):
            full.close()
    assert len([event for event in told if isinstance(event, JobCompleted)]) == 5
    assert {event.about for event in told if isinstance(event, ObserverFailed)} >= {"job.completed"}
    assert not [event for event in told if isinstance(event, WorkerDutyRestarted)]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"not json at all", "cannot be read"),
        (b'[1,0,"t1",1]', "cannot be read"),
        (b'[1,0,"t1",1,{"number":"five"}]', "number: expected `int`"),
        (b'[1,0,"t1",1,[[[[1]]]]]', "expected `object`"),
        (b'[1,0,"t1",1,' + b"[" * 20_000 + b"]" * 20_000 + b"]", "cannot be read"),
        (b'[1,0,"\xff",1,{"number":1}]', "cannot be read"),
        (b'[1,0,"t1",1,{"how":"\xff"}]', "not valid JSON"),
        (b'[1,0,"t1",0,[5]]', "not a JSON object"),
        (b'[1,0,"t1",1,{"number":1},{"jobrunner-due":"' + b"9" * 5000 + b'"}]', ""),
        (b'[1,0,"t1",1,{"number":1},{"jobrunner-due":"soon"},"",["what comes later"]]', ""),
        (None, "gone from the store"),
    ],
)
async def test_odd_record_fails_its_job_and_no_other(at_work, one_queue, store_url, record, said):
    """Whatever lies in the store, the worker goes on."""
    async with at_work(one_queue()) as running:
        with contextlib.closing(raw_client(store_url)) as client:
            if record is not None:
                client.hset("jr:{task.do}:jobs", "odd", record)
            client.zadd("jr:{task.do}:wait", {"odd": 0})
            client.lpush("jr:{task.do}:wake", 1)
        if said:
            failed = await running.until(JobFailed, job_id="odd")
            assert (failed.error_type, said in failed.error) == ("PayloadError", True), failed.error
        else:
            await running.until(JobCompleted, job_id="odd")
        handle = await running.enqueue(number=7)
        assert await handle.result(timeout=20) == 7
        assert running.witness.of(WorkerDutyRestarted) == []


async def test_upgrade_that_raises_is_an_error_of_the_job(at_work, one_queue, store_url):
    """And a version that nobody knows waits for a worker that does."""

    def upgrade(payload):
        return {"number": payload["count"]}

    async with at_work(one_queue(version=2, upgrades={1: upgrade})) as running:
        with contextlib.closing(raw_client(store_url)) as client:
            for name, version in (("old", 1), ("new", 3)):
                client.hset("jr:{task.do}:jobs", name, f'[1,0,"t1",{version},{{"number":1}}]')
                client.zadd("jr:{task.do}:wait", {name: 0})
            client.lpush("jr:{task.do}:wake", 1)
        assert (await running.until(JobFailed, job_id="old")).error_type == "KeyError"
        assert "version 3" in (await running.until(JobParked, job_id="new")).reason


@pytest.mark.parametrize(
    "raised",
    [KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration, StopAsyncIteration, RecursionError],
)
@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_exception_that_python_treats_as_its_own_ends_the_attempt_and_not_the_worker(
    at_work, one_queue, kind, raised
):
    """A library that calls `sys.exit` must not end a worker."""

    async def leave(job):
        raise raised("bye")

    def leave_in_thread(job):
        raise raised("bye")

    async with at_work(one_queue(leave if kind == "async" else leave_in_thread)) as running:
        handle = await running.enqueue()
        failed = await running.failure(handle)
        assert raised.__name__ in f"{failed.error_type} {failed.error}"
        with pytest.raises(JobFailedError):
            await handle.result(timeout=5)


class Nowhere(dt.tzinfo):
    def utcoffset(self, _):
        raise LookupError("no such zone")


class Bare(Retry):
    def __init__(self):
        """Leave out what the base class would set."""


async def noon_nowhere(job):
    return dt.datetime(2026, 1, 1, 12, tzinfo=Nowhere())


async def retry_without_a_time(job):
    raise Bare


async def snooze_for_no_text(job):
    raise Snooze(1, None)


@pytest.mark.parametrize("handler", [noon_nowhere, retry_without_a_time, snooze_for_no_text])
async def test_end_that_cannot_be_told_is_an_error_of_the_job(at_work, one_queue, handler):
    """Else the attempt would never end, and hold its slot and its lease for as long as the worker lives."""
    async with at_work(one_queue(handler)) as running:
        failed = await running.failure(await running.enqueue())
        assert "cannot be told" in failed.error
        assert await running.stop() == 0
        assert running.worker.left_behind == 0


@pytest.mark.parametrize("wish", [Snooze(3600, "caf\udce9"), Retry(0, "caf\udce9"), Discard("caf\udce9")])
async def test_text_that_is_no_unicode_ends_its_attempt_and_harms_no_other(at_work, one_queue, wish):
    """Names of files come so: the exchange that tells of one carries what other jobs have to say, too."""

    async def say(job):
        if job.payload.number:
            raise wish
        return "well"

    async with at_work(one_queue(say)) as running:
        expected = JobSnoozed if isinstance(wish, Snooze) else JobFailed
        odd, well = await running.enqueue(number=1), await running.enqueue()
        await running.until(expected, job_id=odd.id)
        assert await well.result(timeout=20) == "well"
        assert running.witness.of(WorkerDutyRestarted) == []
        told = running.witness.of(expected)[0]
        assert "caf\\udce9" in (told.reason if isinstance(told, JobSnoozed) else told.error)


async def test_exception_whose_text_cannot_be_made_is_still_an_error(at_work, one_queue):
    """Some libraries' errors raise when they are printed."""

    class OddError(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    async def odd(job):
        raise OddError

    async with at_work(one_queue(odd)) as running:
        failed = await running.failure(await running.enqueue())
        assert failed.error_type.endswith("OddError")
        assert "cannot be made" in failed.error


async def test_resource_that_cannot_be_made_is_said_before_any_job(one_queue, store_url):
    """And those that were made before it are left again."""
    order = []

    class First:
        @hookimpl
        def jobrunner_queues(self):
            return [one_queue()]

        @hookimpl
        @contextlib.asynccontextmanager
        async def jobrunner_resources(self):
            order.append("entered")
            yield object()
            order.append("left")

    class Second:
        @hookimpl
        @contextlib.asynccontextmanager
        async def jobrunner_resources(self):
            raise OSError("no such host")
            yield

    hooks = {"a-first": First(), "b-second": Second()}
    plugins = Plugins([from_object(one, Found(name=name, target=""), {}) for name, one in hooks.items()])
    settings = Settings()
    with open("/dev/null", "w") as stream:  # noqa: ASYNC230, PTH123 - a device, and nothing to wait for
        worker = Worker(
            plugins, parse_url(store_url), settings, {}, WorkerOptions(), Logs(settings, stream), listen=False
        )
        with pytest.raises(PluginError, match="plugin b-second: its resources: OSError: no such host"):
            await worker.run()
    assert order == ["entered", "left"]
