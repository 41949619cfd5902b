"""What a test expects of the jobs, lines and reports that a handler left, and the message where it is not so.

Each returns what it found, for a test to look further; each message says what there was instead. No message shows
what a payload marks as secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from jobrunner.masking import masked

MANY = 10
"""What a message lists of what there was; the rest is counted."""


class Enqueued(Protocol):
    """A job that was enqueued, as the kit shows it."""

    @property
    def queue(self) -> str:
        """Its queue's name."""
        ...

    @property
    def payload(self) -> object:
        """A Struct, or a plain map."""
        ...


J = TypeVar("J", bound=Enqueued)


def expect_enqueued(
    jobs: Sequence[J],
    queue: str,
    payload: Mapping[str, object] | msgspec.Struct | None,
    facts: Mapping[str, object],
) -> J:
    """Find the one job of a queue that has this payload and these facts.

    Args:
        jobs: What was enqueued.
        queue: The queue's name.
        payload: The whole payload as a Struct, or some of its fields as a map, in either spelling; None is any.
        facts: What else it is to have, such as `delay=60`.

    Raises:
        AssertionError: There is none, or more than one.
        TypeError: A job has no such fact.
    """
    here = [job for job in jobs if job.queue == queue]
    problems = [_problems(job, payload, facts) for job in here]
    fitting = [job for job, wrong in zip(here, problems, strict=True) if not wrong]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise AssertionError(
            f"{len(fitting)} jobs of {queue} were enqueued that fit; say more of the one that is meant:"
            + _lines([_shown_job(job) for job in fitting])
        )
    if here:
        closest = min(range(len(here)), key=lambda at: len(problems[at]))
        raise AssertionError(
            f"no job of {queue} fits; the closest of {len(here)}:" + _lines(problems[closest])
        )
    raise AssertionError(
        f"no job of {queue} was enqueued; there are:" + _lines([_shown_job(job) for job in jobs])
    )


def expect_none_enqueued(jobs: Sequence[Enqueued], queue: str | None) -> None:
    """See that no job was enqueued, or none of a queue.

    Raises:
        AssertionError: One was.
    """
    there = [job for job in jobs if queue is None or job.queue == queue]
    if there:
        raise AssertionError(
            f"no job{'' if queue is None else f' of {queue}'} was to be enqueued; there are:"
            + _lines([_shown_job(job) for job in there])
        )


def expect_log(
    lines: Sequence[Mapping[str, object]], event: str, level: str | None, keys: Mapping[str, object]
) -> dict[str, object]:
    """Find the first line of an event that has these keys.

    Raises:
        AssertionError: There is none.
    """
    wanted = dict(keys) if level is None else {"level": level, **keys}
    here = [line for line in lines if line.get("event") == event]
    for line in here:
        if all(name in line and line[name] == value for name, value in wanted.items()):
            return dict(line)
    if not here:
        events = [f"{line.get('level')} {line.get('event')}" for line in lines]
        raise AssertionError(f"no line {event!r} was logged; there are:" + _lines(events))
    wrong = [
        [
            f"{name} is {line[name]!r}, not {value!r}" if name in line else f"it has no key {name!r}"
            for name, value in wanted.items()
            if name not in line or line[name] != value
        ]
        for line in here
    ]
    raise AssertionError(f"no line {event!r} fits; the closest of {len(here)}:" + _lines(min(wrong, key=len)))


def expect_progress(
    reports: Sequence[tuple[float, str]], fraction: float | None, message: str | None
) -> tuple[float, str]:
    """Find the first report of this fraction and message.

    Raises:
        AssertionError: There is none.
    """
    for report in reports:
        if (fraction is None or abs(report[0] - fraction) < 0.00005) and message in (None, report[1]):
            return report
    asked = " ".join(str(part) for part in (fraction, message and repr(message)) if part is not None)
    raise AssertionError(
        f"no progress {asked or 'at all'} was reported; there are:"
        + _lines([f"{fraction:g} {message!r}" for fraction, message in reports])
    )


def _problems(
    job: Enqueued, payload: Mapping[str, object] | msgspec.Struct | None, facts: Mapping[str, object]
) -> list[str]:
    """What is not as expected."""
    found = []
    for name, value in facts.items():
        if not hasattr(job, name):
            known = ", ".join(one for one in type(job).__struct_fields__)  # type: ignore[attr-defined]  # a Struct of the kit's own
            raise TypeError(f"an enqueued job has no {name!r} (it has: {known})")
        if (has := getattr(job, name)) != value:
            found.append(f"{name} is {has!r}, not {value!r}")
    match payload:
        case None:
            pass
        case msgspec.Struct():
            if job.payload != payload:
                found.append(f"its payload is {_shown(job.payload)}, not {_shown(payload)}")
        case _:
            found += _field_problems(job.payload, payload)
    return found


def _field_problems(payload: object, wanted: Mapping[str, object]) -> list[str]:
    plain = msgspec.to_builtins(payload)
    shown = _shown(payload)
    assert isinstance(plain, dict)
    assert isinstance(shown, dict)
    wire: dict[str, str] = {}
    if isinstance(payload, msgspec.Struct):
        wire = dict(zip(payload.__struct_fields__, payload.__struct_encode_fields__, strict=True))
        # What is at its default may be left out on the wire, and is there all the same.
        plain = {wire[name]: msgspec.to_builtins(getattr(payload, name)) for name in wire} | plain
    found = []
    for name, value in wanted.items():
        key = name if name in plain else wire.get(name, name)
        if key not in plain:
            found.append(f"its payload has no {name!r} (it has: {', '.join(plain)})")
        elif plain[key] != msgspec.to_builtins(value):
            was = shown.get(key, plain[key])
            # Where the field is a secret, what the test expects of it is one, too.
            found.append(
                f"its payload's {name} is {was!r}" + ("" if was != plain[key] else f", not {value!r}")
            )
    return found


def _shown(payload: object) -> object:
    return masked(payload, type(payload)) if isinstance(payload, msgspec.Struct) else payload


def _shown_job(job: Enqueued) -> str:
    return f"{job.queue} {_shown(job.payload)}"


def _lines(texts: Sequence[str]) -> str:
    more = [f"  and {len(texts) - MANY} more"] if len(texts) > MANY else []
    return "".join(f"\n  {text:.500}" for text in texts[:MANY] or ["nothing"]) + "".join(
        f"\n{one}" for one in more
    )
