"""Events of every type with every key filled, and logs of every format that write into memory."""

import io
import types
import typing

import msgspec
import pytest

from jobrunner.logs import Logs
from jobrunner.settings import core_settings

AT = 1_800_000_000.25
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def filled(kind):
    """An event of a type, made from its declaration: every key has a value that is not its default."""
    hints = typing.get_type_hints(kind)
    values = {field.name: _value(field.name, hints[field.name]) for field in msgspec.structs.fields(kind)}
    event = kind(**values | {"timestamp": AT})
    assert msgspec.convert(msgspec.to_builtins(event), kind) == event, "the value fits its type"
    return event


def _value(name, hint):
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one not in (type(None), msgspec.UnsetType))
    if name == "trace_id":
        return TRACE
    return {
        str: f'{name} "quoted"\nü',
        int: 7,
        float: 2.5,
        bool: False,
        dict[str, int]: {"publish.dispatch": 2, "a": 3},
        dict[str, str]: {"publish.dispatch": "x=1", "a": "b"},
    }[hint]


@pytest.fixture
def logs():
    """Return a function that makes logs of a format, and the stream that they write to."""

    def make(log_format, level="info", **environ):
        stream = io.StringIO()
        settings = core_settings(
            {"JOBRUNNER_LOG_LEVEL": level, "JOBRUNNER_LOG_FORMAT": log_format, **environ}
        )
        return Logs(settings, stream), stream

    return make


@pytest.fixture
def handler_log(logs):
    """Return a function that makes a handler's logger of a format, and the stream."""

    def make(log_format, secrets=(), **environ):
        made, stream = logs(log_format, **environ)
        facts = {
            "logger": "handler",
            "queue": "mail.send",
            "plugin": "mail",
            "job_id": "j1",
            "tenant": "t1",
            "attempt": 1,
            "worker_id": "w1",
            "trace_id": TRACE,
        }
        return made.job_logger(facts, secrets=list(secrets), keep=lambda line: None), stream

    return make


class HostileError(Exception):
    """One whose text is hard to write."""


class Unwritable:
    def __repr__(self):
        raise HostileError("not even this")


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = {
    "surrogate": "\ud800",
    "line breaks": "a\r\nb\u2028c\x1b[31m\x00",
    "forged": '"} {"event":"forged"',
    "unwritable": Unwritable(),
    "deep": deep(100_000),
    "a large number": 1 << 80,
    "no number": float("nan"),
    "infinite": float("-inf"),
    "bytes": b"\xff",
    "a map with odd keys": {1: "a", "b.c": {"d": [1, None]}},
    "a set": {1},
    "nothing": None,
}
