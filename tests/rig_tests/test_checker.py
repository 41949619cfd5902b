"""The history checker finds planted faults, and finds nothing in good histories."""

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig.checker import Rule, Violation, check, explain
from rig.history import Accepted, Ended, Harmed, Leased, Settled, Started

from rig_tests.scenarios import LEASE_MS, Life, Scenario, lives

PLAIN = Life()
KILLED = Life(("kill",))
FROZEN = Life(("freeze",))


def rules(violations: list[Violation]) -> set[Rule]:
    return {violation.rule for violation in violations}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives())
def test_good_history_has_no_violations(drawn: list[Life]) -> None:
    """A checker that cries wolf is switched off."""
    assert explain(check(Scenario(*drawn).record())) == ""


def test_lost_job_is_found_although_another_ran_twice() -> None:
    """Counts agree here: two accepted, two runs. Only identity tells."""
    scenario = Scenario(PLAIN, Life(("release",)))
    scenario.events = [event for event in scenario.events if getattr(event, "job_id", "") != "job-0"]
    scenario.events.append(Accepted(at_ms=scenario.later_ms(), job_id="job-0"))
    del scenario.states["job-0"]

    found = check(scenario.record())

    assert found == [Violation(rule="accounted", job_id="job-0", text="accepted, and not in the store")]


@pytest.mark.parametrize("state", ["waiting", "delayed", "active", "parked"])
def test_job_left_behind_is_found_in_a_drained_store(state: str) -> None:
    """Accepted, never lost, never done: the worker that stays up and does nothing."""
    scenario = Scenario(PLAIN)
    scenario.events = [event for event in scenario.events if not isinstance(event, Settled)]
    scenario.states["job-0"] = (state,)

    assert rules(check(scenario.record())) == {"accounted"}
    assert check(scenario.record(drained=False)) == []


def test_unknown_job_may_be_absent_but_not_half_done() -> None:
    """A lost answer leaves the producer in doubt, never the store."""
    scenario = Scenario(Life(enqueue="unknown, absent"), Life(enqueue="unknown"))
    assert check(scenario.record()) == []

    del scenario.states["job-1"]
    del scenario.results["job-1"]

    assert rules(check(scenario.record())) == {"unknown"}


def test_settle_accepted_twice_is_found() -> None:
    """One lease, one settle: a replay is answered, not applied again."""
    scenario = Scenario(PLAIN)
    scenario.events += scenario.find(Settled)

    assert rules(check(scenario.record())) == {"settled"}


def test_accepted_settle_of_a_stale_run_is_found() -> None:
    """The zombie's acknowledgement is what nonces exist for."""
    scenario = Scenario(FROZEN)
    refused = scenario.find(Settled)[0]
    scenario.events.remove(refused)
    scenario.events.append(msgspec.structs.replace(refused, verdict="accepted"))

    assert {"settled", "rerun"} <= rules(check(scenario.record()))


def test_swapped_results_are_found() -> None:
    """Each job is completed once and has a result; it is the other one's."""
    scenario = Scenario(PLAIN, PLAIN)
    results = scenario.results
    results["job-0"], results["job-1"] = results["job-1"], results["job-0"]

    found = check(scenario.record())

    assert [(violation.rule, violation.job_id) for violation in found] == [
        ("result", "job-0"),
        ("result", "job-1"),
    ]


def test_result_of_the_refused_run_is_found() -> None:
    """A frozen worker that comes back must not write over what the newer run returned."""
    scenario = Scenario(FROZEN)
    scenario.results["job-0"] = "stale"

    assert rules(check(scenario.record())) == {"result"}


def test_completed_job_that_never_returned_is_found() -> None:
    """A store that completes jobs by itself would look perfect to any count."""
    scenario = Scenario(PLAIN, PLAIN)
    scenario.events = [
        event for event in scenario.events if not (isinstance(event, Ended) and event.job_id == "job-0")
    ]

    assert [violation.rule for violation in check(scenario.record())] == ["result"]


def test_state_that_contradicts_the_accepted_settle_is_found() -> None:
    """What was accepted as completed may not be failed in the end."""
    scenario = Scenario(PLAIN)
    scenario.states["job-0"] = ("failed",)

    assert rules(check(scenario.record())) == {"result"}


def test_rerun_without_a_kill_is_found() -> None:
    """The job of one worker ran again because another worker was killed: that is no reason."""
    scenario = Scenario(KILLED, PLAIN)
    harm = scenario.find(Harmed)[0]
    scenario.events.remove(harm)
    scenario.events.append(msgspec.structs.replace(harm, leased={"job-1": "nonce-1"}))

    found = check(scenario.record())

    assert ("rerun", "job-0") in {(violation.rule, violation.job_id) for violation in found}
    assert {violation.job_id for violation in found} == {"job-0"}


def test_each_rerun_needs_a_kill_of_its_own() -> None:
    """One kill explains one re-run, not three."""
    scenario = Scenario(Life(("kill", "kill")))
    scenario.events.remove(scenario.find(Harmed)[1])

    assert "rerun" in rules(check(scenario.record()))


def test_kill_of_another_lease_does_not_explain_a_rerun() -> None:
    """The lease that was taken away must be the one that the earlier run had, not any of its worker's."""
    scenario = Scenario(KILLED)
    harm = scenario.find(Harmed)[0]
    scenario.events.remove(harm)
    scenario.events.append(msgspec.structs.replace(harm, leased={"job-0": "an older lease"}))

    assert "rerun" in rules(check(scenario.record()))


@pytest.mark.parametrize("finish", ["completed", "failed"])
def test_run_after_the_end_is_found(finish: str) -> None:
    """Even a kill is no reason to run what is done."""
    scenario = Scenario(msgspec.convert({"finish": finish}, Life))
    started, settled = scenario.find(Started)[0], scenario.find(Settled)[0]
    scenario.events.append(
        Harmed(
            at_ms=settled.at_ms,
            since_ms=started.at_ms,
            worker=started.worker,
            harm="killed",
            leased={"job-0": started.nonce},
        )
    )
    scenario.events.append(
        Started(at_ms=scenario.later_ms(), job_id="job-0", run=2, nonce="again", worker="other")
    )

    assert "rerun" in rules(check(scenario.record()))


def test_overlapping_leases_are_found() -> None:
    """Two live leases of one job at a time are what a lease exists to prevent."""
    scenario = Scenario(FROZEN)
    lease = scenario.find(Leased)[0]
    scenario.events.append(
        Leased(
            at_ms=lease.at_ms + 1,
            job_id=lease.job_id,
            nonce=lease.nonce,
            until_ms=lease.until_ms + 2 * LEASE_MS,
        )
    )

    assert rules(check(scenario.record())) == {"overlap"}


def test_overlap_without_known_leases_needs_harm() -> None:
    """Where nobody writes leases down, a frozen worker explains the overlap and nothing else does."""
    scenario = Scenario(FROZEN)
    scenario.events = [event for event in scenario.events if not isinstance(event, Leased)]
    assert check(scenario.record()) == []

    scenario.events = [event for event in scenario.events if not isinstance(event, Harmed)]

    assert rules(check(scenario.record())) == {"overlap", "rerun"}


def test_run_number_that_does_not_rise_is_found() -> None:
    """The number fences what a handler writes outside; two runs may not share it."""
    scenario = Scenario(KILLED)
    second = scenario.find(Started)[1]
    scenario.events.remove(second)
    scenario.events.append(msgspec.structs.replace(second, run=1))

    assert rules(check(scenario.record())) == {"numbered"}


def test_lease_that_starts_its_job_twice_is_found() -> None:
    """A worker that hands one reservation to its handler twice."""
    scenario = Scenario(PLAIN)
    scenario.events += scenario.find(Started)

    assert "numbered" in rules(check(scenario.record()))


@pytest.mark.parametrize(
    ("dump", "text"),
    [
        ({"states": {"job-0": ("completed", "waiting")}}, "in 2 structures"),
        ({"states": {"job-0": ("completed",), "ghost": ("completed",)}}, "nobody enqueued it"),
        ({"leftovers": ("unique:a",)}, "left over: unique:a"),
        ({"counts": {"completed": 1, "active": 1}}, "told 1 active, holds 0"),
        ({"counts": {"active": 0}}, "told 0 completed, holds 1"),
    ],
)
def test_structures_that_disagree_are_found(dump: dict[str, object], text: str) -> None:
    """Counts that people see, and what is really there, are one thing."""
    found = check(Scenario(PLAIN).record(drained=False, **dump))

    assert "structure" in rules(found)
    assert text in explain(found)


def drop_job(scenario: Scenario, job_id: str) -> Rule:
    del scenario.states[job_id]
    accepted = any(isinstance(event, Accepted) and event.job_id == job_id for event in scenario.events)
    return "accounted" if accepted else "unknown"


def spoil_result(scenario: Scenario, job_id: str) -> Rule:
    ends = [event for event in scenario.find(Ended) if event.job_id == job_id]
    scenario.events.remove(ends[-1])
    scenario.events.append(msgspec.structs.replace(ends[-1], outcome="completed", result="another"))
    scenario.states[job_id] = ("completed",)
    scenario.results[job_id] = "not what it returned"
    return "result"


def double_settle(scenario: Scenario, job_id: str) -> Rule:
    last = [event for event in scenario.find(Ended) if event.job_id == job_id][-1]
    settle = Settled(
        at_ms=scenario.later_ms(), job_id=job_id, nonce=last.nonce, outcome=last.outcome, verdict="accepted"
    )
    scenario.events += [settle, settle]
    return "settled"


def run_again(scenario: Scenario, job_id: str) -> Rule:
    scenario.events.append(
        Started(at_ms=scenario.later_ms(), job_id=job_id, run=99, nonce="again", worker="other")
    )
    return "rerun"


def overlap(scenario: Scenario, job_id: str) -> Rule:
    last = [event for event in scenario.find(Started) if event.job_id == job_id][-1]
    scenario.events.append(Started(at_ms=last.at_ms, job_id=job_id, run=99, nonce="beside", worker="other"))
    return "overlap"


def put_in_two_places(scenario: Scenario, job_id: str) -> Rule:
    scenario.states[job_id] += ("waiting",)
    return "structure"


MUTATIONS: list[Callable[[Scenario, str], Rule]] = [
    drop_job,
    spoil_result,
    double_settle,
    run_again,
    overlap,
    put_in_two_places,
]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives(), st.sampled_from(MUTATIONS), st.randoms(use_true_random=False))
def test_mutation_of_any_good_history_is_found(
    drawn: list[Life], mutate: Callable[[Scenario, str], Rule], chance: random.Random
) -> None:
    """The checker is itself checked: whatever else goes on, one fault is seen, and blamed on its job."""
    scenario = Scenario(*drawn, PLAIN)
    job_id = chance.choice(sorted(scenario.states))

    rule = mutate(scenario, job_id)

    assert (rule, job_id) in {(found.rule, found.job_id) for found in check(scenario.record())}


def test_explanation_counts_all_and_shows_the_first() -> None:
    """A storm that loses a thousand jobs must be readable in a terminal."""
    found = [Violation(rule="accounted", job_id=f"job-{n}", text="lost") for n in range(5)]

    assert explain(found, limit=2).splitlines() == [
        "accounted: 5",
        "accounted job-0: lost",
        "accounted job-1: lost",
        "and 3 more",
    ]
