"""Judge the history of a scenario by the identity of each job, not by counting.

Counts can agree although a lost job hides behind one that ran twice; these rules cannot be met that way. Each
rule is a function from a `Record` to the violations that it finds, and looks only at what the events carry.

Not covered: jobs that somebody retries by hand after they failed, and failovers that lose acknowledged writes.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import msgspec

from rig.history import Started
from rig.record import LIVE, TERMINAL, TRIMMED, Record

Rule = Literal["accounted", "unknown", "settled", "numbered", "overlap", "rerun", "structure", "result"]

_RUNS_AGAIN = frozenset({"retried", "snoozed", "parked", "released", "lost"})


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken promise."""

    rule: Rule
    job_id: str
    """Empty if it is about no single job."""
    text: str


def accepted_jobs_are_accounted_for(record: Record) -> list[Violation]:
    """Every job that the store accepted is in it; in a drained store, at its end."""
    return [
        Violation(rule="accounted", job_id=job_id, text=text)
        for job_id in sorted(record.accepted)
        for text in _whereabouts(record, job_id, absent="accepted, and not in the store")
    ]


def unknown_jobs_are_whole_or_absent(record: Record) -> list[Violation]:
    """A job of which the producer learned nothing is not in the store, or is treated as any other."""
    return [
        Violation(rule="unknown", job_id=job_id, text=text)
        for job_id in sorted(record.unknown)
        for text in _whereabouts(record, job_id, absent=None)
    ]


def _whereabouts(record: Record, job_id: str, *, absent: str | None) -> Iterator[str]:
    states = record.dump.states.get(job_id, ())
    ran = bool(record.runs.get(job_id))
    if not states and (absent or ran):
        yield absent or "ran, and is not in the store"
    for state in states:
        if state in LIVE and record.drained:
            yield f"still {state} after everything was done"
        elif state not in LIVE | TERMINAL | {TRIMMED}:
            yield f"in a state that nobody knows: {state}"


def settles_are_accepted_once(record: Record) -> list[Violation]:
    """The store accepts one settle for each lease, and one that ends the job."""
    found: list[Violation] = []
    for job_id, settles in sorted(record.settles.items()):
        nonces = Counter(settle.nonce for settle in settles if settle.verdict == "accepted")
        found += [
            Violation(rule="settled", job_id=job_id, text=f"lease {nonce} was settled {count} times")
            for nonce, count in sorted(nonces.items())
            if count > 1
        ]
        final = {settle.nonce: settle.outcome for settle in record.accepted_settles(job_id, TERMINAL)}
        if len(final) > 1:
            told = ", ".join(f"{outcome} by {nonce}" for nonce, outcome in sorted(final.items()))
            found.append(Violation(rule="settled", job_id=job_id, text=f"ended {len(final)} times: {told}"))
    return found


def run_numbers_rise(record: Record) -> list[Violation]:
    """Each run of a job has a higher number than the run before, and each lease starts it at most once.

    A worker that was frozen or cut off before it began may begin late: its settle is refused.
    """
    found: list[Violation] = []
    for job_id, runs in sorted(record.runs.items()):
        for earlier, later in pairwise(runs):
            if earlier.run == later.run:
                text = f"two runs have the number {later.run}"
            elif later.at_ms < earlier.at_ms and record.harm_between(earlier, later) is None:
                text = f"run {earlier.run} began after run {later.run}"
            else:
                continue
            found.append(Violation(rule="numbered", job_id=job_id, text=text))
        nonces = Counter(run.nonce for run in runs)
        found += [
            Violation(rule="numbered", job_id=job_id, text=f"lease {nonce} started it {count} times")
            for nonce, count in sorted(nonces.items())
            if count > 1
        ]
    return found


def runs_overlap_only_past_the_lease(record: Record) -> list[Violation]:
    """A run begins while another goes on only if the other's lease had run out.

    Where no event tells the lease's end, the other's worker must have been harmed by then.
    """
    found: list[Violation] = []
    for job_id, runs in sorted(record.runs.items()):
        for earlier, later in pairwise(runs):
            if later.at_ms < earlier.at_ms or _end_ms(record, earlier, later) <= later.at_ms:
                continue
            lease_end_ms = record.lease_ends_ms.get((job_id, earlier.nonce))
            if lease_end_ms is None:
                expired = record.harm_between(earlier, later) is not None
            else:
                expired = lease_end_ms <= later.at_ms
            if not expired:
                text = f"run {later.run} began while run {earlier.run} went on under its lease"
                found.append(Violation(rule="overlap", job_id=job_id, text=text))
    return found


def _end_ms(record: Record, run: Started, later: Started) -> float:
    """Return when a run was over: at its end, at its worker's death before the later run, or never."""
    if ending := record.endings.get(run.job_id, {}).get(run.nonce):
        return ending.at_ms
    harm = record.harm_between(run, later)
    return harm.since_ms if harm and harm.harm == "killed" else float("inf")


def reruns_have_a_reason(record: Record) -> list[Violation]:
    """A job runs again only after an outcome that asks for it, or harm to the worker that held its lease.

    Every single run after the first needs a reason of its own, and none may follow the job's end.
    """
    found: list[Violation] = []
    for job_id, runs in sorted(record.runs.items()):
        reasons = {settle.nonce for settle in record.accepted_settles(job_id, _RUNS_AGAIN)}
        ends = record.accepted_settles(job_id, TERMINAL)
        for earlier, later in pairwise(runs):
            if earlier.nonce not in reasons and record.harm_between(earlier, later) is None:
                text = f"run {later.run} had no reason: nothing took the lease of run {earlier.run} away"
                found.append(Violation(rule="rerun", job_id=job_id, text=text))
        for end in ends:
            position = next((i for i, run in enumerate(runs) if run.nonce == end.nonce), None)
            after = (
                [run for run in runs if run.at_ms > end.at_ms] if position is None else runs[position + 1 :]
            )
            found += [
                Violation(
                    rule="rerun", job_id=job_id, text=f"run {run.run} began after the job {end.outcome}"
                )
                for run in after
            ]
    return found


def structures_agree(record: Record) -> list[Violation]:
    """Each job is in one structure, somebody enqueued it, nothing is left over, and the counts are true."""
    dump = record.dump
    found = [
        Violation(rule="structure", job_id=job_id, text=f"in {len(states)} structures: {', '.join(states)}")
        for job_id, states in sorted(dump.states.items())
        if len(states) != 1
    ]
    found += [
        Violation(rule="structure", job_id=job_id, text="in the store, and nobody enqueued it")
        for job_id in sorted(dump.states.keys() - record.accepted - record.unknown)
    ]
    found += [Violation(rule="structure", job_id="", text=f"left over: {name}") for name in dump.leftovers]
    if dump.counts:
        true = Counter(state for states in dump.states.values() for state in states)
        found += [
            Violation(
                rule="structure",
                job_id="",
                text=f"told {dump.counts.get(state, 0)} {state}, holds {true[state]}",
            )
            for state in sorted(dump.counts.keys() | true.keys())
            if dump.counts.get(state, 0) != true[state]
        ]
    return found


def results_belong_to_the_accepted_run(record: Record) -> list[Violation]:
    """What the store keeps of a job is what the run returned whose settle it accepted."""
    found: list[Violation] = []
    for job_id, states in sorted(record.dump.states.items()):
        found += [
            Violation(
                rule="result", job_id=job_id, text=f"{end.outcome} was accepted, the store says {state}"
            )
            for end in record.accepted_settles(job_id, TERMINAL)
            for state in states
            if state not in {end.outcome, TRIMMED}
        ]
        if "completed" in states:
            found += [
                Violation(rule="result", job_id=job_id, text=text) for text in _result_flaws(record, job_id)
            ]
    return found


def _result_flaws(record: Record, job_id: str) -> Iterator[str]:
    endings = record.endings.get(job_id, {})
    returned = {nonce: end.result for nonce, end in endings.items() if end.outcome == "completed"}
    if record.runs and not returned:
        yield "completed, and no run of it returned"
        return
    # Without the settle's answer (its worker died before writing it down) any run may be the one.
    settles = record.accepted_settles(job_id, frozenset({"completed"}))
    nonces = {settle.nonce for settle in settles} or returned.keys()
    if returned and not nonces & returned.keys():
        yield f"the run of lease {', '.join(sorted(nonces))} was accepted and never returned"
        return
    kept = record.dump.results.get(job_id, "")
    expected = {returned[nonce] for nonce in nonces if nonce in returned}
    if record.dump.results and expected and kept not in expected:
        yield f"the store keeps {kept!r}, the accepted run returned {' or '.join(map(repr, sorted(expected)))}"


RULES = (
    accepted_jobs_are_accounted_for,
    unknown_jobs_are_whole_or_absent,
    settles_are_accepted_once,
    run_numbers_rise,
    runs_overlap_only_past_the_lease,
    reruns_have_a_reason,
    structures_agree,
    results_belong_to_the_accepted_run,
)


def check(record: Record) -> list[Violation]:
    """Apply every rule.

    Args:
        record: the scenario's events and dump.

    Returns:
        All violations, by rule and then by job; empty if every promise was kept.
    """
    return [violation for rule in RULES for violation in rule(record)]


def explain(violations: list[Violation], *, limit: int = 20) -> str:
    """Write violations for people: how many of each rule, then the first ones in full.

    Args:
        violations: what `check` found.
        limit: how many are written in full.

    Returns:
        Several lines; empty if there are no violations.
    """
    if not violations:
        return ""
    counts = Counter(violation.rule for violation in violations)
    lines = [", ".join(f"{rule}: {count}" for rule, count in sorted(counts.items()))]
    lines += [f"{found.rule} {found.job_id}: {found.text}" for found in violations[:limit]]
    if len(violations) > limit:
        lines.append(f"and {len(violations) - limit} more")
    return "\n".join(lines)
