"""Declaring queues and loading plugins: every mistake is found where it was made, and blamed on who made it."""

import functools
import sys
import threading
from datetime import datetime
from typing import Annotated

import msgspec
import pytest

from jobrunner import Job, Queue, RetryPolicy, SyncJob, hookimpl
from jobrunner.declaration import payload_schema
from jobrunner.discovery import Found, find, installed
from jobrunner.errors import PluginError, UnknownQueueError
from jobrunner.plugins import Plugins, from_object, load, queue_concurrency
from jobrunner.settings import core_settings


class Letter(msgspec.Struct, rename="camel"):
    tenant_id: str
    due_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    written_at: datetime | None = None


async def send(job: Job[Letter]) -> None: ...


def stamp(job: SyncJob[Letter]) -> None: ...


def plugin(name="post", **hooks):
    module = type("Module", (), {hook: staticmethod(hookimpl(function)) for hook, function in hooks.items()})
    return from_object(
        module, Found(name=name, target="here", distribution=f"dist-{name}", version="1.2"), {}
    )


def test_declaration_has_the_documented_defaults():
    """What people do not say, they still get."""
    queue = Queue("letter.send", Letter, send)
    assert (queue.timeout, queue.lease, queue.max_crashes, queue.idempotency) == (3600, 30, 3, 86_400)
    assert queue.retry == RetryPolicy(max_attempts=8, base=10, factor=3, cap=3600)
    assert (queue.keep_completed.jobs, queue.keep_completed.age, queue.keep_completed.size) == (
        1000,
        86_400,
        16 << 20,
    )
    assert (queue.keep_failed.jobs, queue.keep_failed.age, queue.keep_failed.size) == (
        10_000,
        30 * 86_400,
        256 << 20,
    )
    assert (queue.executor, queue.tenant_field, queue.max_payload, queue.max_result) == (
        "async",
        "tenant_id",
        256 << 10,
        256 << 10,
    )
    assert Queue("letter.stamp", Letter, stamp).executor == "thread"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"priority": 101}, "priority is 0 to 100"),
        ({"priority": True}, "priority is 0 to 100"),
        ({"concurrency": 0}, "concurrency is 1 to"),
        ({"timeout": 0}, "timeout is"),
        ({"lease": 0.1}, "lease is 0.5"),
        ({"route": "letters"}, "two words"),
        ({"route": "a/b/c"}, "two words"),
        ({"tenant_field": "tenant"}, "not a field of Letter"),
        ({"schedule_field": "nope"}, "not a field of Letter"),
        ({"schedule_field": "written_at"}, "tz=True"),
        ({"schedule_field": "tenant_id"}, "tz=True"),
        ({"executor": "thread"}, "plain `def`"),
        ({"version": 2, "upgrades": {2: dict}}, "is none to 2"),
    ],
)
def test_wrong_declaration_names_the_queue_and_the_argument(more, said):
    """At import, in the plugin's own test run, not at night."""
    with pytest.raises(ValueError, match=r"queue letter\.send: ") as caught:
        Queue("letter.send", Letter, send, **more)
    assert said in str(caught.value)


def test_payload_must_be_a_struct_and_the_handler_callable():
    """A dataclass would lose the checks."""
    with pytest.raises(ValueError, match=r"not a msgspec\.Struct"):
        Queue("letter.send", dict, send)
    with pytest.raises(ValueError, match="cannot be called"):
        Queue("letter.send", Letter, "send")
    with pytest.raises(ValueError, match="async def"):
        Queue("letter.send", Letter, stamp, executor="async")


@pytest.mark.parametrize("bad", [{"max_attempts": 0}, {"base": -1}, {"cap": 1}, {"factor": 0.5}])
def test_retry_policy_is_checked(bad):
    """A negative wait would be a hot loop."""
    with pytest.raises(ValueError, match="RetryPolicy"):
        RetryPolicy(**bad)


def test_hooks_get_the_arguments_that_they_name_and_their_own_settings():
    """A plugin never sees another's settings."""

    class Own(msgspec.Struct):
        size: int = 4

    def queues(settings):
        return [Queue("letter.send", Letter, send, priority=settings.size)]

    made = plugin(jobrunner_settings=lambda: Own, jobrunner_queues=queues)
    assert made.queues["letter.send"].priority == 4


def test_two_plugins_of_one_queue_are_both_named_with_their_versions():
    """Which of two distributions to uninstall is the question."""
    one = plugin("one", jobrunner_queues=lambda: [Queue("letter.send", Letter, send)])
    two = plugin("two", jobrunner_queues=lambda: [Queue("letter.send", Letter, send)])
    with pytest.raises(PluginError, match=r"dist-one 1\.2.*dist-two 1\.2"):
        Plugins([one, two])


def test_route_must_be_free_and_shadow_nothing():
    """`client.close(...)` must stay what it is."""
    close = plugin(jobrunner_queues=lambda: [Queue("letter.send", Letter, send, route="close/now")])
    with pytest.raises(PluginError, match="shadows"):
        Plugins([close])
    twice = [Queue("a", Letter, send, route="letter/send"), Queue("b", Letter, send, route="letter/send")]
    with pytest.raises(PluginError, match="is that of the queue a"):
        Plugins([plugin(jobrunner_queues=lambda: twice)])


def test_wrapper_must_keep_the_kind_of_the_handler():
    """An `async def` that becomes a plain function would never be awaited."""
    queue = Queue("letter.send", Letter, send)
    good = plugin("b-outer", jobrunner_wrap_handler=_wrapped)
    inner = plugin("a-inner", jobrunner_queues=lambda: [queue])
    assert Plugins([inner, good]).wrapped_handler(queue).__name__ == "wrapped"
    bad = plugin("bad", jobrunner_wrap_handler=lambda: stamp)
    with pytest.raises(PluginError, match="must return an `async def`"):
        Plugins([bad]).wrapped_handler(queue)


def _wrapped(handler):
    async def wrapped(job):
        return await handler(job)

    return wrapped


def test_concurrency_comes_from_its_variable_then_the_queue_then_the_common_one():
    """The order in which operators expect it."""
    queue = Queue("a", Letter, send, concurrency=2, concurrency_env="LETTER_WORKERS")
    settings = core_settings({"QUEUE_CONCURRENCY": "9"})
    assert queue_concurrency(queue, settings, {"LETTER_WORKERS": "4"}) == 4
    assert queue_concurrency(queue, settings, {}) == 2
    assert queue_concurrency(Queue("b", Letter, send), settings, {}) == 9


def test_two_distributions_of_one_plugin_name_are_named(tmp_path, monkeypatch):
    """The standard loader would silently take one of them."""
    for dist, version in (("alpha", "1.0"), ("beta", "2.0")):
        folder = tmp_path / f"{dist}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(f"[jobrunner]\ntwin = {dist}.plugin\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(PluginError, match=r"alpha 1\.0 and beta 2\.0"):
        installed()


def test_file_plugin_keeps_its_name_and_what_it_raises_is_told(tmp_path):
    """For trying things out."""
    path = tmp_path / "my_queue.py"
    path.write_text("1 / 0\n")
    assert find(str(path)).name == "my-queue"
    with pytest.raises(PluginError, match="plugin my-queue cannot be imported: ZeroDivisionError"):
        load([str(path)], {})
    with pytest.raises(PluginError, match="no such file"):
        find(str(tmp_path / "none.py"))


def test_unknown_queue_lists_those_that_are_known():
    """A typo is seen at once."""
    made = Plugins([plugin(jobrunner_queues=lambda: [Queue("letter.send", Letter, send)])])
    with pytest.raises(UnknownQueueError, match=r"letter\.send"):
        made.queue("letter.sent")


def test_object_with_an_async_call_is_a_coroutine_handler():
    """Handlers with state are often objects; in a thread theirs would never be awaited."""

    class Sender:
        async def __call__(self, job):
            return job

    class Stamper:
        def __call__(self, job):
            return job

    assert Queue("letter.send", Letter, Sender()).executor == "async"
    assert Queue("letter.send", Letter, functools.partial(send)).executor == "async"
    assert Queue("letter.send", Letter, Stamper()).executor == "thread"


def test_generator_is_no_handler():
    """It would return at once, having done nothing."""

    async def one_by_one(job):
        yield job

    def in_a_thread(job):
        yield job

    for handler in (one_by_one, in_a_thread):
        with pytest.raises(ValueError, match=r"queue letter\.send: the handler is a generator"):
            Queue("letter.send", Letter, handler)


def test_payload_may_hold_any_json_and_nothing_that_is_none():
    """`object` is any value; a class that JSON cannot say is found at import, and not at the first job."""

    class Open(msgspec.Struct):
        anything: object
        more: dict[str, object] = {}

    class Closed(msgspec.Struct):
        thread: threading.Thread

    queue = Queue("letter.send", Open, send)
    assert payload_schema(queue)["$defs"]["Open"]["required"] == ["anything"]
    with pytest.raises(ValueError, match=r"queue letter\.send: Closed cannot be a payload: .*Thread"):
        Queue("letter.send", Closed, send)
