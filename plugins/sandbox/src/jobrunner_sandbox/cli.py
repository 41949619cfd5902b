"""`jobrunner sandbox`: serve stand-ins for every service that installed plugins name, or run a command with them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

import click

from jobrunner import JobrunnerError
from jobrunner.plugins import load
from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.server import SandboxServer

C = TypeVar("C", bound=Callable[..., object])


class UnknownServiceError(JobrunnerError):
    """A plugin names a service that the sandbox does not stand in for."""


def behaviour_options(command: C) -> C:
    """The options that say how the stand-ins behave."""
    share = click.FloatRange(0, 1)
    options = [
        click.option(
            "--latency", type=click.FloatRange(0, 60), default=0.0, help="Seconds before each answer."
        ),
        click.option(
            "--fail-rate",
            type=share,
            default=0.0,
            help="Share of calls that fail before they have an effect.",
        ),
        click.option(
            "--lost-rate",
            type=share,
            default=0.0,
            help="Share of calls whose answer is lost after their effect.",
        ),
        click.option(
            "--rate-limit-rate",
            type=share,
            default=0.0,
            help="Share of calls that are told to come back later.",
        ),
        click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same fates."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


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
                f"{variable} names the service {service!r}, and the sandbox stands in for {known} only"
            )
    return {variable: services[service] for variable, service in needed.items()}


def needed_services() -> dict[str, str]:
    """What the installed plugins name: environment variable -> service."""
    plugins = load(None, os.environ, strict=False)
    return {variable: service for plugin in plugins for service, variable in plugin.services.items()}


@click.command(
    context_settings={"ignore_unknown_options": False},
    epilog="Examples:  jobrunner sandbox --fail-rate 0.1   |   jobrunner sandbox -- jobrunner run --plugin publish --burst",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="A free one by default.")
@behaviour_options
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
    with SandboxServer.in_thread(behaviour, port=port) as server:
        found = variables(server.services(), needed_services())
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


def _run(command: tuple[str, ...], found: dict[str, str]) -> int:
    """Run a command to its end, and hand it the signals that reach us."""
    try:
        process = subprocess.Popen(command, env=os.environ | found)  # noqa: S603 - the user's own command
    except OSError as error:
        raise click.ClickException(f"{command[0]}: {error.strerror}") from None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(
            number, lambda signum, _: process.send_signal(signum) if process.poll() is None else None
        )
    status = process.wait()
    return status if status >= 0 else 128 - status


def _stop_asked() -> threading.Event:
    """What is set by a signal to stop."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over
