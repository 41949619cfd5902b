"""Handlers that harm the process they run in: its loop, its threads, its tasks. The worker ends its jobs, and itself."""

import json

import pytest

PLUGIN = """
import asyncio
import os
import threading
import msgspec
from jobrunner import Job, Queue, RetryPolicy, hookimpl


class Harm(msgspec.Struct, forbid_unknown_fields=True):
    how: str


async def do(job: Job[Harm]) -> str:
    loop = asyncio.get_running_loop()
    match job.payload.how:
        case "stop":
            loop.stop()
        case "interrupt" | "exit":
            loop.call_soon(raising(KeyboardInterrupt if job.payload.how == "interrupt" else SystemExit(5)))
        case "task":
            task = asyncio.create_task(interrupted())
            await asyncio.wait([task])
            task.exception()
        case "fork":
            if (child := os.fork()) != 0:
                os.waitpid(child, 0)
        case "thread":
            threading.Thread(target=threading.Event().wait).start()
        case "leak":
            for _ in range(50):
                loop.create_task(asyncio.Event().wait())
        case "close":
            os.close(1)
            assert os.open("taken", os.O_WRONLY | os.O_CREAT) == 1
        case "cancel":
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
    await asyncio.sleep(0.01)
    return "done"


async def interrupted() -> None:
    raise KeyboardInterrupt


def raising(error):
    def fall():
        raise error
    return fall


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [Queue("harm.do", Harm, do, retry=RetryPolicy(max_attempts=1), lease=2)]
"""


@pytest.fixture
def harmed(desk):
    """Return a function that enqueues a job that does harm and one that does none, and runs a worker."""
    (desk.folder / "harm.py").write_text(PLUGIN)
    desk.environ["JOBRUNNER_PLUGINS"] = "./harm.py"

    def run(how):
        for one in (how, "none"):
            assert desk.run("enqueue", "harm.do", json.dumps({"how": one})).status == 0
        return desk.process("run", "--burst", "--log-format", "json")

    return run


@pytest.mark.parametrize("how", ["stop", "interrupt", "exit", "task", "fork", "thread", "leak"])
def test_handler_that_harms_its_process_ends_as_any_other(desk, harmed, how):
    """What one job does to the loop that all of them share must not make the others run again."""
    ran = harmed(how)
    assert (ran.status, ran.err) == (0, "")
    (stats,) = desk.run("stats", "harm.do", "--json").json
    assert (stats["completed"], stats["completedTotal"], stats["total"]) == (2, 2, 2)
    events = [json.loads(line)["event"] for line in ran.out.splitlines()]
    assert events[-1] == "worker.stopped"


def test_log_lines_go_where_they_went_though_a_handler_closes_standard_output(desk, harmed):
    """What is opened next has its number: a socket of the store's, and each line would be a command to it."""
    ran = harmed("close")
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out.splitlines()[-1])["event"] == "worker.stopped"
    assert (desk.folder / "taken").read_text() == ""


def test_handler_that_cancels_the_worker_is_told_of_in_a_line(desk, harmed):
    """It cannot go on, and a traceback of asyncio's would tell nobody why."""
    ran = harmed("cancel")
    assert ran.status == 1
    assert "a handler cancelled tasks that were not its own" in ran.error
    (stats,) = desk.run("stats", "harm.do", "--json").json
    assert stats["total"] == 2
