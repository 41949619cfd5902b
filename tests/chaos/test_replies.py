"""Requests and replies that are lost, delayed and reset; answers that are errors. By enumeration: at every k-th command."""

import asyncio
import random

import pytest
from rig.faults import Answer, DelayReply, DropReply, DropRequest, Reset, named
from rig.faults import script as calls_of

from jobrunner.producing import BatchError
from jobrunner.store import calls
from jobrunner.store.address import from_environment
from jobrunner.store.connect import open_store
from jobrunner.store.scripts import SCRIPT_KEYS, script

from .flow import Flow

SHAS = {name: script(name).sha for name in SCRIPT_KEYS}
SCRIPTS = ["enqueue", "exchange", "extend", "recover", "note"]
LOSSES = pytest.mark.parametrize(
    "fault", [DropReply(), DropRequest(), Reset()], ids=["reply lost", "request lost", "reset"]
)
ERRORS = [
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOREPLICAS Not enough good replicas to write.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOSCRIPT No matching script. Please use EVAL.",
    "UNBLOCKED client unblocked via CLIENT UNBLOCK",
    "ERR max number of clients reached",
    "NOAUTH Authentication required.",
]


def is_script(command):
    return command.name in ("EVALSHA", "EVAL")


@LOSSES
def test_every_seventh_command_goes_wrong_and_nothing_is_lost_or_doubled(scene, start_proxy, fault):
    """Exchanges, enqueues, renewals and notes are hit in turn, since seven divides none of their rhythms."""
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    rule = proxy.every(7, fault, only=is_script)
    flow.enqueue(10, singly=True)
    flow.enqueue(140)
    rule.wait(hits=5)
    flow.end()


@pytest.mark.chaos
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
@LOSSES
def test_each_script_can_go_wrong_at_its_kth_call(make_scene, start_proxy, fault, k, name):
    """The sweep: every script, at its first calls, in every way."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    rule = proxy.at(k, fault, only=calls_of(SHAS[name]))
    flow = Flow(scene, proxy.url)
    flow.enqueue(10, singly=True)
    flow.enqueue_until(rule)
    flow.enqueue(5)
    flow.end()


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            error, marks=[] if error.startswith("LOADING") else pytest.mark.chaos, id=error.split()[0]
        )
        for error in ERRORS
    ],
)
def test_answer_that_is_an_error_ends_nothing_and_charges_nobody(make_scene, start_proxy, error):
    """Each word of refusal, for each script and for other commands of a worker: it tries again by itself."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    rules = [proxy.at(3, Answer(error), only=calls_of(SHAS[name])) for name in SCRIPTS]
    rules += [proxy.at(1, Answer(error), only=named(name)) for name in ("BLPOP", "TIME", "HSET")]
    flow.enqueue(10, singly=True)
    flow.enqueue_until(*rules)
    flow.enqueue(5)
    flow.end()


@pytest.mark.chaos
@pytest.mark.parametrize("error", ERRORS, ids=lambda text: text.split()[0])
def test_store_that_refuses_every_third_command_is_only_slow(make_scene, start_proxy, error):
    """Refusals that go on, also at connecting and greeting, until the store is well again."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    rule = proxy.every(3, Answer(error))
    scene.enqueue(40, seconds=0.002)
    rule.wait(hits=4)
    proxy.heal()
    flow.enqueue(10)
    scene.until_ended(50)
    scene.judge()
    assert flow.worker.alive


@pytest.mark.chaos
def test_reply_that_comes_too_late_is_asked_for_again(scene, start_proxy):
    """Past the deadline the answer counts as lost; its connection is closed, so it cannot answer the next call."""
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    struck = proxy.watch(4, only=calls_of(SHAS["exchange"]))
    proxy.at(4, DelayReply(12.0), only=calls_of(SHAS["exchange"]))
    flow.enqueue(40)
    struck.wait()
    flow.end()


@pytest.mark.chaos
@pytest.mark.parametrize("seconds", [3.0, 20.0])
def test_black_hole_ends_with_work_going_on(make_scene, start_proxy, seconds):
    """Packets vanish without a word for several leases, on every connection; afterwards all is as before."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    begun = proxy.watch(3, only=calls_of(SHAS["exchange"]))
    flow.enqueue(20, seconds=0.05)
    begun.wait()
    proxy.black_hole()
    with pytest.raises(BatchError), scene.producer(url=proxy.url, retry_for=seconds) as producer:
        producer.enqueue_many("chaos.work", [{"number": 0}])
    proxy.heal()
    flow.enqueue(20)
    flow.end()


@pytest.mark.chaos
def test_cancelled_calls_never_take_each_others_answers(scene, start_proxy):
    """A caller that gives up half-way must not leave its answer to the next one."""
    proxy = start_proxy(scene.url)
    rule = proxy.every(2, DelayReply(0.02))
    chance = random.Random(1)

    async def main():
        store = open_store(from_environment({"REDIS_URL": proxy.url}))
        answers = []

        async def ask(number):
            answers.append((number, await store.run(calls.command("ECHO", f"call {number}"))))

        for start in range(0, 600, 20):
            tasks = [asyncio.create_task(ask(number)) for number in range(start, start + 20)]
            await asyncio.sleep(chance.uniform(0, 0.03))
            for task in tasks:
                if chance.random() < 0.5:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
        return answers

    answers = asyncio.run(main())

    assert len(answers) > 200
    assert all(answer == f"call {number}".encode() for number, answer in answers)
    assert rule.hits > 50
