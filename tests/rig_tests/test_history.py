"""Histories survive what the tests do to the processes that write them."""

import sys
from pathlib import Path

import pytest
import rig
from rig.fixtures import StartProcess
from rig.history import (
    Accepted,
    Ended,
    Harmed,
    History,
    HistoryError,
    Leased,
    Recovered,
    Settled,
    Started,
    Unknown,
    now_ms,
    read_file,
    read_history,
)

ENDLESS_WRITER = """
import sys
from pathlib import Path
from rig.history import History
history = History(Path(sys.argv[1]), "endless")
for number in range(10**9):
    history.accepted(f"job-{number}")
    if number == 100:
        print("going", flush=True)
"""


def test_every_event_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """The checker judges only what survives the way through the file."""
    with History(tmp_path, "worker") as history:
        history.accepted("a")
        history.unknown("b")
        history.leased("a", nonce="n", until_ms=5)
        history.started("a", run=1, nonce="n", worker="w")
        history.ended("a", nonce="n", outcome="completed", result='{"ok": "\u00fc\\n"}')
        history.settled("a", nonce="n", outcome="completed", verdict="accepted")
        history.recovered("a")
        history.harmed("w", harm="frozen", leased={"a": "n"}, since_ms=now_ms())

    events = read_history(tmp_path)

    kinds = [type(event) for event in events]
    assert kinds == [Accepted, Unknown, Leased, Started, Ended, Settled, Recovered, Harmed]
    ended, harmed = events[4], events[7]
    assert isinstance(ended, Ended)
    assert ended.result == '{"ok": "\u00fc\\n"}'
    assert isinstance(harmed, Harmed)
    assert harmed.leased == {"a": "n"}


def test_files_of_several_writers_are_one_history_in_order_of_time(tmp_path: Path) -> None:
    """Each process has its own file, also two of the same name."""
    with History(tmp_path, "worker") as one, History(tmp_path, "worker") as other:
        one.accepted("a")
        other.accepted("b")
        one.accepted("c")

    assert one.path != other.path
    events = read_history(tmp_path)
    assert {event.job_id for event in events if isinstance(event, Accepted)} == {"a", "b", "c"}
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)


def test_killed_writer_leaves_whole_lines(tmp_path: Path, start_process: StartProcess) -> None:
    """What a process did before a SIGKILL is known to the last event."""
    folder = tmp_path / "history"
    writer = start_process(
        [sys.executable, "-c", ENDLESS_WRITER, folder],
        env={"PYTHONPATH": str(Path(rig.__file__).parents[1])},
    )
    writer.wait_for_line("going")

    writer.kill()

    ids = [event.job_id for event in read_history(folder) if isinstance(event, Accepted)]
    assert len(ids) > 100
    assert ids == [f"job-{number}" for number in range(len(ids))]


def test_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A machine that loses power may tear the last line; the others still count."""
    with History(tmp_path, "worker") as history:
        history.accepted("a")
    with history.path.open("ab") as file:
        file.write(b'{"event":"accepted","at_')

    assert [type(event) for event in read_file(history.path)] == [Accepted]


@pytest.mark.parametrize("line", [b"not json", b'{"event":"unheard of","at_ms":1}', b""])
def test_broken_line_in_the_middle_is_an_error_with_its_place(tmp_path: Path, line: bytes) -> None:
    """A history with holes proves nothing, so it is refused."""
    with History(tmp_path, "worker") as history:
        history.accepted("a")
        with history.path.open("ab") as file:
            file.write(line + b"\n")
        history.accepted("b")

    with pytest.raises(HistoryError, match=r"worker-.*\.jsonl:2: not an event"):
        read_file(history.path)
