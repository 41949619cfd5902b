"""What became of an attempt, and what it does to the job in the store.

An outcome is made once, by the pipeline that runs the attempt; everything after that only carries it. It
never holds a payload.
"""

from __future__ import annotations

import msgspec

from jobrunner.record import AttemptError, Crash, Note


class Completed(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="completed"):
    """The handler returned. `result` is what it returned as JSON, empty for None."""

    result: bytes = b""


class Retried(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="retried"):
    """The attempt failed and there is another one, `delay_s` seconds from now."""

    delay_s: float
    error: AttemptError


class Snoozed(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="snoozed"):
    """The handler asked to run later, `delay_s` seconds from now; no attempt is spent."""

    delay_s: float
    note: Note


class Failed(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="failed"):
    """The job is given up."""

    error: AttemptError | Crash


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="cancelled"):
    """Somebody cancelled the job while it ran."""

    note: Note


class Parked(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="parked"):
    """This worker cannot run the job, and another one may: an unknown payload version."""

    note: Note


class Released(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="released"):
    """The job goes back to the front of its band, uncharged: it had not started, or the worker stops."""


class Lost(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="lost"):
    """The process that ran the attempt died: it counts as a crash, and waits `delay_s` seconds."""

    delay_s: float
    crash: Crash


Outcome = Completed | Retried | Snoozed | Failed | Cancelled | Parked | Released | Lost
