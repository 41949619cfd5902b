"""Figures say what the history says, and reach the page whole."""

import json
import threading
from pathlib import Path

import pytest
from rig.figures import (
    VARIABLE,
    Counts,
    Figures,
    FiguresError,
    Recorder,
    append,
    count,
    look_around,
    percentile,
    read_figures,
    recoveries,
    resumptions,
    taken_back,
)
from rig.history import Accepted, Ended, Event, Harmed, Recovered, Settled, Started
from rig.record import Dump, Record

NONE_LOST = Counts(jobs=3, lost=0, duplicates=0, reruns=1)


def recorded(path: Path, test: str = "tests/chaos/test_kill.py::test_it", **more: object) -> Figures:
    recorder = Recorder(test, environ={VARIABLE: str(path)})
    words: dict[str, object] = {
        "title": "Killed",
        "injected": "a kill",
        "faults": 2,
        "counts": NONE_LOST,
    } | more
    try:
        return recorder.record(**words)  # type: ignore[arg-type]  # a test may leave out or replace any of them
    finally:
        recorder.close(passed=True)


def test_figures_are_read_back_as_they_were_recorded(tmp_path: Path) -> None:
    """The page is made from what is read."""
    path = tmp_path / "figures.jsonl"

    told = recorded(
        path,
        "tests/chaos/test_kill.py::test_it[a@b-1]@cluster",
        recovery_s=[2.0, 0.50049, 1.0],
        recovery_of="from here to there",
    )
    ground = look_around()
    append(path, ground)
    append(path, ground)

    assert read_figures(path) == ([ground], [told])
    assert told.recovery_s == (0.5, 1.0, 2.0)
    assert told.test == "tests/chaos/test_kill.py::test_it[a@b-1]", "without the group of xdist"
    assert ground.processors > 0
    assert all(name.split()[0] in ("Valkey", "Redis") for name in ground.servers)


def test_nothing_is_written_where_nobody_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default run leaves no file behind."""
    monkeypatch.chdir(tmp_path)

    recorder = Recorder("test", environ={})
    recorder.record(title="T", injected="i", faults=1, counts=NONE_LOST)
    recorder.close(passed=True)

    assert list(tmp_path.iterdir()) == []


def test_figures_of_a_test_that_fails_say_so(tmp_path: Path) -> None:
    """A page that left them out would only ever show what is well."""
    path = tmp_path / "figures.jsonl"
    recorder = Recorder("test", environ={VARIABLE: str(path)})
    recorder.record(title="T", injected="i", faults=1, counts=NONE_LOST)
    assert not path.exists()

    recorder.close(passed=False)
    recorder.close(passed=False)

    assert [figures.passed for figures in read_figures(path)[1]] == [False]


def test_lines_of_writers_at_once_are_whole(tmp_path: Path) -> None:
    """Tests run in several processes, and all append to one file."""
    path = tmp_path / "figures.jsonl"
    waits = [float(number) for number in range(3000)]
    writers = [
        threading.Thread(target=recorded, args=(path,), kwargs={"recovery_s": waits, "recovery_of": "it"})
        for _ in range(8)
    ]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [len(figures.recovery_s) for figures in read_figures(path)[1]] == [3000] * 8


@pytest.mark.parametrize("more", [{"faults": 0}, {"recovery_s": [1.0]}])
def test_figures_that_make_no_sense_are_refused(tmp_path: Path, more: dict[str, object]) -> None:
    """A test in which nothing went wrong must not stand on the page."""
    with pytest.raises(FiguresError, match=r"test_it: "):
        recorded(tmp_path / "figures.jsonl", **more)


def test_line_that_is_no_figures_is_named(tmp_path: Path) -> None:
    """A page must not be made from half a file."""
    path = tmp_path / "figures.jsonl"
    recorded(path)
    with path.open("a") as file:
        file.write(json.dumps({"type": "figures", "test": "x"}) + "\n")

    with pytest.raises(FiguresError, match=r"figures.jsonl:2: "):
        read_figures(path)


def run(job_id: str, number: int, at_ms: int) -> Started:
    return Started(at_ms=at_ms, job_id=job_id, run=number, nonce=f"{job_id}{number}", worker="w")


def end(job_id: str, number: int, outcome: str, at_ms: int) -> list[Event]:
    nonce = f"{job_id}{number}"
    return [
        Ended(at_ms=at_ms, job_id=job_id, nonce=nonce, outcome=outcome),  # type: ignore[arg-type]  # for brevity
        Settled(at_ms=at_ms, job_id=job_id, nonce=nonce, outcome=outcome, verdict="accepted"),  # type: ignore[arg-type]  # as above
    ]


def accepted(*names: str) -> list[Event]:
    return [Accepted(at_ms=0, job_id=name) for name in names]


def test_lost_is_what_was_accepted_and_did_not_end() -> None:
    """By identity: a job that ended twice does not make up for one that is not there."""
    events = [*accepted("a", "b", "c"), run("a", 1, 1), *end("a", 1, "completed", 2)]
    dump = Dump.of({"a": "completed", "b": "waiting"})

    assert count(Record(events, dump)).lost == 2
    assert count(Record(events, dump, drained=False)).lost == 1
    assert count(Record(events, dump)).jobs == 3


def test_duplicate_is_a_second_end_of_a_job() -> None:
    """What the store refused is none; what it took from two runs is one."""
    events = [*accepted("a"), run("a", 1, 1), run("a", 2, 3)]
    refused = Settled(at_ms=9, job_id="a", nonce="a1", outcome="completed", verdict="refused")
    dump = Dump.of({"a": "completed"})

    once = count(Record([*events, *end("a", 2, "completed", 5), refused], dump))
    twice = count(Record([*events, *end("a", 1, "completed", 5), *end("a", 2, "completed", 6)], dump))

    assert (once.duplicates, twice.duplicates) == (0, 1)


def test_rerun_is_a_run_that_no_handler_asked_for() -> None:
    """A retry is the job's own wish; the run after a kill is not."""
    asked = [run("a", 1, 1), *end("a", 1, "retried", 2), run("a", 2, 3), *end("a", 2, "completed", 4)]
    harmed = [run("b", 1, 1), run("b", 2, 5), *end("b", 2, "completed", 6)]
    dump = Dump.of({"a": "completed", "b": "completed"})

    assert count(Record([*accepted("a", "b"), *asked, *harmed], dump)).reruns == 1


def test_recovery_is_the_wait_from_the_harm_to_the_next_run() -> None:
    """Of each job that was leased, and for each harm."""
    kill = Harmed(
        at_ms=1000, since_ms=990, worker="w", harm="killed", leased={"a": "a1", "b": "b1", "c": "c1"}
    )
    again = Harmed(at_ms=4000, since_ms=3990, worker="w", harm="killed", leased={"a": "a2"})
    runs = [run("a", 1, 500), run("a", 2, 3000), run("a", 3, 5500), run("b", 1, 600), run("b", 2, 2000)]

    waits = recoveries(Record([kill, again, *runs], Dump.of({})))

    assert waits == [1.0, 1.5, 2.0], "c did not run again"


def test_lease_is_taken_back_before_the_next_run() -> None:
    """In a long line the next run says how long the line is; this says how long the engine needs."""
    kill = Harmed(at_ms=1000, since_ms=990, worker="w", harm="killed", leased={"a": "a1", "b": "b1"})
    back = [Recovered(at_ms=900, job_id="a"), Recovered(at_ms=3100, job_id="a"), run("a", 2, 9000)]

    assert taken_back(Record([kill, *back], Dump.of({}))) == [2.1], "b was not taken back"


def test_resumption_is_the_wait_for_the_next_outcome() -> None:
    """What the store refused is no sign that work goes on, and a fault after the last outcome shows nothing."""
    refused = Settled(at_ms=1500, job_id="a", nonce="n", outcome="completed", verdict="refused")
    events = [*end("a", 1, "completed", 1000), refused, *end("b", 1, "retried", 2500)]

    assert resumptions(events, [2600, 1200, 900]) == [0.1, 1.3]


def test_promise_of_both_is_one_of_each(tmp_path: Path) -> None:
    """The page holds each number against its own promise."""
    both, lost, neither = (
        recorded(tmp_path / "file", **more)
        for more in ({}, {"promised": False, "none_lost_promised": True}, {"promised": False})
    )

    assert [one.none_lost_promised for one in (both, lost, neither)] == [True, True, False]


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.51, 3.0), (0.99, 4.0), (1.0, 4.0), (0.01, 1.0)])
def test_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    """By nearest rank, so that p99 of few values is their greatest."""
    assert percentile((1.0, 2.0, 3.0, 4.0), share) == value
