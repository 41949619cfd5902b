"""What every plugin must keep to, checked in one call: it loads, and loading does nothing else; its payloads make
the round trip, its secrets stay hidden, its handlers stop when they are cancelled, and its schemas are those that jobs
in flight were written by.

It never touches a store, and lets no handler go outside.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from jobrunner.declaration import payload_schema
from jobrunner.drafting import Payload
from jobrunner.errors import JobrunnerError, PayloadError
from jobrunner.job import Job, SyncJob
from jobrunner.masking import masked, secret_values
from jobrunner.plugins import Plugin
from jobrunner.queue import Queue
from jobrunner.testing.import_watch import Asked, Seen
from jobrunner.testing.loading import load_plugins

UPDATE = "JOBRUNNER_UPDATE_SCHEMAS"
"""The environment variable that makes `check_plugin` write the schemas instead of comparing them."""

LOAD_S = 60.0
"""Seconds that loading a plugin may take in a process of its own."""

Examples = Mapping[str, Sequence[Payload]]


class ContractError(AssertionError):
    """A plugin breaks its contract.

    Attributes:
        breaches: What it breaks, a sentence each.
    """

    def __init__(self, plugin: str, breaches: Sequence[str]) -> None:
        super().__init__(
            "\n".join([f"{plugin} breaks its contract:", *(f"- {breach}" for breach in breaches)])
        )
        self.breaches = list(breaches)


class PluginReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked of a plugin that keeps its contract.

    Attributes:
        queues: What it declares.
        skipped: What could not be checked and why, a sentence each.
    """

    plugin: str
    queues: list[str]
    skipped: list[str]


def check_plugin(
    plugin: object,
    *,
    examples: Examples | None = None,
    schemas: Path | str | None = None,
    settings: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> PluginReport:
    """Check that a plugin keeps to what every plugin must.

    It loads, and in a process of its own loading writes no file, opens no connection, starts no process or thread,
    takes no signal, sets no variable and prints nothing; nor does what its handlers import when they run. Its handlers
    are annotated with their queue's payload. Each example makes the round trip in both spellings and shows no secret.
    Each `async def` handler, run on its first example with stand-ins for its resources and every way outside shut,
    stops when it is cancelled at its first wait. Each payload's JSON Schema comes out the same
    in two processes, and is the one that was recorded for its version.

    Args:
        plugin: A plugin's name, a `.py` file, a module's path, a module, or an object with hooks.
        examples: Queue -> payloads that are valid.
        schemas: A folder with a file `QUEUE.vVERSION.json` a queue, kept with the code. With the variable
            `JOBRUNNER_UPDATE_SCHEMAS=1` it is written instead.
        settings: The plugin's settings by field, as plain values.
        environ: The environment, whole.

    Returns:
        What was checked, and what could not be.

    Raises:
        ContractError: It breaks the contract; all breaches are named.
        PluginError: It cannot be loaded at all.
        SettingsError: A setting has a value that cannot be used.
    """
    (loaded, *_), variables = load_plugins([plugin], settings=settings, environ=environ)
    seen = _watched(loaded, variables, examples or {})
    breaches = [f"loading it {effect}" for effect in seen.effects] if seen else []
    breaches += [f"it cannot be loaded in a process of its own: {seen.error}"] if seen and seen.error else []
    breaches += seen.late_errors if seen else []
    examples = examples or {}
    breaches += [
        f"there are examples for {name}, and it declares no such queue"
        for name in examples
        if name not in loaded.queues
    ]
    breaches += _settings_breaches(loaded)
    for queue in loaded.queues.values():
        breaches += _handler_breaches(queue)
        breaches += _schema_breaches(queue, seen, schemas)
        for example in examples.get(queue.name, ()):
            breaches += _example_breaches(queue, example)
        if seen and (verdict := seen.verdicts.get(queue.name)) and verdict.breach:
            breaches.append(f"{queue.name}: its handler {verdict.breach}")
    if breaches:
        raise ContractError(loaded.found.blame, breaches)
    return PluginReport(
        plugin=loaded.name,
        queues=list(loaded.queues),
        skipped=list(_skipped(loaded, seen, examples, schemas)),
    )


def _skipped(
    plugin: Plugin, seen: Seen | None, examples: Examples, schemas: Path | str | None
) -> Iterator[str]:
    if seen is None:
        yield "loading was not watched: it is no module that another process can import"
    if schemas is None and plugin.queues:
        yield "schemas were not compared with recorded ones: no folder was given"
    for name in plugin.queues:
        if not examples.get(name):
            yield f"{name}: no round trip, and secrets not looked for: no example was given"
        elif seen and (verdict := seen.verdicts.get(name)) and verdict.skipped:
            yield f"{name}: cancelling was not tried: {verdict.skipped}"


# ---- loading -------------------------------------------------------------------------------------------------


def _watched(plugin: Plugin, variables: Mapping[str, str], examples: Examples) -> Seen | None:
    """Load it once more, in a process of its own; None where that process could not import it."""
    found = plugin.found
    target = _importable(found.target)
    if target is None:
        return None
    asked = Asked(
        found=msgspec.structs.replace(found, target=target),
        environ=dict(variables),
        examples=dict(_tried(plugin, examples)),
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "jobrunner.testing.import_watch"],
            input=msgspec.json.encode(asked),
            capture_output=True,
            timeout=LOAD_S,
            check=False,
            env={**os.environ, "PYTHONPATH": paths},
        )
    except subprocess.TimeoutExpired:
        return Seen(error=f"it takes longer than {LOAD_S:g} s")
    try:
        return msgspec.json.decode(done.stdout, type=Seen)
    except msgspec.MsgspecError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [
            f"exit status {done.returncode}"
        ]
        return Seen(error=last[0])


def _tried(plugin: Plugin, examples: Examples) -> Iterator[tuple[str, dict[str, object]]]:
    """Each queue's first example that is valid, as on the wire; those that are not are breaches of their own."""
    for name, queue in plugin.queues.items():
        for example in examples.get(name, ())[:1]:
            with contextlib.suppress(PayloadError):
                yield name, msgspec.json.decode(queue.codec.encode(example)[0])


def _importable(target: str) -> str | None:
    """What another process can import: the target itself, or the file of a module that only this process has."""
    module, colon, _ = target.partition(":")
    if target.endswith(".py") or _is_on_path(module):
        return target
    file = getattr(sys.modules.get(module), "__file__", None)
    return file if isinstance(file, str) and file.endswith(".py") and not colon else None


def _is_on_path(module: str) -> bool:
    """Whether a module is found by searching, and not only because this process has loaded it already."""
    where: Sequence[str] | None = None
    parts = module.split(".") if module else []
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        specs = (finder.find_spec(name, where, None) for finder in sys.meta_path)
        spec = next((one for one in specs if one is not None), None)
        if spec is None:
            return False
        where = spec.submodule_search_locations
    return bool(parts)


# ---- what it declares ----------------------------------------------------------------------------------------


def _settings_breaches(plugin: Plugin) -> Iterator[str]:
    shown = repr(plugin.settings)
    if any(secret in shown for secret in secret_values(plugin.settings, plugin.settings_type)):
        yield f"the repr of {plugin.settings_type.__name__} shows a secret"


def _handler_breaches(queue: Queue) -> Iterator[str]:
    try:
        hints = typing.get_type_hints(queue.handler)
    except (TypeError, NameError, AttributeError):
        return
    kind = next((hint for name, hint in hints.items() if name != "return"), None)
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    wanted = Job if queue.is_async else SyncJob
    if origin in (Job, SyncJob) and origin is not wanted:
        form = "an `async def`" if queue.is_async else "a plain `def`"
        yield f"{queue.name}: its handler is {form} over {origin.__name__}; it is given a {wanted.__name__}"
    if arguments and origin in (Job, SyncJob) and arguments[0] is not queue.payload:
        yield f"{queue.name}: its handler is annotated with {arguments[0]!r}, and its payload is {queue.payload.__name__}"


def _schema_breaches(queue: Queue, seen: Seen | None, folder: Path | str | None) -> Iterator[str]:
    try:
        # Through JSON: a tuple for a default is a list for everybody who reads the schema.
        schema: dict[str, object] = msgspec.json.decode(msgspec.json.encode(payload_schema(queue)))
    except TypeError as error:
        yield f"{queue.name}: its payload has no JSON Schema: {error}"
        return
    if seen is not None and queue.name in seen.schemas and seen.schemas[queue.name] != schema:
        where = difference(seen.schemas[queue.name], schema)
        yield f"{queue.name}: its JSON Schema is another in another process, at {where}"
    if folder is not None:
        yield from _recorded_breaches(queue, schema, Path(folder))


def _recorded_breaches(queue: Queue, schema: dict[str, object], folder: Path) -> Iterator[str]:
    file = folder / f"{queue.name}.v{queue.version}.json"
    if os.environ.get(UPDATE) == "1":
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n")
        return
    try:
        recorded = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        yield f"{queue.name}: its schema is not recorded in {file}; run the test once with {UPDATE}=1 and keep the file"
        return
    except msgspec.DecodeError as error:
        yield f"{queue.name}: {file} is not valid JSON: {error}"
        return
    before, now = _wordless(recorded), _wordless(schema)
    if before != now:
        yield (
            f"{queue.name}: its schema is not the one recorded for version {queue.version}, at "
            f"{difference(before, now)}; jobs in flight have the old form: raise the queue's version and add an "
            f"upgrade, or run the test once with {UPDATE}=1 where old jobs still fit"
        )


def _wordless(schema: object) -> object:
    """A schema without its descriptions: what people read binds no job, and Python 3.13 indents it otherwise."""
    if isinstance(schema, dict):
        return {
            key: _wordless(value)
            for key, value in schema.items()
            if not (key == "description" and isinstance(value, str))
        }
    return [_wordless(item) for item in schema] if isinstance(schema, list) else schema


def difference(old: object, new: object, path: str = "") -> str:
    """The first place where two JSON values differ, as a path such as `$defs.Post.properties.title`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key not in old or key not in new or old[key] != new[key]:
                deeper = f"{path}.{key}" if path else str(key)
                return difference(old.get(key), new.get(key), deeper) if key in old and key in new else deeper
    return path or "its top"


# ---- examples ------------------------------------------------------------------------------------------------


def _example_breaches(queue: Queue, example: Payload) -> Iterator[str]:
    try:
        raw, value = queue.codec.encode(example)
    except PayloadError as error:
        yield f"an example is not valid: {error}"
        return
    wire: dict[str, object] = msgspec.json.decode(raw)
    names = dict(zip(queue.payload.__struct_encode_fields__, queue.payload.__struct_fields__, strict=True))
    spellings: dict[str, Payload] = {
        "its own": value,
        "the wire's": wire,
        "Python's": {names.get(key, key): item for key, item in wire.items()},
    }
    for spelling, payload in spellings.items():
        try:
            again = queue.codec.encode(payload)[0]
        except JobrunnerError as error:
            yield f"{queue.name}: an example in {spelling} spelling is refused: {error}"
            continue
        if again != raw:
            where = difference(wire, msgspec.json.decode(again))
            yield f"{queue.name}: an example in {spelling} spelling comes back changed, at {where}"
    if queue.codec.decode(raw) != value:
        yield f"{queue.name}: an example is another after a round trip; do its types have an equality?"
    shown = repr(value) + repr(masked(value, queue.payload))
    if any(secret in shown for secret in secret_values(value, queue.payload)):
        yield f"{queue.name}: the repr of {queue.payload.__name__} shows a secret; is it in a field without the mark, or in a type with a repr of its own?"
