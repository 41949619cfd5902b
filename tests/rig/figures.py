"""Write down what a reliability test measured, so that a page can show it, and count it from a history.

A test that is run alone writes nothing: only where the variable `RELIABILITY_FIGURES` names a file is a line
appended to it, one JSON object a test, in one system call, from any number of test processes. Nothing here
judges: the figures are taken before the test's own assertions, so a broken promise is in the file too.
"""

import math
import os
import platform
import re
import subprocess
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from rig.history import Event, Harmed, Settled
from rig.record import TERMINAL, TRIMMED, Record
from rig.servers import KINDS, ServerMissingError, find_binary

VARIABLE = "RELIABILITY_FIGURES"
NEXT_RUN = "from the fault to the next run of each job that was leased then"
TAKEN_BACK = "from the fault until another worker took back the lease of each job that was leased then"
NEXT_OUTCOME = "from the fault to the next outcome that the store took"
_ASKED_FOR = frozenset({"retried", "snoozed", "parked", "released"})


class FiguresError(Exception):
    """A file of figures holds something else than figures, or what a test measured makes no sense."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a scenario's jobs."""

    jobs: int
    """Jobs that the store accepted."""
    lost: int
    """Accepted jobs that did not end, or are not in the store."""
    duplicates: int
    """Outcomes that the store accepted for a job that had ended by another one."""
    reruns: int
    """Runs after a job's first that no handler asked for."""


class Figures(msgspec.Struct, frozen=True, kw_only=True, tag="figures"):
    """What one test measured."""

    test: str
    """Pytest's id of the test, from the root of the repository: the command that reproduces it ends with it."""
    title: str
    """What was tried, in plain words."""
    injected: str
    """What a fault was, in plain words: "kill -9 of a worker that holds jobs"."""
    faults: int
    counts: Counts
    recovery_s: tuple[float, ...] = ()
    """Seconds of each recovery, shortest first; empty where the test measures none."""
    recovery_of: str = ""
    """From what to what a recovery was measured."""
    promised: bool = True
    """Whether lost 0 and duplicates 0 are promised for this fault in this set-up."""
    none_lost_promised: bool = False
    """Where not both are: whether lost 0 is."""
    note: str = ""
    passed: bool = True
    """Whether the test passed."""
    took_s: float
    """Seconds from the test's beginning to these figures."""
    at: str
    """When it was written, as ISO 8601 in UTC."""


class Ground(msgspec.Struct, frozen=True, kw_only=True, tag="ground"):
    """What figures were measured on."""

    system: str
    processors: int
    memory_gib: float
    python: str
    servers: tuple[str, ...]
    """Name and version of each server that the machine has."""


class Recorder:
    """Records one test's figures."""

    def __init__(self, test: str, *, environ: Mapping[str, str] = os.environ) -> None:
        """Begin the test.

        Args:
            test: pytest's id of the test.
            environ: where the variable that names the file is looked up.
        """
        self._test = re.sub(r"@[\w-]+$", "", test)  # the group that xdist puts there
        self._path = environ.get(VARIABLE)
        self._begun = time.monotonic()
        self._figures: list[Figures] = []

    def close(self, *, passed: bool) -> None:
        """Append what was recorded to the file, if there is one.

        Args:
            passed: whether the test did.
        """
        for figures in self._figures:
            if self._path:
                append(Path(self._path), msgspec.structs.replace(figures, passed=passed))
        self._figures.clear()

    def record(
        self,
        *,
        title: str,
        injected: str,
        faults: int,
        counts: Counts,
        recovery_s: Iterable[float] = (),
        recovery_of: str = "",
        promised: bool = True,
        none_lost_promised: bool = False,
        note: str = "",
    ) -> Figures:
        """Keep the test's figures until its end. Call it before the test's last assertions.

        Args:
            title: what was tried, in plain words.
            injected: what a fault was.
            faults: how many there were.
            counts: what became of the jobs; `count` takes them from a history.
            recovery_s: seconds of each recovery, in any order.
            recovery_of: from what to what they were measured.
            promised: whether nothing may be lost or doubled here.
            none_lost_promised: where doubles are allowed, whether nothing may be lost.
            note: what a reader has to know besides.

        Returns:
            What was recorded.

        Raises:
            FiguresError: there were no faults, or recovery times without what they mean.
        """
        if faults < 1:
            raise FiguresError(f"{self._test}: {faults} faults: a test that breaks nothing shows nothing")
        waits = tuple(round(wait, 3) for wait in sorted(recovery_s))
        if waits and not recovery_of:
            raise FiguresError(f"{self._test}: say from what to what the recovery was measured")
        figures = Figures(
            test=self._test,
            title=title,
            injected=injected,
            faults=faults,
            counts=counts,
            recovery_s=waits,
            recovery_of=recovery_of,
            promised=promised,
            none_lost_promised=none_lost_promised or promised,
            note=note,
            took_s=round(time.monotonic() - self._begun, 1),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._figures.append(figures)
        return figures


def count(record: Record) -> Counts:
    """Count what became of a scenario's jobs, by their identity.

    Args:
        record: its events, and the store's state after the last of them.

    Returns:
        The counts. What is trimmed has ended.
    """
    ended = {
        job_id
        for job_id, states in record.dump.states.items()
        if TERMINAL.union({TRIMMED}).intersection(states)
    }
    there = {job_id for job_id, states in record.dump.states.items() if states}
    final = [len(record.accepted_settles(job_id, TERMINAL)) for job_id in record.settles]
    return Counts(
        jobs=len(record.accepted),
        lost=len(record.accepted - (ended if record.drained else there)),
        duplicates=sum(number - 1 for number in final if number > 1),
        reruns=sum(_unasked(record, job_id) for job_id in record.runs),
    )


def _unasked(record: Record, job_id: str) -> int:
    """Count the runs of a job that follow a run which asked for none."""
    asked = {end.nonce for end in record.endings.get(job_id, {}).values() if end.outcome in _ASKED_FOR}
    asked |= {settle.nonce for settle in record.accepted_settles(job_id, _ASKED_FOR)}
    return sum(run.nonce not in asked for run in record.runs[job_id][:-1])


def recoveries(record: Record) -> list[float]:
    """Return seconds from each harm to the next run of each job that was leased then, shortest first.

    A job that had not begun when its worker was harmed, and one that ended all the same, count only where
    another run followed.
    """
    return _waits(
        record, lambda job_id, nonce: [run.at_ms for run in record.runs.get(job_id, ()) if run.nonce != nonce]
    )


def taken_back(record: Record) -> list[float]:
    """Return seconds from each harm until the lease of each job was taken back, shortest first.

    Where many jobs wait, the next run comes much later: a job that was recovered waits for its turn like others.
    """
    return _waits(record, lambda job_id, _: record.recovered_ms.get(job_id, []))


def _waits(record: Record, times_ms: Callable[[str, str], list[int]]) -> list[float]:
    harms: dict[int, Harmed] = {id(harm): harm for found in record.harms.values() for harm in found}
    waits: list[float] = []
    for harm in harms.values():
        for job_id, nonce in harm.leased.items():
            later = [at_ms for at_ms in times_ms(job_id, nonce) if at_ms > harm.at_ms]
            waits += [(min(later) - harm.at_ms) / 1000] if later else []
    return sorted(waits)


def resumptions(events: Iterable[Event], faults_ms: Iterable[int]) -> list[float]:
    """Return seconds from each fault to the next outcome that the store took, shortest first.

    Args:
        events: a history.
        faults_ms: when something went wrong, or was well again; one that no outcome follows is left out.
    """
    settled = sorted(
        event.at_ms for event in events if isinstance(event, Settled) and event.verdict == "accepted"
    )
    later = [(fault_ms, bisect_left(settled, fault_ms)) for fault_ms in faults_ms]
    return sorted((settled[at] - fault_ms) / 1000 for fault_ms, at in later if at < len(settled))


def percentile(waits: tuple[float, ...], share: float) -> float:
    """Return the smallest of the values that at least this share of them does not exceed (nearest rank).

    Args:
        waits: at least one value, sorted.
        share: above 0, up to 1.
    """
    return waits[math.ceil(share * len(waits)) - 1]


def append(path: Path, line: Figures | Ground) -> None:
    """Append one line to a file, whole, whoever else writes to it.

    Raises:
        FiguresError: the disk took only part of it.
    """
    encoded = msgspec.json.encode(line) + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(file, encoded) != len(encoded):
            raise FiguresError(f"{path}: the last line is not whole; is the disk full?")
    finally:
        os.close(file)


def read_figures(path: Path) -> tuple[list[Ground], list[Figures]]:
    """Read a file.

    Returns:
        What was measured on, each once, and all figures, both in the order in which they were written.

    Raises:
        FiguresError: a line is neither; the text names it.
    """
    grounds: list[Ground] = []
    figures: list[Figures] = []
    decoder: msgspec.json.Decoder[Figures | Ground] = msgspec.json.Decoder(Figures | Ground)
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        try:
            line = decoder.decode(raw)
        except msgspec.MsgspecError as error:
            raise FiguresError(f"{path}:{number}: no figures: {error}") from error
        if isinstance(line, Figures):
            figures.append(line)
        elif line not in grounds:
            grounds.append(line)
    return grounds, figures


def look_around() -> Ground:
    """Describe this machine and the servers on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Ground(
        system=f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        processors=os.cpu_count() or 1,
        memory_gib=round(memory / (1 << 30), 1),
        python=platform.python_version(),
        servers=tuple(_versions()),
    )


def _versions() -> Iterable[str]:
    for kind in KINDS:
        try:
            binary = find_binary(kind)
        except ServerMissingError:
            continue
        told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
        version = next(word for word in told.split() if word.startswith("v="))
        yield f"{kind.capitalize()} {version.removeprefix('v=')}"
