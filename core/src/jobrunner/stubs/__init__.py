"""Typed producers of a plugin's queues, written as a Python module from the payload types.

What is written asks `client.enqueue` and nothing else: the payload's fields are its arguments, so an editor knows
them and a type checker holds a caller to them. It loads no plugin and writes no file.
"""

from __future__ import annotations

import ast
import inspect
import keyword
import re
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from jobrunner.errors import PluginError
from jobrunner.plugins import Plugin
from jobrunner.queue import Queue
from jobrunner.stubs.spelling import Source, UnspeakableError

MARK = "Written by `jobrunner plugins stubs"
"""What the module's own text says, so that nothing else is ever written over."""

OPTIONS = {
    "delay": ("float | None", "Seconds before it may start."),
    "at": ("datetime | None", "An aware time before which it does not start."),
    "priority": ("int | None", "0 to 100, higher is served first; None takes the queue's, {priority}."),
    "job_id": ("str | None", "The job's id: the same one and the same payload again is the same job."),
    "tenant": ("str | None", "Whose job it is."),
    "headers": ("Mapping[str, str] | None", "What goes beside the payload."),
    "unique": (
        "str | None",
        "A key that is the job's until it ends; while another has it, this one is not made.",
    ),
    "wait": ("float | None", "Seconds to wait for room where the queue is full."),
    "durability": (
        'Literal["replicated"] | None',
        "`replicated` waits until a replica has the job too.",
    ),
}
"""Arguments of the enqueue: name -> type and text. A payload's field of the same name stands in its place."""


class _Producer(msgspec.Struct, frozen=True, kw_only=True):
    """A class of producers: its queues by the name of their method."""

    name: str
    methods: dict[str, Queue]


def producers_source(plugin: Plugin) -> str:
    """Write the module of a plugin's typed producers.

    Returns:
        Its source: a class and its twin that does not await for each first word of a route, and for queues without
        a route one of the plugin's name.

    Raises:
        PluginError: The plugin declares no queue, or a type has no name that another module can import.
    """
    if not plugin.queues:
        raise PluginError(f"{plugin.found.blame} declares no queue, so there is nothing to enqueue")
    source = Source(Path(plugin.found.target))
    producers = _producers(plugin)
    source.keep("Client", "SyncClient", "JobHandle", "SyncJobHandle", "UNSET", "UnsetType", "msgspec")
    for kind in (Mapping, datetime):  # of the arguments that every method has, under their own names
        source.type_name(kind)
    source.type_name_of("typing", "Literal")
    names = [name for one in producers for name in (one.name, f"Sync{one.name}")]
    source.keep(*names)
    try:
        classes = [
            text for one in producers for sync in (False, True) for text in _class(one, source, sync=sync)
        ]
    except UnspeakableError as error:
        raise PluginError(f"{plugin.found.blame}: {error}") from None
    head = [
        f'"""Typed producers of the plugin `{plugin.name}`: they do what `client.enqueue` does.',
        "",
        f"{MARK} {plugin.name} --output FILE`: change the payload types, not this file.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        *_imports(source, "\n".join(classes)),
    ]
    return "\n".join([*head, *classes]) + "\n"


def same_code(one: str, other: str) -> bool:
    """Whether two modules say the same, however they are laid out and in whichever order they import."""
    try:
        return _essence(one) == _essence(other)
    except SyntaxError:
        return False


def _essence(source: str) -> tuple[list[str], list[str]]:
    body = ast.parse(source).body
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    return sorted(map(ast.unparse, imports)), [ast.unparse(node) for node in body if node not in imports]


def _producers(plugin: Plugin) -> list[_Producer]:
    found: dict[str, dict[str, Queue]] = {}
    for queue in plugin.queues.values():
        word, _, method = (queue.route or f"{plugin.name}/{queue.name}").partition("/")
        name = "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", word))
        spoken = re.sub(r"[^a-z0-9]+", "_", method.lower()).strip("_")
        if not spoken.isidentifier() or keyword.iskeyword(spoken):
            spoken = f"enqueue_{spoken}"
        if not name.isidentifier() or keyword.iskeyword(name):
            name = f"Plugin{name}"
        methods = found.setdefault(name, {})
        if spoken in methods:
            raise PluginError(
                f"{plugin.found.blame}: the queues {methods[spoken].name} and {queue.name} would both be `{spoken}`; "
                "give one a route"
            )
        methods[spoken] = queue
    return [_Producer(name=name, methods=methods) for name, methods in found.items()]


def _class(producer: _Producer, source: Source, *, sync: bool) -> Iterator[str]:
    client = "SyncClient" if sync else "Client"
    name = f"Sync{producer.name}" if sync else producer.name
    yield "\n"
    yield f"class {name}:"
    yield f'    """Enqueues jobs of {_listed([queue.name for queue in producer.methods.values()])}.'
    yield ""
    yield "    Args:"
    yield "        client: The client that enqueues."
    yield '    """'
    yield ""
    yield f"    def __init__(self, client: {client}) -> None:"
    yield "        self._client = client"
    for method, queue in producer.methods.items():
        yield ""
        yield from _method(method, queue, source, sync=sync)


def _method(method: str, queue: Queue, source: Source, *, sync: bool) -> Iterator[str]:
    fields = msgspec.structs.fields(queue.payload)
    hints = typing.get_type_hints(queue.payload)
    for field in fields:
        if field.name == "self":
            raise UnspeakableError(f"queue {queue.name}: a field named `self` cannot be an argument")
    options = _options(queue)
    late: list[str] = []
    yield f"    {'' if sync else 'async '}def {method}("
    yield "        self,"
    yield "        *,"
    for field in fields:
        kind = source.annotation(hints[field.name])
        if field.required:
            yield f"        {field.name}: {kind},"
            continue
        default = source.literal(field)
        if default is None:  # no value that can be written down: left to the payload's type
            late.append(field.name)
            yield f"        {field.name}: {kind} | UnsetType = UNSET,"
        else:
            yield f"        {field.name}: {kind} = {default},"
    for name in options:
        yield f"        {name}: {OPTIONS[name][0]} = None,"
    yield f"    ) -> {'SyncJobHandle' if sync else 'JobHandle'}:"
    yield f'        """Enqueue a job of `{queue.name}`.'
    yield ""
    yield "        Args:"
    texts = _field_texts(queue.payload)
    for field in fields:
        text = texts.get(field.name) or f"`{field.encode_name}` of the payload."
        yield f"            {field.name}: {text}"
    for name in options:
        yield f"            {name}: {OPTIONS[name][1].format(priority=queue.priority)}"
    yield '        """'
    made = "payload" if "payload" not in queue.payload.__struct_fields__ else "job_payload"
    yield f"        {made} = {source.type_name(queue.payload)}("
    for field in fields:
        if field.name not in late:
            yield f"            {field.name}={field.name},"
    yield "        )"
    for name in late:
        yield f"        if {name} is not UNSET:"
        yield f"            {made} = msgspec.structs.replace({made}, {name}={name})"
    yield f"        return {'' if sync else 'await '}self._client.enqueue("
    yield f'            "{queue.name}",'
    yield f"            {made},"
    for name in options:
        yield f"            {name}={name},"
    yield "        )"


def _options(queue: Queue) -> list[str]:
    """The enqueue's own arguments: those that the payload says itself are left out."""
    said = set(queue.payload.__struct_fields__)
    if queue.schedule_field:
        said |= {"delay", "at"}
    if queue.tenant_field:
        said.add("tenant")
    return [name for name in OPTIONS if name not in said]


def _field_texts(payload: type[msgspec.Struct]) -> dict[str, str]:
    """What the payload's docstring says of its fields, as its `Args:` or `Attributes:` list them."""
    lines = inspect.cleandoc(payload.__doc__ or "").replace("\\", "\\\\").replace('"""', "'''").splitlines()
    texts: dict[str, str] = {}
    is_inside, last = False, ""
    for line in lines:
        if line.rstrip() in ("Args:", "Attributes:"):
            is_inside = True
        elif line and not line.startswith(" "):
            is_inside = False
        elif is_inside and (entry := re.match(r" {4}(\w+): (\S.*)", line)):
            last = entry[1]
            texts[last] = entry[2].rstrip()
        elif is_inside and last and line.strip():
            texts[last] += "\n                " + line.strip()
    return texts


def _imports(source: Source, text: str) -> Iterator[str]:
    """Standard library, others, our own, the plugin's: as the usual sorters have it."""
    used = set(re.findall(r"\w+", ast.unparse(_without_docstrings(text))))
    standard = source.imports(used, standard=True)
    if standard:
        yield from standard
        yield ""
    if "msgspec" in used:
        yield "import msgspec"
    yield "from jobrunner import Client, JobHandle, SyncClient, SyncJobHandle"
    if "UNSET" in used:
        yield "from msgspec import UNSET, UnsetType"
    own = source.imports(used, standard=False)
    if own:
        yield ""
        yield from own


def _without_docstrings(text: str) -> ast.Module:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _listed(names: list[str]) -> str:
    spoken = [f"`{name}`" for name in names]
    return spoken[0] if len(spoken) == 1 else f"{', '.join(spoken[:-1])} and {spoken[-1]}"
