"""`jobrunner demo`: posts of four small companies, published to five stand-in platforms, and counted."""

from __future__ import annotations

import asyncio
import importlib.resources
import shlex
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from jobrunner.admin import Admin
from jobrunner.client import Client
from jobrunner.errors import JobrunnerError
from jobrunner.model import State
from jobrunner.plugins import load
from jobrunner.store import looks
from jobrunner.store.address import from_environment
from jobrunner.store.connect import open_store
from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.cli import behaviour_options
from jobrunner_sandbox.interruption import Interruption, InterruptionError
from jobrunner_sandbox.proof import Proof, prove
from jobrunner_sandbox.screen import Screen, Sight
from jobrunner_sandbox.stage import QUEUE, Stage, stage, store_url

LOOK_S = 0.2
DUE_MS = 500
"""Milliseconds after its time in which a scheduled post is left to start by itself."""

BY_HAND = 20
"""Times that the demo retries one job by hand."""

STILL_S = 60.0
"""Seconds without a post or the end of a job after which the demo gives up: something is wrong that it should not hide."""

STILL_CALLS = 20
"""Slow calls that a post may need; as many latencies are added to those seconds."""

MOST_JOBS = 1000
"""As many as are kept when they have ended: each is looked at in the end."""

AHEAD_EVERY = 12
AHEAD_S = (3.0, 6.0)
"""Every twelfth post is scheduled so many seconds ahead, the first of them the least."""


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened."""

    jobs: int
    completed: int
    failed: int
    attempts: int
    retries: int
    seconds: float
    jobs_per_second: float
    posts: dict[str, int]
    proof: Proof


@click.command(
    epilog="Examples:  jobrunner demo   |   jobrunner demo --fail-rate 0.3   |   jobrunner demo --lost-rate 0.1 --json"
)
@click.option(
    "--jobs", type=click.IntRange(1, MOST_JOBS), default=60, show_default=True, help="Posts to publish."
)
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Worker processes.")
@behaviour_options(latency=0.01, fail_rate=0.1)
@click.option("--keep", is_flag=True, help="Leave the store and the worker's log, and say where.")
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
def demo(
    *,
    jobs: int,
    workers: int,
    latency: float,
    fail_rate: float,
    lost_rate: float,
    rate_limit_rate: float,
    seed: int,
    keep: bool,
    as_json: bool,
) -> int:
    """Publish sample posts to stand-in platforms, and show that each arrives exactly once.

    Starts a Valkey in a temporary folder, stand-ins for five platforms, and a worker; nothing of it is left behind. Some
    calls fail, so that retries can be seen; the demo brings their waits forward, and retries by hand what has used up its
    attempts. Some posts are scheduled a few seconds ahead. It exits 0 only if every post arrived exactly once; with lost
    answers switched on, those of which nobody knows are listed instead.
    """
    behaviour = Behaviour(
        latency=latency,
        fail_rate=fail_rate,
        lost_rate=lost_rate,
        rate_limit_rate=rate_limit_rate,
        seed=seed,
        publish_delay=0.3,
    )
    payloads = sample(jobs)
    screen = Screen(quiet=as_json)
    accounts = sum(len(platforms) for one in payloads if isinstance(platforms := one["platforms"], list))
    screen.say(f"{jobs} posts for {accounts} accounts on five platforms")
    kept = Path(tempfile.mkdtemp(prefix="jobrunner-demo-")) if keep else None
    try:
        with Interruption() as interruption, stage(behaviour, processes=workers, keep=kept) as here, screen:
            summary = interruption.run(play(here, payloads, screen))
    except InterruptionError as error:
        click.echo(f"stopped by {error}", err=True)
        return 128 + error.number
    finally:
        if kept:
            address = shlex.quote(store_url(kept))
            click.echo(f"kept: {kept}; REDIS_URL={address} jobrunner jobs list {QUEUE}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
    else:
        screen.conclude(summary.posts, *describe(summary))
    return 0 if summary.proof.holds else 1


def sample(number: int) -> list[dict[str, object]]:
    """The packaged posts, as many as are wanted: over again with names of their own beyond the first sixty."""
    text = (importlib.resources.files("jobrunner_sandbox") / "sample.jsonl").read_text("utf-8")
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in text.splitlines()]
    payloads = []
    for at in range(number):
        one, round_ = dict(lines[at % len(lines)]), at // len(lines)
        if round_:
            content = dict(one["content"])  # type: ignore[call-overload]  # a payload of publish.dispatch
            content["hook"] = f"{content['hook']}, edition {round_ + 1}"
            one |= {"postId": f"{one['postId']}-{round_ + 1}", "content": content}
        payloads.append(one)
    return payloads


async def play(here: Stage, payloads: list[dict[str, object]], screen: Screen) -> Summary:
    """Enqueue the posts, show how they are published until all have ended, and say what happened."""
    payloads, due_ms = schedule(payloads, datetime.now(UTC))
    plugins = load(("publish",), here.environ)
    store = open_store(from_environment(here.environ))
    admin, client = Admin(store, plugins), Client(store, plugins)
    begun = moved = time.monotonic()
    before = (0, 0)
    still_s = STILL_S + STILL_CALLS * here.server.behaviour.latency
    try:
        await client.enqueue_many(QUEUE, payloads, job_ids=[str(one["postId"]) for one in payloads])
        forward, by_hand = 0, Counter[str]()
        while True:
            here.check()
            forward += await _bring_forward(admin, due_ms)
            forward += await _retry_by_hand(admin, by_hand)
            (stats,) = await admin.stats([QUEUE])
            posts = here.server.ledger.counts()
            screen.show(
                Sight(
                    waiting=stats.waiting,
                    delayed=stats.delayed,
                    active=stats.active,
                    completed=stats.completed,
                    failed=stats.failed,
                    retries=forward,
                    posts=posts,
                    seconds=time.monotonic() - begun,
                )
            )
            now, ended = time.monotonic(), stats.completed + stats.failed
            if ended >= len(payloads):
                break
            if (ended, sum(posts.values())) != before:
                moved, before = now, (ended, sum(posts.values()))
            elif now - moved > still_s:
                raise JobrunnerError(
                    f"nothing has been published for {still_s:.0f} s and {len(payloads) - ended} jobs are left; "
                    f"the worker said last: {here.last_line()}"
                )
            await asyncio.sleep(LOOK_S)
        seconds = time.monotonic() - begun
        return await _summary(admin, here, payloads, seconds)
    finally:
        await client.close()


def schedule(
    payloads: list[dict[str, object]], now: datetime
) -> tuple[list[dict[str, object]], dict[str, float]]:
    """Schedule some of the posts a few seconds ahead.

    Args:
        payloads: The posts, all of them due.
        now: The time, with a zone.

    Returns:
        The posts; and post id -> when it is due, in ms since 1970, for those that are ahead.
    """
    made = list(payloads)
    ahead = range(AHEAD_EVERY - 1, len(made), AHEAD_EVERY)
    least, most = AHEAD_S
    due_ms: dict[str, float] = {}
    for nth, at in enumerate(ahead):
        due = now + timedelta(seconds=least + (most - least) * nth / len(ahead))
        made[at] = {**made[at], "scheduledTime": due.isoformat()}
        due_ms[str(made[at]["postId"])] = due.timestamp() * 1000
    return made, due_ms


async def _bring_forward(admin: Admin, due_ms: dict[str, float]) -> int:
    """Let what waits for its next attempt start now: people who watch should not wait for a backoff of minutes."""
    keys, now_ms = admin.store.keys(QUEUE), time.time() * 1000
    delayed = await admin.store.run(looks.page(keys, State.DELAYED, start=0, limit=looks.MAX_PAGE))
    again = [job_id for job_id, _ in delayed if due_ms.get(job_id, 0) + DUE_MS < now_ms]
    return len(await admin.promote(QUEUE, again)) if again else 0


async def _retry_by_hand(admin: Admin, tries: Counter[str]) -> int:
    """Put in line again what has used up its attempts, as an operator would; what was given up for good stays."""
    failed = await admin.page(QUEUE, State.FAILED, limit=100)
    again = [job.id for job in failed if not job.last_error.startswith("Discard") and tries[job.id] < BY_HAND]
    tries.update(again)
    return len(await admin.retry(QUEUE, again)) if again else 0


async def _summary(admin: Admin, here: Stage, payloads: list[dict[str, object]], seconds: float) -> Summary:
    unknown: set[tuple[str, str, str]] = set()
    attempts = 0
    completed = 0
    for one in payloads:
        job = await admin.job(QUEUE, str(one["postId"]))
        attempts += job.runs
        completed += job.state == "completed"
        for step in job.steps.values():
            unknown |= {(str(one["postId"]), *account) for account in _unknown(step)}
    ledger = here.server.ledger
    if not here.server.behaviour.lost_rate:
        unknown.clear()  # no answer was lost: what is not there is missing
    return Summary(
        jobs=len(payloads),
        completed=completed,
        failed=len(payloads) - completed,
        attempts=attempts,
        retries=attempts - len(payloads),
        seconds=round(seconds, 2),
        jobs_per_second=round(len(payloads) / seconds, 1),
        posts=dict(sorted(ledger.counts().items())),
        proof=prove(payloads, ledger.posts(), unknown),
    )


def _unknown(step: object) -> list[tuple[str, str]]:
    """The platform and account of a step that says that nobody knows; empty for any other."""
    if isinstance(step, dict) and step.get("status") == "unknown":
        return [(str(step.get("platform", "")), str(step.get("accountId", "")))]
    return []


def describe(summary: Summary) -> tuple[list[tuple[str, str]], tuple[bool, str]]:
    """What happened in the words of a table, and whether it is as it should be."""
    return _facts(summary), _verdict(summary.proof)


def _facts(summary: Summary) -> list[tuple[str, str]]:
    return [
        ("jobs", f"{summary.jobs:,}"),
        ("completed", f"{summary.completed:,}"),
        ("failed", f"{summary.failed:,}"),
        ("attempts", f"{summary.attempts:,}"),
        ("retries", f"{summary.retries:,}"),
        ("seconds", f"{summary.seconds:.1f}"),
        ("jobs a second", f"{summary.jobs_per_second:.1f}"),
    ]


def _verdict(proof: Proof) -> tuple[bool, str]:
    parts = [f"{proof.once:,} of {proof.expected:,} posts arrived exactly once"]
    for what, names in (
        ("unknown, since an answer was lost", proof.unknown),
        ("missing", proof.missing),
        ("more than once", proof.twice),
        ("before their time", proof.early),
    ):
        if names:
            parts.append(f"{len(names)} {what}: {', '.join(names[:3])}")
    if proof.strangers:
        parts.append(f"{proof.strangers} never asked for")
    return proof.holds, "; ".join(parts)
