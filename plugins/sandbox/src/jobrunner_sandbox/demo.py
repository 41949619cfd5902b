"""`jobrunner demo`: posts of four small companies, published to five stand-in platforms, and counted."""

from __future__ import annotations

import asyncio
import importlib.resources
import signal
import time
from collections import Counter

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
from jobrunner_sandbox.proof import Proof, prove
from jobrunner_sandbox.screen import Screen, Sight
from jobrunner_sandbox.stage import QUEUE, Stage, stage

LOOK_S = 0.2
BY_HAND = 20
"""Times that the demo retries one job by hand."""

LONG_S = 180.0
"""Seconds after which the demo gives up: something is wrong that it should not hide."""


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
    "--jobs", type=click.IntRange(1, 10_000), default=60, show_default=True, help="Posts to publish."
)
@click.option(
    "--processes", type=click.IntRange(1, 16), default=1, show_default=True, help="Worker processes."
)
@behaviour_options
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
def demo(
    *,
    jobs: int,
    processes: int,
    latency: float,
    fail_rate: float,
    lost_rate: float,
    rate_limit_rate: float,
    seed: int,
    as_json: bool,
) -> int:
    """Publish sample posts to stand-in platforms, and show that each arrives exactly once.

    Starts a Valkey in a temporary folder, stand-ins for five platforms, and a worker; nothing of it is left behind. Some
    calls fail (one in twenty by default), so that retries can be seen; the demo brings their waits forward, and retries by
    hand what has used up its attempts.
    """
    # Both end it in order, also where a shell has told its background jobs to ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    given = click.get_current_context().get_parameter_source("fail_rate")
    behaviour = Behaviour(
        latency=latency or 0.01,
        fail_rate=fail_rate if given is click.core.ParameterSource.COMMANDLINE else 0.05,
        lost_rate=lost_rate,
        rate_limit_rate=rate_limit_rate,
        seed=seed,
        publish_delay=0.3,
    )
    payloads = sample(jobs)
    screen = Screen(quiet=as_json)
    accounts = sum(len(platforms) for one in payloads if isinstance(platforms := one["platforms"], list))
    screen.say(f"{jobs} posts for {accounts} accounts on five platforms")
    with stage(behaviour, processes=processes) as here, screen:
        summary = asyncio.run(play(here, payloads, screen))
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
    plugins = load(("publish",), here.environ)
    store = open_store(from_environment(here.environ))
    admin, client = Admin(store, plugins), Client(store, plugins)
    begun = time.monotonic()
    try:
        await client.enqueue_many(QUEUE, payloads, job_ids=[str(one["postId"]) for one in payloads])
        forward, by_hand = 0, Counter[str]()
        while True:
            here.check()
            forward += await _bring_forward(admin)
            forward += await _retry_by_hand(admin, by_hand)
            (stats,) = await admin.stats([QUEUE])
            screen.show(
                Sight(
                    waiting=stats.waiting,
                    delayed=stats.delayed,
                    active=stats.active,
                    completed=stats.completed,
                    failed=stats.failed,
                    retries=forward,
                    posts=here.server.ledger.counts(),
                    seconds=time.monotonic() - begun,
                )
            )
            if stats.completed + stats.failed >= len(payloads):
                break
            if time.monotonic() - begun > LONG_S:
                raise JobrunnerError(
                    f"the demo has not ended in {LONG_S:.0f} s; {stats.waiting + stats.delayed + stats.active} jobs are left"
                )
            await asyncio.sleep(LOOK_S)
        seconds = time.monotonic() - begun
        return await _summary(admin, here, payloads, seconds)
    finally:
        await client.close()


async def _bring_forward(admin: Admin) -> int:
    """Let what waits for its next attempt start now: people who watch should not wait for a backoff of minutes."""
    keys = admin.store.keys(QUEUE)
    delayed = [
        job_id for job_id, _ in await admin.store.run(looks.page(keys, State.DELAYED, start=0, limit=100))
    ]
    return len(await admin.promote(QUEUE, delayed)) if delayed else 0


async def _retry_by_hand(admin: Admin, tries: Counter[str]) -> int:
    """Put in line again what has used up its attempts, as an operator would; what was given up for good stays."""
    failed = await admin.page(QUEUE, State.FAILED, limit=100)
    again = [job.id for job in failed if not job.last_error.startswith("Discard") and tries[job.id] < BY_HAND]
    tries.update(again)
    return len(await admin.retry(QUEUE, again)) if again else 0


async def _summary(admin: Admin, here: Stage, payloads: list[dict[str, object]], seconds: float) -> Summary:
    unknown: set[tuple[str, str]] = set()
    attempts = 0
    completed = 0
    for one in payloads:
        job = await admin.job(QUEUE, str(one["postId"]))
        attempts += job.runs
        completed += job.state == "completed"
        for step in (*job.steps.values(), job.result):
            unknown |= {(str(one["postId"]), platform) for platform in _unknown(step)}
    ledger = here.server.ledger
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


def _unknown(value: object) -> list[str]:
    """The platforms that a step's or a job's result says are unknown."""
    if isinstance(value, dict):
        if value.get("status") == "unknown":
            return [str(value.get("platform", ""))]
        return [name for inner in value.values() for name in _unknown(inner)]
    return [name for inner in value for name in _unknown(inner)] if isinstance(value, list) else []


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
    parts += (
        [f"{len(proof.unknown)} are unknown, since an answer was lost: {', '.join(proof.unknown[:3])}"]
        if proof.unknown
        else []
    )
    parts += [f"{len(proof.missing)} are missing: {', '.join(proof.missing[:3])}"] if proof.missing else []
    parts += (
        [f"{len(proof.twice)} arrived more than once: {', '.join(proof.twice[:3])}"] if proof.twice else []
    )
    parts += [f"{proof.strangers} were never asked for"] if proof.strangers else []
    return proof.holds, "; ".join(parts)
