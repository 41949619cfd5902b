"""The six hooks of a plugin and what each promises.

A plugin implements any of them with `@hookimpl` and names only the arguments that it wants. Hooks are called
plugin by plugin, each with that plugin's own settings. None of them is ever called by a producer's hot path
but `jobrunner_enqueue`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
import pluggy

from jobrunner.events import Event
from jobrunner.queue import Queue

hookspec = pluggy.HookspecMarker("jobrunner")
hookimpl = pluggy.HookimplMarker("jobrunner")


@hookspec
def jobrunner_settings() -> type[msgspec.Struct]:  # type: ignore[empty-body]  # a specification
    """Return the Struct of the plugin's environment variables.

    A field `graph_url` is read from `JOBRUNNER_<PLUGIN>_GRAPH_URL`. Called once, when the plugin is loaded.
    """


@hookspec
def jobrunner_queues(settings: msgspec.Struct) -> Sequence[Queue]:  # type: ignore[empty-body]  # a specification
    """Return the queues that the plugin declares. Called once, when the plugin is loaded.

    Args:
        settings: The plugin's own settings, read from the environment.
    """


@hookspec
def jobrunner_resources(  # type: ignore[empty-body]  # a specification
    settings: msgspec.Struct,
    is_child: bool,  # noqa: FBT001 - hooks are called by name
) -> AbstractAsyncContextManager[object]:
    """Return an async context manager that is entered once a worker, before the worker reaches its store.

    So what it raises about a wrong setting is told first, whether or not the store is up.
    What it yields, an object or a list of objects, handlers get by type: `job.resource(httpx.AsyncClient)`.
    It is left when the last job has ended. A process executor's children enter one of their own. What only a job
    needs and is large goes into a `Late`, which is opened by the first job that asks.

    Args:
        settings: The plugin's own settings, read from the environment.
        is_child: Whether it is a process executor's child, which runs handlers and nothing else: what a worker needs
            once, such as a listener, has no place there.
    """


@hookspec
def jobrunner_wrap_handler(queue: Queue, handler: Callable[..., object]) -> Callable[..., object] | None:
    """Return a handler to use in place of `handler`, or None to leave it. Called once a queue, at start.

    Plugins wrap in the order of their names, so the last one is outermost. An `async def` handler must be
    replaced by one, a plain `def` by a plain one.
    """


@hookspec
def jobrunner_event(event: Event) -> None:
    """Take note of something that happened, after it is stored.

    Synchronous, on the event loop's thread, without I/O. What it raises is logged and changes nothing. The
    annotation of `event` chooses: `event: JobFailed | JobBuried` is told of those two only.
    """


@hookspec
def jobrunner_enqueue(queue: str, headers: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return headers to add to a job that is about to be enqueued, such as a trace, or None.

    Args:
        queue: The queue's name.
        headers: Those that it has so far.
    """
