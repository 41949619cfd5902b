"""Operators change limits while everything runs, and see what holds."""

import sys

import pytest


def limits(desk, *words):
    done = desk.run("limits", "parcel.deliver", *words, "--json")
    assert done.status == 0, done.err
    return {(row["tenant"], row["name"]): row for row in done.json}


def test_what_is_declared_and_what_is_set_stand_side_by_side(desk):
    """Whoever is called at night has to see which of the two holds."""
    assert limits(desk) == {
        ("", "max_waiting"): {"tenant": "", "name": "max_waiting", "declared": 1000, "byHand": None, "now": 0}
    }
    desk.enqueue()
    words = ("--max-active", "7", "--rate", "100/60", "--rate-per-tenant", "5/1:2", "--max-waiting", "0")
    found = limits(desk, *words, "--max-active-per-tenant", "3", "--max-waiting-bytes", "4096")
    assert {name: row["byHand"] for (_, name), row in found.items()} == {
        "max_active": 7,
        "max_active_per_tenant": 3,
        "rate": "100/60",
        "rate_per_tenant": "5/1:2",
        "max_waiting": 0,
        "max_waiting_bytes": 4096,
    }
    assert (found["", "max_waiting"]["declared"], found["", "max_waiting"]["now"]) == (1000, 1)
    table = desk.run("limits", "parcel.deliver").out.splitlines()
    assert table[0].split() == ["tenant", "limit", "declared", "by", "hand", "now"]
    assert any(line.split() == ["(the", "queue)", "max", "waiting", "1,000", "any", "1"] for line in table)


def test_limits_of_a_tenant_are_set_shown_and_cleared_alone(desk):
    """One tenant is slowed down; nothing changes for the others."""
    limits(desk, "--max-active", "9")
    limits(desk, "--tenant", "t2", "--weight", "2")
    found = limits(desk, "--tenant", "t1", "--max-active", "1", "--rate", "0", "--weight", "0.5")
    assert {key: row["byHand"] for key, row in found.items()} == {
        ("t1", "max_active"): 1,
        ("t1", "rate"): "",
        ("t1", "weight"): 0.5,
    }
    desk.run("pause", "parcel.deliver", "--tenant", "t1")
    assert set(limits(desk, "--tenant", "t1", "--clear")) == {("t1", "paused")}, "a pause is ended by resume"
    assert ("t2", "weight") in limits(desk)
    assert ("", "max_active") in limits(desk)
    assert ("", "max_active") not in limits(desk, "--clear")


def test_limit_that_was_set_holds_for_the_next_worker(desk):
    """And what it held goes on when it is cleared, in the same command."""
    limits(desk, "--tenant", "t1", "--rate", "1/3600")
    first, second = desk.enqueue(number=1), desk.enqueue(number=2)
    other = desk.enqueue(tenantId="t2")
    desk.run("pause", "parcel.deliver")
    limits(desk, "--tenant", "t1", "--clear")
    desk.run("resume", "parcel.deliver")
    desk.burst()
    states = [
        desk.run("jobs", "show", "parcel.deliver", one, "--json").json["state"]
        for one in (first, second, other)
    ]
    assert states == ["completed"] * 3


def test_rate_of_a_tenant_that_is_used_up_is_told_as_the_reason(desk, start_process):
    """With the time that is left."""
    limits(desk, "--tenant", "t1", "--rate", "1/3600")
    first, second = desk.enqueue(number=1), desk.enqueue(number=2)
    words = [sys.executable, "-m", "jobrunner", "run", "--log-format", "json", "--log-level", "info"]
    worker = start_process(words, env=desk.environ, cwd=desk.folder)
    worker.wait_for_line("job.completed")
    told = desk.run("jobs", "explain", "parcel.deliver", second).out
    worker.terminate()
    assert "tenant t1 has used up its rate of 1 job in 3600 s" in told
    assert desk.run("jobs", "show", "parcel.deliver", first, "--json").json["state"] == "completed"


@pytest.mark.parametrize(
    "words",
    [
        ("--rate", "fast"),
        ("--rate", "0/60"),
        ("--rate", "5/60:9"),
        ("--rate", "1/0"),
        ("--max-active", "-1"),
        ("--weight", "2"),
        ("--tenant", "t1", "--weight", "0"),
        ("--tenant", "t1", "--weight", "nan"),
        ("--tenant", "t1", "--max-waiting", "5"),
        ("--tenant", "t1", "--rate-per-tenant", "5/60"),
    ],
)
def test_limit_that_means_nothing_is_wrong_use(desk, words):
    """And changes nothing."""
    done = desk.run("limits", "parcel.deliver", *words)
    assert done.status == 2
    assert done.error
    assert set(limits(desk)) == {("", "max_waiting")}


def test_limits_of_a_queue_that_nobody_knows_are_refused(desk):
    """A typing mistake must not make a limit that holds for nothing."""
    assert "no queue" in desk.run("limits", "parcel.delivr", "--max-active", "1").error
