"""`jobrunner enqueue`: one job, or a file of them, checked whole before anything is sent."""

from __future__ import annotations

import codecs
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from jobrunner.cli.output import json_option, print_json
from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.cli.seconds import Seconds
from jobrunner.cli.words import Word
from jobrunner.drafting import Draft, Options
from jobrunner.errors import InvalidNameError, PayloadError
from jobrunner.record import decode_record
from jobrunner.store.connect import open_sync_store
from jobrunner.sync_client import SyncClient
from jobrunner.wording import counted

MOST_REPORTED = 20
"""Bad lines that are told one by one; a file of another kind has too many."""


class Line(msgspec.Struct, frozen=True):
    """A line of a file that can be enqueued."""

    number: int
    draft: Draft


@click.command(
    epilog="""Examples:

    jobrunner enqueue greeting.send '{"name": "Ada"}' --delay 60

    jobrunner enqueue publish.dispatch --file posts.jsonl --id-field postId

    cat posts.jsonl | jobrunner enqueue publish.dispatch --file -"""
)
@click.argument("queue")
@click.argument("payload", required=False, metavar="[JSON]")
@click.option("--file", "path", metavar="FILE", help="A JSON object a line; - reads standard input.")
@click.option("--delay", type=Seconds(0), help="Seconds before the job may start.")
@click.option(
    "--priority", type=click.IntRange(0, 100), help="0 to 100, higher first; the queue's by default."
)
@click.option(
    "--id", "job_id", type=Word(), help="The job's id: the same id and payload again is the same job."
)
@click.option(
    "--id-field", type=Word(), metavar="FIELD", help="With --file: the payload's field that is the job's id."
)
@click.option(
    "--unique",
    type=Word(),
    metavar="KEY",
    help="Take it in only while no job of the tenant that has not ended has this key.",
)
@click.option("--wait", type=Seconds(0, 86_400), help="Seconds to wait for room where the queue is full.")
@click.option("--tenant", type=Word(), help="Whose job it is, where the payload does not say.")
@click.option(
    "--partial", is_flag=True, help="With --file: enqueue the good lines of a file that has bad ones."
)
@click.option(
    "--plugin",
    "plugin_names",
    multiple=True,
    metavar="NAME",
    help="A plugin that declares the queue, as in run.",
)
@json_option()
@pass_scene
def enqueue(
    scene: Scene,
    *,
    queue: str,
    payload: str | None,
    path: str | None,
    delay: float | None,
    priority: int | None,
    job_id: str | None,
    id_field: str | None,
    unique: str | None,
    wait: float | None,
    tenant: str | None,
    partial: bool,
    plugin_names: tuple[str, ...],
    as_json: bool,
) -> int:
    """Enqueue a job, or with --file a job for each line of a JSON Lines file.

    A file is checked whole first: a bad line is reported with its number and field, and nothing goes in unless --partial.
    Lines without an id of their own get one from their content, so running the command again doubles nothing.
    """
    if (payload is None) == (path is None):
        raise click.UsageError("give the payload as JSON, or --file")
    if path is None and (id_field or partial):
        raise click.UsageError("--id-field and --partial go with --file")
    if path is not None and job_id:
        raise click.UsageError("--id is for one job; use --id-field with --file")
    if path is not None and unique:
        raise click.UsageError("--unique is for one job; a file's jobs have the keys that their queue names")
    settings = scene.settings
    client = SyncClient(
        open_sync_store(scene.address, settings.prefix), scene.plugins(plugin_names), retry_for=10.0
    )
    with client:
        client.learn(queue)
        options = Options(delay=delay, priority=priority, tenant=tenant, job_id=job_id, unique=unique)
        if path is None:
            assert payload is not None
            return _one(client, queue, payload, options, wait=wait, as_json=as_json)
        return _file(
            client, queue, path, options, id_field=id_field, partial=partial, wait=wait, as_json=as_json
        )


def _one(
    client: SyncClient, queue: str, payload: str, options: Options, *, wait: float | None, as_json: bool
) -> int:
    handle = client.enqueue_with(queue, _parsed(queue, payload), options, wait=wait)
    if as_json:
        print_json({"id": handle.id, "queue": queue, "created": handle.created})
    else:
        click.echo(handle.id)
        if not handle.created:
            what = (
                f"has the unique key {options.unique}"
                if options.unique
                else "was there before, with the same payload"
            )
            click.echo(f"job {handle.id} {what}", err=True)
    return 0


def _file(
    client: SyncClient,
    queue: str,
    path: str,
    options: Options,
    *,
    id_field: str | None,
    partial: bool,
    wait: float | None,
    as_json: bool,
) -> int:
    good, bad, blank = _checked(client, queue, _read(path), options, id_field)
    for number, problem in bad[:MOST_REPORTED]:
        click.echo(f"line {number}: {problem}", err=True)
    if len(bad) > MOST_REPORTED:
        click.echo(f"... and {len(bad) - MOST_REPORTED:,} more bad lines", err=True)
    if bad and not partial:
        click.echo(
            f"error: {len(bad):,} of {len(bad) + len(good):,} lines are bad; nothing was enqueued "
            "(mend them, or --partial enqueues the others)",
            err=True,
        )
        return 2
    created = _sent(client, queue, [line.draft for line in good], wait)
    facts = {
        "queue": queue,
        "enqueued": created,
        "known": len(good) - created,
        "bad": len(bad),
        "blank": blank,
    }
    if as_json:
        print_json(facts)
    else:
        parts = [f"{counted(created, 'job')} enqueued to {queue}"]
        parts += [f"{len(good) - created:,} there before"] if len(good) != created else []
        parts += [f"{counted(len(bad), 'bad line')} left out"] if bad else []
        parts += [f"{counted(blank, 'blank line')} skipped"] if blank else []
        click.echo(", ".join(parts))
    return 1 if bad else 0


def _checked(
    client: SyncClient, queue: str, lines: Iterable[bytes], options: Options, id_field: str | None
) -> tuple[list[Line], list[tuple[int, str]], int]:
    """Good lines, bad ones with what is wrong, and how many were blank; numbers count blank lines too."""
    good: list[Line] = []
    bad: list[tuple[int, str]] = []
    blank = 0
    seen: Counter[bytes] = Counter()
    first: dict[str, Line] = {}
    for number, raw in enumerate(lines, start=1):
        text = raw.strip()
        if not text:
            blank += 1
            continue
        try:
            payload = _parsed(queue, text)
            job_id = _line_id(queue, text, payload, id_field, seen)
            own = msgspec.structs.replace(options, job_id=job_id)
            line = Line(number, client.draft(queue, payload, own))
            _refuse_other(queue, id_field, line, first.setdefault(job_id, line))
            good.append(line)
        except PayloadError as error:
            bad.append((number, f"{error.field}: {error.problem}" if error.field else error.problem))
        except InvalidNameError as error:
            bad.append((number, str(error)))
    return good, bad, blank


def _line_id(
    queue: str, text: bytes, payload: dict[str, object], id_field: str | None, seen: Counter[bytes]
) -> str:
    """A line's id: its own field, or its content and how often that stood before it."""
    if id_field is not None:
        value = payload.get(id_field)
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise PayloadError(queue, id_field, "missing, and --id-field says that it is the job's id")
        return str(value)
    digest = hashlib.sha256(queue.encode() + b"\n" + text).digest()
    seen[digest] += 1
    return f"line-{hashlib.sha256(digest + str(seen[digest]).encode()).hexdigest()[:32]}"


def _refuse_other(queue: str, id_field: str | None, line: Line, first: Line) -> None:
    """Refuse a line that has the id of one before it, and is not the same job: the store would, half way through."""
    if id_field is not None and line is not first and _mark(line) != _mark(first):
        raise PayloadError(queue, id_field, f"line {first.number} has this id with another payload")


def _mark(line: Line) -> str:
    """The fingerprint that the store tells jobs of one id apart by."""
    return decode_record(b"[0," + line.draft.record).fingerprint


def _sent(client: SyncClient, queue: str, drafts: list[Draft], wait: float | None) -> int:
    """Send all of it, with a progress bar at a terminal for what takes longer; how many jobs are new."""
    created, sent = 0, 0
    with click.progressbar(
        length=len(drafts),
        label=f"enqueueing {queue}",
        file=sys.stderr,
        hidden=not sys.stderr.isatty() or len(drafts) < 1000,
    ) as bar:
        try:
            for fresh, size in client.send_drafts(drafts, wait=wait):
                created += fresh
                sent += size
                bar.update(size)
        except KeyboardInterrupt:
            click.echo(
                f"\nstopped: {counted(sent, 'job')} went in; running it again doubles nothing", err=True
            )
            raise
    return created


def _read(path: str) -> Iterable[bytes]:
    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise click.UsageError(f"--file {path}: {error.strerror or error}") from None
    text = raw.removeprefix(codecs.BOM_UTF8).removesuffix(
        b"\n"
    )  # Windows marks the start, and nobody sees it
    return text.split(b"\n") if text else []


def _parsed(queue: str, text: str | bytes) -> dict[str, object]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        problem = (
            str(error) if isinstance(error, msgspec.DecodeError) else "it nests too deeply or is not text"
        )
        raise PayloadError(queue, "", f"not valid JSON: {problem}") from None
    if not isinstance(value, dict):
        raise PayloadError(queue, "", f"the payload is a JSON {type(value).__name__}; it must be an object")
    return value
