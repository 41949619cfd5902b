"""The plugins of a process: loaded, checked, and asked one by one.

Every mistake that can be seen without running a job is found here and blamed on its distribution: a misspelt
hook, an argument with a default, a queue that two plugins declare. Nothing here is global: a set is made and
handed down.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import pluggy

from jobrunner import hookspecs
from jobrunner.discovery import Found, find, installed, load_module
from jobrunner.errors import (
    InvalidNameError,
    JobrunnerError,
    PayloadError,
    PluginError,
    SettingsError,
    UnknownQueueError,
)
from jobrunner.masking import hide_in_repr
from jobrunner.names import check_plugin
from jobrunner.queue import Queue, is_async
from jobrunner.sealing import Keyring
from jobrunner.settings import (
    Settings,
    concurrency_from,
    core_settings,
    plugin_settings,
    service_variables,
    setting_secrets,
)

PREFIX = "jobrunner_"

RESERVED_ROUTES = frozenset(
    {
        *("close", "draft", "enqueue", "enqueue-many", "enqueue-with", "from-env", "handle", "learn"),
        *("plugins", "result", "send-batch", "send-drafts", "store"),
    }
)
"""First words of a route that would shadow a client's own attributes."""


class NoSettings(msgspec.Struct, frozen=True):
    """The settings of a plugin that declares none."""


class Plugin:
    """One loaded plugin.

    Attributes:
        found: Where it came from.
        settings: Its settings, read from the environment.
        queues: What it declares, by name.
    """

    def __init__(
        self, found: Found, hooks: dict[str, Callable[..., object]], environ: Mapping[str, str]
    ) -> None:
        self.found = found
        self._hooks = hooks
        self.settings_type = self._settings_type()
        self.settings = plugin_settings(found.name, self.settings_type, environ)
        self.queues = self._queues()

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.found.name

    @property
    def services(self) -> dict[str, str]:
        """The outside services that its settings name: service -> environment variable."""
        return service_variables(self.name, self.settings_type)

    @property
    def hooks(self) -> list[str]:
        """The hooks that it implements."""
        return sorted(self._hooks)

    def hook(self, name: str) -> Callable[..., object] | None:
        """Its implementation of a hook."""
        return self._hooks.get(name)

    def call(self, name: str, **available: object) -> object:
        """Call its implementation of a hook with the arguments that it names; None where it has none.

        Raises:
            PluginError: Whatever it raised.
        """
        function = self._hooks.get(name)
        if function is None:
            return None
        wanted = {key: available[key] for key in _arguments(function)}
        try:
            return function(**wanted)
        except (PluginError, SettingsError, PayloadError):
            raise
        except Exception as error:
            raise PluginError(f"{self.found.blame}: {name} raised {type(error).__name__}: {error}") from error

    def _settings_type(self) -> type[msgspec.Struct]:
        kind = self.call("jobrunner_settings")
        if kind is None:
            return NoSettings
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise PluginError(
                f"{self.found.blame}: jobrunner_settings must return a msgspec.Struct type, not {kind!r}"
            )
        hide_in_repr(kind)
        return kind

    def _queues(self) -> dict[str, Queue]:
        answer = self.call("jobrunner_queues", settings=self.settings)
        if answer is None:
            if "jobrunner_queues" in self._hooks:
                raise PluginError(
                    f"{self.found.blame}: jobrunner_queues returned None; it must return a list of queues"
                )
            return {}
        try:
            queues = list(answer)  # type: ignore[call-overload]  # checked right here; a generator raises now, not later
        except Exception as error:
            raise PluginError(
                f"{self.found.blame}: jobrunner_queues raised {type(error).__name__}: {error}"
            ) from error
        for queue in queues:
            if not isinstance(queue, Queue):
                raise PluginError(
                    f"{self.found.blame}: jobrunner_queues must return Queue objects, not {queue!r}"
                )
        names = [queue.name for queue in queues]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise PluginError(f"{self.found.blame}: the queue {twice} is declared twice")
        return dict(zip(names, queues, strict=True))


class Plugins:
    """A set of loaded plugins, in the order of their names.

    Args:
        plugins: The plugins.
        failures: Those that could not be loaded.
        keyring: What the payloads of queues with secret fields are sealed with.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin],
        failures: Mapping[str, JobrunnerError] | None = None,
        *,
        keyring: Keyring | None = None,
    ) -> None:
        self.keyring = keyring or Keyring()
        self._plugins = sorted(plugins, key=lambda plugin: plugin.name)
        self.failures = dict(failures or {})
        self._owners = self._check_queues()
        self._routes = self._check_routes()

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)

    @property
    def left_out(self) -> str:
        """Those that could not be loaded and why, to follow in a message on what is not here; empty if there is none."""
        told = [f"{name}, since {' '.join(str(error).split())}" for name, error in self.failures.items()]
        return f"; left out: {'; '.join(told)}" if told else ""

    @property
    def queues(self) -> dict[str, Queue]:
        """Every queue by name, in the order of the names."""
        return {name: owner.queues[name] for name, owner in sorted(self._owners.items())}

    @property
    def routes(self) -> dict[str, Queue]:
        """The queues that have a route, by route."""
        return dict(self._routes)

    def queue(self, name: str) -> Queue:
        """The queue of that name.

        Raises:
            UnknownQueueError: No plugin of this set declares it.
        """
        owner = self._owners.get(name)
        if owner is None:
            known = ", ".join(sorted(self._owners)) or "none"
            raise UnknownQueueError(
                f"no installed plugin declares the queue {name!r} (known: {known}{self.left_out})"
            )
        return owner.queues[name]

    def owner(self, queue: str) -> Plugin | None:
        """The plugin that declares a queue."""
        return self._owners.get(queue)

    def secrets(self, queue: str) -> list[str]:
        """The secret texts of the settings of the plugin that declares a queue, longest first."""
        owner = self.owner(queue)
        return setting_secrets(owner.settings) if owner else []

    def implementing(self, hook: str) -> list[tuple[Plugin, Callable[..., object]]]:
        """Every plugin with its implementation of a hook, in the order of the plugins' names."""
        return [(plugin, function) for plugin in self._plugins if (function := plugin.hook(hook))]

    def wrapped_handler(self, queue: Queue) -> Callable[..., object]:
        """A queue's handler inside every plugin's wrapper.

        Raises:
            PluginError: A wrapper raised, or turned an `async def` into a plain function or the other way round.
        """
        handler = queue.handler
        for plugin, _ in self.implementing("jobrunner_wrap_handler"):
            wrapped = plugin.call("jobrunner_wrap_handler", queue=queue, handler=handler)
            if wrapped is None:
                continue
            if not callable(wrapped) or is_async(wrapped) != queue.is_async:
                kind = "an `async def`" if queue.is_async else "a plain `def`"
                raise PluginError(
                    f"{plugin.found.blame}: jobrunner_wrap_handler must return {kind} for {queue.name}"
                )
            handler = wrapped
        return handler

    def _check_queues(self) -> dict[str, Plugin]:
        owners: dict[str, Plugin] = {}
        for plugin in self._plugins:
            for name in plugin.queues:
                if name in owners:
                    raise PluginError(
                        f"the queue {name} is declared by {owners[name].found.blame} and by {plugin.found.blame}; "
                        "load only one of them"
                    )
                owners[name] = plugin
        return owners

    def _check_routes(self) -> dict[str, Queue]:
        routes: dict[str, Queue] = {}
        for name, owner in self._owners.items():
            queue = owner.queues[name]
            if queue.route is None:
                continue
            if queue.route.split("/")[0] in RESERVED_ROUTES:
                raise PluginError(
                    f"{owner.found.blame}: the route {queue.route} shadows an attribute of the client"
                )
            if queue.route in routes:
                raise PluginError(
                    f"{owner.found.blame}: the route {queue.route} is that of the queue {routes[queue.route].name}"
                )
            routes[queue.route] = queue
        return routes


def load(names: Sequence[str] | None, environ: Mapping[str, str], *, strict: bool = True) -> Plugins:
    """Load plugins.

    Args:
        names: Entry-point names, `.py` files or module paths; None for all that are installed.
        environ: The environment that settings are read from.
        strict: Whether the first failure is raised; else it is kept in `Plugins.failures`.

    Raises:
        PluginError: A plugin cannot be found, imported or used.
        SettingsError: One of its variables has a value that cannot be used.
    """
    keyring = Keyring(core_settings(environ).encryption_keys)
    plugins: dict[str, Plugin] = {}
    failures: dict[str, JobrunnerError] = {}
    for name, found in (
        [(name, None) for name in dict.fromkeys(names)]
        if names is not None
        else [(found.name, found) for found in installed()]
    ):
        try:
            one = found or find(name)
            if one.name in plugins:
                raise PluginError(f"two of the plugins asked for are named {one.name!r}; rename one")
            plugin = from_object(load_module(one), one, environ)
            if not strict:
                Plugins(
                    [*plugins.values(), plugin]
                )  # one at odds with those before it is the one that failed
        except (PluginError, SettingsError) as error:
            if strict:
                raise
            failures[name] = error
        else:
            plugins[one.name] = plugin
    return Plugins(plugins.values(), failures, keyring=keyring)


def from_object(module: object, found: Found, environ: Mapping[str, str]) -> Plugin:
    """Make a plugin of a module or any object with hook implementations.

    Raises:
        PluginError: A hook is misspelt, not marked, or takes what hooks cannot be given.
    """
    try:
        check_plugin(found.name)
    except InvalidNameError as error:
        raise PluginError(f"{found.blame}: {error}") from None
    return Plugin(found, _implementations(module, found), environ)


def _implementations(module: object, found: Found) -> dict[str, Callable[..., object]]:
    manager = pluggy.PluginManager("jobrunner")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=found.name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PluginError(f"{found.blame}: {_in_one_line(error)}{_suggestion(module)}") from None
    hooks: dict[str, Callable[..., object]] = {}
    for caller in manager.get_hookcallers(module) or ():
        for impl in caller.get_hookimpls():
            if impl.kwargnames:
                arguments = ", ".join(impl.kwargnames)
                raise PluginError(
                    f"{found.blame}: {caller.name}: the argument {arguments} must not have a default"
                )
            if impl.wrapper or impl.hookwrapper:
                raise PluginError(f"{found.blame}: {caller.name}: hook wrappers are not used here")
            if inspect.isasyncgenfunction(impl.function):
                raise PluginError(f"{found.blame}: {caller.name} needs @asynccontextmanager under @hookimpl")
            if inspect.iscoroutinefunction(impl.function):
                raise PluginError(f"{found.blame}: {caller.name} must be a plain `def`: nobody awaits a hook")
            hooks[caller.name] = impl.function
    for name in dir(module):
        if name.startswith(PREFIX) and name not in hooks and inspect.isfunction(getattr(module, name, None)):
            raise PluginError(f"{found.blame}: {name} has no @hookimpl; add it, or rename the function")
    if not hooks:
        raise PluginError(f"{found.blame}: it implements no hook; mark its functions with @hookimpl")
    return hooks


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _suggestion(module: object) -> str:
    known = sorted(name for name in vars(hookspecs) if name.startswith(PREFIX))
    wrong = [name for name in dir(module) if name.startswith(PREFIX) and name not in known]
    return f" (in {', '.join(wrong)}; the hooks are {', '.join(known)})" if wrong else ""


def _arguments(function: Callable[..., object]) -> list[str]:
    return list(inspect.signature(function).parameters)


def queue_concurrency(queue: Queue, settings: Settings, environ: Mapping[str, str]) -> int:
    """A queue's concurrency in a worker: its own variable, else what it declares, else `QUEUE_CONCURRENCY`.

    Raises:
        SettingsError: The variable holds no usable number.
    """
    own = concurrency_from(queue.concurrency_env, environ) if queue.concurrency_env else None
    return own or queue.concurrency or settings.concurrency
