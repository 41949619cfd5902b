"""`jobrunner run`: a worker, or several."""

from __future__ import annotations

import os

import click

from jobrunner.cli.errors import end_now
from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.cli.seconds import Seconds
from jobrunner.wording import counted


@click.command(
    epilog="Examples:  jobrunner run --plugin publish   |   jobrunner run --burst   |   jobrunner run --processes 4"
)
@click.option(
    "--plugin",
    "plugin_names",
    multiple=True,
    metavar="NAME",
    help="A plugin by name, .py file or module; all installed ones by default.",
)
@click.option(
    "--queue",
    "queue_names",
    multiple=True,
    metavar="NAME",
    help="Serve only this queue; may be given several times.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100_000),
    help="Jobs at once over all queues; each queue's own bound holds too.",
)
@click.option(
    "--processes", type=click.IntRange(1, 256), default=1, help="Worker processes under one supervisor."
)
@click.option(
    "--reload",
    "reloads",
    is_flag=True,
    help="For development: stop in order and start anew when a file of a plugin changes.",
)
@click.option("--burst", is_flag=True, help="End when nothing is left but jobs that are scheduled for later.")
@click.option(
    "--grace",
    type=Seconds(0, 86_400),
    help="Seconds that running jobs get at a stop; JOBRUNNER_GRACE, 25 by default.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "console", "ecs", "otel"]),
    help="JOBRUNNER_LOG_FORMAT; auto is console at a terminal, else json.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="JOBRUNNER_LOG_LEVEL; info by default.",
)
@click.option("--fail-on-failed", is_flag=True, help="With --burst: exit 1 if a job failed.")
@pass_scene
def run(
    scene: Scene,
    *,
    plugin_names: tuple[str, ...],
    queue_names: tuple[str, ...],
    concurrency: int | None,
    processes: int,
    reloads: bool,
    burst: bool,
    grace: float | None,
    log_format: str | None,
    log_level: str | None,
    fail_on_failed: bool,
) -> int:
    """Run a worker: take jobs, run their handlers, say what became of them.

    SIGTERM or Ctrl-C stop it in order: what runs gets its grace, what does not end goes back to its queue. A second Ctrl-C
    or SIGQUIT does not wait. SIGUSR1 lets it take no more jobs.
    """
    import msgspec

    settings = scene.settings
    settings = msgspec.structs.replace(
        settings, log_format=log_format or settings.log_format, log_level=log_level or settings.log_level
    )
    # What plugins do by themselves, such as a client of their own, is as this worker was told to be.
    os.environ.update(JOBRUNNER_LOG_FORMAT=settings.log_format, JOBRUNNER_LOG_LEVEL=settings.log_level)
    if plugin_names:
        os.environ["JOBRUNNER_PLUGINS"] = ",".join(plugin_names)
    seconds = settings.grace if grace is None else grace
    if reloads:
        if burst:
            raise click.UsageError("--burst ends by itself, and --reload never does: give one of them")
        from jobrunner.worker.reloader import Reloader

        return Reloader(plugin_names or settings.plugins, grace=seconds).run()
    if processes > 1:
        from jobrunner.worker.supervisor import Supervisor

        return Supervisor(processes, settings=settings, grace=seconds, burst=burst).run()

    from jobrunner.logs import Logs
    from jobrunner.worker.main_loop import serve
    from jobrunner.worker.worker import Worker, WorkerOptions

    names = plugin_names or settings.plugins
    index = scene.environ.get("JOBRUNNER_WORKER_INDEX", "")
    plugins = scene.plugins(plugin_names)
    if index in ("", "0"):  # one of several says it
        scene.warn(plugins)
    worker = Worker(
        plugins,
        scene.address,
        settings,
        scene.environ,
        WorkerOptions(
            queues=queue_names or None,
            concurrency=concurrency,
            burst=burst,
            grace=seconds,
            index=int(index) if index.isdecimal() else None,
            plugin_names=names,
        ),
        Logs(settings),
    )
    status = serve(worker)
    if index in ("", "0") and worker.burst is not None and worker.burst.scheduled:  # one of several says it
        click.echo(f"{counted(worker.burst.scheduled, 'job')} scheduled for later", err=True)
    failed = sum(consumer.totals.failed for consumer in worker.consumers)
    if burst and fail_on_failed and failed:
        click.echo(f"{counted(failed, 'job')} failed", err=True)
        status = status or 1
    if worker.left_behind:  # a handler that ignores everything would keep the interpreter from ending
        end_now(status)
    return status
