"""Handlers in processes of their own: what they ask for goes over a pipe, and they are ended from outside."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from jobrunner import JobCancelledError
from jobrunner.events import JobCancelled, JobFailed, JobLeaseLost, JobSnoozed

from .conftest import raw_client

FILE = Path(__file__).with_name("process_tasks.py")


@pytest.fixture
def in_processes(at_work):
    """Return a context manager: a worker of the queues of `process_tasks`."""
    return lambda **options: at_work(file=FILE, **options)


def text_of(path):
    return path.read_text() if path.exists() else ""


async def until_written(path):
    async with asyncio.timeout(20):
        while True:
            if text := text_of(path):
                return text
            await asyncio.sleep(0.01)


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until_gone(pid):
    async with asyncio.timeout(20):
        while True:
            if not is_there(pid):
                return
            await asyncio.sleep(0.01)


async def test_process_is_kept_for_the_next_job(in_processes):
    """Starting one takes as long as many jobs."""
    async with in_processes() as running:
        first = await (await running.enqueue()).result(timeout=30)
        second = await (await running.enqueue()).result(timeout=30)
        assert first == second != os.getpid()


async def test_file_of_this_folder_does_not_stand_in_for_a_module_of_python(
    in_processes, tmp_path, monkeypatch
):
    """A project with a `queue.py` is a project like any other."""
    (tmp_path / "queue.py").write_text("raise RuntimeError('in the place of another')\n")
    monkeypatch.chdir(tmp_path)

    async with in_processes() as running:
        assert await (await running.enqueue()).result(timeout=30) != os.getpid()


async def test_start_of_a_process_is_not_counted_as_the_jobs_own_time(in_processes):
    """On a busy machine it takes seconds, and a job that waited for it has done nothing wrong."""
    async with in_processes() as running:
        assert await (await running.enqueue(queue="task.quick")).result(timeout=30) == "quick"


async def test_process_that_died_while_idle_costs_no_job_anything(in_processes):
    """The system may end one at any time to get memory back."""
    async with in_processes() as running:
        pid = await (await running.enqueue()).result(timeout=30)
        os.kill(pid, signal.SIGKILL)
        await until_gone(pid)
        handle = await running.enqueue()
        assert await handle.result(timeout=30) != pid
        assert running.witness.of(JobLeaseLost) == []


async def test_snoozes_of_a_process_handler_have_their_end_too(in_processes):
    """The child does not know the job's history, and its parent does."""
    async with in_processes() as running:
        handle = await running.enqueue(how="snooze")
        await running.until(JobSnoozed)
        await running.admin.promote("task.do", [handle.id])
        assert "24 h is the most" in (await running.failure(handle)).error


async def test_odd_record_fails_its_job_before_any_process_has_it(in_processes, store_url):
    """What cannot be read now cannot be read at the next attempt."""
    async with in_processes() as running:
        with contextlib.closing(raw_client(store_url)) as client:
            client.hset("jr:{task.do}:jobs", "odd", b"not json at all")
            client.zadd("jr:{task.do}:wait", {"odd": 0})
            client.lpush("jr:{task.do}:wake", 1)
        assert (await running.until(JobFailed, job_id="odd")).error_type == "PayloadError"


async def test_process_handler_enqueues_with_all_options(in_processes):
    """A time, too: the pipe carries JSON, and JSON knows none."""
    async with in_processes() as running:
        handle = await running.enqueue(how="enqueue later")
        other = await running.admin.job("task.do", await handle.result(timeout=30))
        assert (other.state, other.priority, other.tenant) == ("delayed", 7, "t1")


async def test_process_handler_that_enqueues_wrongly_gets_the_error_with_its_field(in_processes):
    """As a handler on the loop does."""
    async with in_processes() as running:
        handle = await running.enqueue(how="enqueue wrongly")
        assert await handle.result(timeout=30) == ["refused: tenantId", "refused: "]


async def test_what_a_process_handler_says_is_kept_and_free_of_secrets(in_processes):
    """Lines and progress come from the handler's thread, all at once."""
    async with in_processes() as running:
        handle = await running.enqueue(how="talk", token="open-sesame")
        await handle.result(timeout=30)
        lines = await running.admin.logs("task.do", handle.id)
        view = await running.look(handle)

        numbers = [line["number"] for line in lines]
        assert numbers == list(range(numbers[0], 300))
        assert (view.progress, view.progress_message) == (pytest.approx(299 / 300, abs=1e-3), "299 ***")
        assert "open-sesame" not in f"{lines} {view}"
        assert view.steps == {"secret": {"kept": "***"}}


async def test_cancelled_process_handler_finishes_its_clean_up_before_another_job_runs_there(
    in_processes, tmp_path
):
    """It is asked first; nothing else runs beside it in its process."""
    file = tmp_path / "file"
    async with in_processes() as running:
        handle = await running.enqueue(how="busy until cancelled", file=str(file))
        await until_written(file)
        await running.admin.cancel("task.do", [handle.id], "enough")
        after = await running.enqueue()
        await after.result(timeout=30)
        assert file.read_text() == "cleaned up: enough"


async def test_cancelled_process_handler_that_does_not_listen_is_killed(in_processes, tmp_path, impatient):
    """A process can be ended, and is."""
    file = tmp_path / "file"
    async with in_processes() as running:
        handle = await running.enqueue(how="deaf", file=str(file))
        pid = int(await until_written(file))
        await running.admin.cancel("task.do", [handle.id], "enough")

        told = await running.until(JobCancelled)
        assert told.reason == "enough"
        with pytest.raises(JobCancelledError, match="enough"):
            await handle.result(timeout=20)
        assert not is_there(pid)


async def test_cancelled_coroutine_in_a_process_can_undo_what_it_did(in_processes, tmp_path):
    """Its last step is stored under its lease."""
    async with in_processes() as running:
        handle = await running.enqueue("task.wait", file=str(tmp_path / "file"))
        await until_written(tmp_path / "file")
        await running.admin.cancel("task.wait", [handle.id], "enough")
        await running.until(JobCancelled)
        assert (await running.look(handle)).steps == {"undone": "enough"}


async def test_job_in_a_process_is_given_back_at_the_end_of_the_grace(in_processes, tmp_path):
    """And the process does not outlive its worker."""
    file = tmp_path / "file"
    async with in_processes(grace=0.05) as running:
        handle = await running.enqueue(how="deaf", file=str(file))
        pid = int(await until_written(file))
        assert await running.stop() == 0
        assert await running.state(handle) == "waiting"
    assert not is_there(pid)
