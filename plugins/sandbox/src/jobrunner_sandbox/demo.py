"""`jobrunner demo`: a month of posts for two companies, from the first word to the figures, and the proof of it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import click
import msgspec

from jobrunner.admin import Admin
from jobrunner.client import Client
from jobrunner.discovery import installed
from jobrunner.errors import JobrunnerError
from jobrunner.plugins import load
from jobrunner.store.address import from_environment
from jobrunner.store.connect import open_store
from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.cast import cast
from jobrunner_sandbox.cli import behaviour_options
from jobrunner_sandbox.evidence import Evidence
from jobrunner_sandbox.interruption import Interruption, InterruptionError
from jobrunner_sandbox.onlookers import DISTRIBUTION, onlookers
from jobrunner_sandbox.parts import choose
from jobrunner_sandbox.screen import Screen, headline, sight_of
from jobrunner_sandbox.stage import Stage, stage, where
from jobrunner_sandbox.story import LOOK_S, Story
from jobrunner_sandbox.summary import Summary, sum_up, verdict
from jobrunner_sandbox.watch import Watch

STILL_S = 60.0
"""Seconds without the end of a job after which the demo gives up: something is wrong that it should not hide."""

STILL_CALLS = 20
"""Slow calls that a job may need; as many latencies are added to those seconds."""

MOST_POSTS = 900
"""With the small company's tenth a queue has less than the 1,000 jobs that are kept when they have ended."""


@click.command(
    epilog="Examples:  jobrunner demo   |   jobrunner demo --fail-rate 0.2   |   jobrunner demo --jobs 20 --keep"
)
@click.option(
    "--jobs",
    "posts",
    type=click.IntRange(1, MOST_POSTS),
    default=60,
    show_default=True,
    help="Posts of the large company; the small one has a tenth.",
)
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Worker processes.")
@behaviour_options(latency=0.01, fail_rate=0.05)
@click.option("--keep", is_flag=True, help="Leave posts, images, mails, store and log, and say where.")
@click.option(
    "--serve",
    is_flag=True,
    help="Show it all in the dashboard, and stay until Ctrl-C; its exit status is the story's.",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=3000, show_default=True, help="The dashboard's."
)
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
def demo(
    *,
    posts: int,
    workers: int,
    latency: float,
    fail_rate: float,
    lost_rate: float,
    rate_limit_rate: float,
    seed: int,
    keep: bool,
    serve: bool,
    port: int,
    as_json: bool,
) -> int:
    """Tell a month of two companies, and show that everything arrives exactly once.

    Posts are written, some of them once more, illustrated, approved by mail and WhatsApp, published on five platforms and
    counted; customers get a message. Starts a Valkey in a temporary folder, stand-ins for all outside services, and a worker; nothing of it is left
    behind. Some calls fail, so that retries can be seen; the demo brings their waits forward, and retries by hand what has
    used up its attempts. It exits 0 only if everything arrived exactly once; with lost answers switched on, what nobody
    knows of is listed instead.
    """
    if serve and find_spec("jobrunner_http") is None:
        raise click.UsageError(f"--serve needs the dashboard: pip install {DISTRIBUTION}")
    parts = choose({found.name for found in installed()})
    behaviour = Behaviour(
        latency=latency,
        fail_rate=fail_rate,
        lost_rate=lost_rate,
        rate_limit_rate=rate_limit_rate,
        seed=seed,
        publish_delay=0.3,
    )
    companies = cast(posts)
    screen = Screen(quiet=as_json)
    screen.say(headline(companies))
    for line in parts.left_out:
        screen.say(line)
    kept = Path(tempfile.mkdtemp(prefix="jobrunner-demo-")) if keep else None
    try:
        with (
            Interruption() as interruption,
            stage(behaviour, processes=workers, companies=companies, parts=parts, keep=kept) as here,
            contextlib.ExitStack() as seats,
        ):
            if serve:
                click.echo(f"dashboard: {seats.enter_context(onlookers(here, port))}", err=True)
            with screen:
                summary = interruption.run(play(here, screen))
            if serve:
                _tell(summary, screen, as_json=as_json)
                click.echo("the dashboard stays until Ctrl-C", err=True)
                with contextlib.suppress(InterruptionError):
                    interruption.run(asyncio.Event().wait())
    except InterruptionError as error:
        click.echo(f"stopped by {error}", err=True)
        return 128 + error.number
    finally:
        for line in where(kept, parts) if kept else ():
            click.echo(line, err=True)
    if not serve:
        _tell(summary, screen, as_json=as_json)
    return 0 if summary.holds else 1


def _tell(summary: Summary, screen: Screen, *, as_json: bool) -> None:
    """Say how the story ended."""
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
    else:
        screen.conclude(summary, verdict(summary))


async def play(here: Stage, screen: Screen) -> Summary:
    """Tell the story on a stage, show how it goes, and say what happened.

    Raises:
        JobrunnerError: The worker ended, or nothing has moved for a minute.
    """
    plugins = load(here.parts.plugins, here.environ)
    store = open_store(from_environment(here.environ))
    watch, client = Watch(Admin(store, plugins)), Client(store, plugins)
    story = Story(
        client=client,
        watch=watch,
        companies=here.companies,
        parts=here.parts,
        folder=here.folder,
        approvers=here.approvers,
    )
    begun = time.monotonic()
    telling = asyncio.create_task(story.play())
    try:
        await _follow(telling, here=here, watch=watch, story=story, screen=screen, begun=begun)
        seconds = time.monotonic() - begun
    finally:
        telling.cancel()
        with contextlib.suppress(BaseException):
            await telling
        await client.close()
    ledger = here.server.ledger
    evidence = Evidence(
        asked=story.asked,
        ended=watch.ended_jobs,
        ledger=ledger,
        mails=here.server.mails,
        folder=here.folder,
        excusing=bool(here.server.behaviour.lost_rate),
    )
    return sum_up(
        ended=watch.ended_jobs,
        queues=here.parts.queues,
        seconds=seconds,
        through=story.through,
        companies=here.companies,
        posts={name: count for name, count in ledger.counts().items() if name not in ("mail", "whatsapp")},
        proof=evidence.findings(here.parts, here.companies),
    )


async def _follow(
    telling: asyncio.Task[None], *, here: Stage, watch: Watch, story: Story, screen: Screen, begun: float
) -> None:
    """Look again and again until the story has ended."""
    still_s = STILL_S + STILL_CALLS * here.server.behaviour.latency
    moved, before = begun, (-1, -1)
    while not telling.done():
        here.check()
        await watch.look()
        now = time.monotonic()
        screen.show(sight_of(story, watch, here, seconds=now - begun))
        state = (len(watch.ended_jobs), sum(story.done.values()))
        if state != before:
            moved, before = now, state
        elif now - moved > still_s:
            raise JobrunnerError(
                f"nothing has ended for {still_s:.0f} s, and {story.jobs - len(watch.ended_jobs)} jobs are left; "
                f"the worker said last: {here.last_line()}"
            )
        await asyncio.wait({telling}, timeout=LOOK_S)
    screen.show(sight_of(story, watch, here, seconds=time.monotonic() - begun, over=True))
    try:
        await telling
    except ExceptionGroup as errors:
        raise _first(errors) from errors


def _first(error: Exception) -> Exception:
    """The first of some errors: one of them ends everything, and the others come of that."""
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error
