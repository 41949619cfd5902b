"""The producer factory: `client.publish.dispatch(...)` for a queue whose route is `publish/dispatch`.

Names are resolved when they are called, so a client needs no code of any plugin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from jobrunner.plugins import Plugins

H = TypeVar("H")

OPTIONS = ("delay", "at", "priority", "job_id", "tenant", "headers", "unique", "wait")
"""Arguments that belong to the enqueue; a payload field of the same name is given as a map instead."""


class Factory(Generic[H]):
    """The first word of a route.

    Args:
        plugins: Where routes are found.
        word: The word as it stands in Python, with `_` for `-`.
        enqueue: The client's own method.
    """

    def __init__(self, plugins: Plugins, word: str, enqueue: Callable[..., Awaitable[H] | H]) -> None:
        self._word = word.replace("_", "-")
        self._plugins = plugins
        self._enqueue = enqueue
        known = {route.split("/")[0] for route in plugins.routes}
        if self._word not in known:
            names = ", ".join(sorted(name.replace("-", "_") for name in known)) or "none"
            raise AttributeError(
                f"the client has no attribute {word!r}, and no installed plugin a route of that name ({names})"
            )

    def __getattr__(self, name: str) -> Callable[..., Awaitable[H] | H]:
        route = f"{self._word}/{name.replace('_', '-')}"
        queue = self._plugins.routes.get(route)
        if queue is None:
            known = ", ".join(
                one.split("/")[1].replace("-", "_")
                for one in sorted(self._plugins.routes)
                if one.startswith(f"{self._word}/")
            )
            raise AttributeError(f"no queue has the route {route} (here: {known})")
        own = set(queue.payload.__struct_fields__)

        def enqueue(**fields: object) -> Awaitable[H] | H:
            options = {name: fields.pop(name) for name in OPTIONS if name in fields and name not in own}
            return self._enqueue(queue.name, fields, **options)

        enqueue.__name__ = name
        enqueue.__doc__ = f"Enqueue a job of {queue.name}; takes the fields of {queue.payload.__name__}."
        return enqueue
