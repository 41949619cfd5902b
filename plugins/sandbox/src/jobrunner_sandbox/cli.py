"""`jobrunner sandbox`: serve stand-ins for every service that installed plugins name, or run a command with them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import TypeVar

import click

from jobrunner import JobrunnerError
from jobrunner.plugins import Plugin, load
from jobrunner.settings import core_settings
from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.server import HOST, SandboxServer

C = TypeVar("C", bound=Callable[..., object])


PROXIES = ("http_proxy", "all_proxy")
"""Variables, in either case, that send calls to http:// addresses through a proxy."""

FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)


class UnknownServiceError(JobrunnerError):
    """A plugin names a service that the sandbox does not stand in for."""


def behaviour_options(*, latency: float = 0.0, fail_rate: float = 0.0) -> Callable[[C], C]:
    """The options that say how the stand-ins behave.

    Args:
        latency: Seconds by default, 0 to 60.
        fail_rate: Share by default, 0 to 1.
    """
    options = [
        ("--latency", click.FloatRange(0, 60), latency, "Seconds before each answer."),
        ("--fail-rate", click.FloatRange(0, 1), fail_rate, "Share of calls that fail before any effect."),
        (
            "--lost-rate",
            click.FloatRange(0, 1),
            0.0,
            "Share of calls whose answer is lost after their effect.",
        ),
        (
            "--rate-limit-rate",
            click.FloatRange(0, 1),
            0.0,
            "Share of calls that are told to come back later.",
        ),
        ("--seed", click.INT, 1, "The same seed, the same fates."),
    ]

    def add(command: C) -> C:
        for name, kind, default, text in reversed(options):
            command = click.option(name, type=kind, default=default, show_default=True, help=text)(command)
        return command

    return add


def variables(services: dict[str, str], needed: dict[str, str]) -> dict[str, str]:
    """The environment variables that point plugins at the stand-ins.

    Args:
        services: What the sandbox serves: service -> address.
        needed: What plugins name: environment variable -> service.

    Raises:
        UnknownServiceError: A plugin names a service that is not served here.
    """
    for variable, service in needed.items():
        if service not in services:
            known = ", ".join(sorted(services))
            raise UnknownServiceError(
                f"{variable} names the service {service!r}, and the sandbox stands in for {known} only; "
                "name the plugins to try in JOBRUNNER_PLUGINS"
            )
    return {variable: services[service] for variable, service in needed.items()}


def needed_services(plugins: Iterable[Plugin]) -> dict[str, str]:
    """What plugins name: environment variable -> service."""
    return {variable: service for plugin in plugins for service, variable in plugin.services.items()}


def around_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """What keeps calls to the stand-ins from a proxy that an environment names; empty where it names none."""
    if not any(name.lower() in PROXIES and value for name, value in environ.items()):
        return {}
    exempt = ",".join(part for part in (environ.get("no_proxy") or environ.get("NO_PROXY"), HOST) if part)
    return {"NO_PROXY": exempt, "no_proxy": exempt}


@click.command(
    context_settings={"ignore_unknown_options": False},
    epilog="Examples:  jobrunner sandbox --fail-rate 0.1   |   jobrunner sandbox -- jobrunner run --plugin publish --burst",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="A free one by default.")
@behaviour_options()
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def sandbox(
    *,
    port: int,
    latency: float,
    fail_rate: float,
    lost_rate: float,
    rate_limit_rate: float,
    seed: int,
    command: tuple[str, ...],
) -> int:
    """Serve local stand-ins for the outside services of installed plugins.

    Prints NAME=value lines for the plugins' settings and serves until it is stopped. With a command behind -- it runs that
    command with those variables in its environment, and ends with its exit status.
    """
    behaviour = Behaviour(
        latency=latency, fail_rate=fail_rate, lost_rate=lost_rate, rate_limit_rate=rate_limit_rate, seed=seed
    )
    plugins = load(core_settings(os.environ).plugins, os.environ, strict=False)
    for failure in plugins.failures.values():
        click.echo(f"left out: {failure}", err=True)
    needed = needed_services(plugins)
    if not needed:
        click.echo("no installed plugin names a service", err=True)
    with _serving(behaviour, port) as server:
        found = variables(server.services(), needed) | around_proxy(os.environ)
        if command:
            return _run(command, found)
        stopped = _stop_asked()  # first: whoever reads the lines may stop us at once
        for name, value in found.items():
            click.echo(f"{name}={value}")
        click.echo(
            f"the sandbox serves at {server.url}; its ledger is {server.url}/_sandbox/ledger", err=True
        )
        while not stopped.wait(1.0):
            pass
    return 0


@contextlib.contextmanager
def _serving(behaviour: Behaviour, port: int) -> Iterator[SandboxServer]:
    with contextlib.ExitStack() as opened:
        try:
            server = opened.enter_context(SandboxServer.in_thread(behaviour, port=port))
        except OSError as error:
            raise click.ClickException(
                f"port {port} of {HOST} cannot be had ({error.strerror}); name another, or none for a free one"
            ) from None
        yield server


def _run(command: tuple[str, ...], found: dict[str, str]) -> int:
    """Run a command to its end, and hand it the signals that reach us and not it."""
    running: list[subprocess.Popen[bytes]] = []
    early: list[int] = []
    at_terminal = _has_terminal()

    def pass_on(number: int, _: FrameType | None) -> None:
        if at_terminal and number in FROM_TERMINAL:
            return  # the terminal has sent it to the command too, and a second Ctrl-C means something else to a worker
        if not running:
            early.append(number)
        elif running[0].poll() is None:
            running[0].send_signal(number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)  # first: we may be stopped as soon as the command is there
    try:
        running.append(subprocess.Popen(command, env=os.environ | found))  # noqa: S603 - the user's own command
    except OSError as error:
        raise click.ClickException(f"{command[0]}: {error.strerror}") from None
    for missed in early:
        running[0].send_signal(missed)
    status = running[0].wait()
    return status if status >= 0 else 128 - status


def _has_terminal() -> bool:
    """Whether we are in the foreground of a terminal, which sends Ctrl-C to everybody there."""
    with contextlib.suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False


def _stop_asked() -> threading.Event:
    """What is set by a signal to stop."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over
