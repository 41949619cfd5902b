"""Requests and replies that are lost, delayed and reset; answers that are errors. By enumeration: at every k-th command."""

import asyncio
import random

import pytest
from rig.faults import Answer, DelayReply, DropReply, DropRequest, Reset, Say, named
from rig.faults import script as calls_of
from rig.figures import Counts
from rig.history import now_ms

from jobrunner.producing import BatchError
from jobrunner.store import calls
from jobrunner.store.address import from_environment
from jobrunner.store.connect import open_store
from jobrunner.store.scripts import SCRIPT_KEYS, script

from .flow import Flow

SHAS = {name: script(name).sha for name in SCRIPT_KEYS}
LATER = [4, 6, 7, 10, 13, 16, 20]
STEPS = "Two of five jobs ask for a retry, one of five does three steps, each of them once."
SCRIPTS = ["enqueue", "enqueue_one", "exchange", "extend", "recover", "note"]
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

NONSENSE = {
    "a word": b"+OK\r\n",
    "a number": b":7\r\n",
    "nothing": b"$-1\r\n",
    "a list": b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
    "a list of six": b"*6\r\n*1\r\n$1\r\na\r\n*1\r\n:1\r\n*1\r\n:1\r\n*0\r\n:1\r\n:1\r\n",
    "no UTF-8": b"*2\r\n$2\r\n\xff\xfe\r\n*0\r\n",
    "two answers": b"+OK\r\n+OK\r\n",
    "a push": b">2\r\n+message\r\n+x\r\n",
    "an array of billions": b"*4294967295\r\n",
    "nested": b"*1\r\n" * 10_000,
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x46",
}
"""What a server may say that is none, or that answers somebody else -> the bytes."""


def is_script(command):
    return command.name in ("EVALSHA", "EVAL")


@LOSSES
def test_every_seventh_command_goes_wrong_and_nothing_is_lost_or_doubled(scene, start_proxy, fault, figures):
    """Exchanges, enqueues, renewals and notes are hit in turn, since seven divides none of their rhythms."""
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    rule = proxy.every(7, fault, only=is_script)
    flow.enqueue(10, singly=True)
    flow.enqueue(140)
    rule.wait(hits=5)
    flow.end(
        figures,
        title="Every seventh command to Redis goes wrong",
        injected="the reply lost, the request lost, or the connection reset",
        faults_ms=rule.times_ms,
        note=STEPS,
    )


@pytest.mark.chaos
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8, *(pytest.param(k, marks=pytest.mark.slow) for k in LATER)])
@LOSSES
def test_each_script_can_go_wrong_at_its_kth_call(make_scene, start_proxy, fault, k, name, figures):
    """The sweep: every script, at its first calls, in every way."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    rule = proxy.at(k, fault, only=calls_of(SHAS[name]))
    flow = Flow(scene, proxy.url)
    flow.enqueue(10, singly=True)
    flow.enqueue_until(rule)
    flow.enqueue(5)
    flow.end(
        figures,
        title="Each script goes wrong once, at its k-th call",
        injected="the reply lost, the request lost, or the connection reset",
        faults_ms=rule.times_ms,
        note=STEPS,
    )


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            error, marks=[] if error.startswith("LOADING") else pytest.mark.chaos, id=error.split()[0]
        )
        for error in ERRORS
    ],
)
def test_answer_that_is_an_error_ends_nothing_and_charges_nobody(make_scene, start_proxy, error, figures):
    """Each word of refusal, for each script and for other commands of a worker: it tries again by itself."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    rules = [proxy.at(3, Answer(error), only=calls_of(SHAS[name])) for name in SCRIPTS]
    rules += [proxy.at(1, Answer(error), only=named(name)) for name in ("BLPOP", "TIME", "HSET")]
    flow.enqueue(10, singly=True)
    flow.enqueue_until(*rules)
    flow.enqueue(5)
    flow.end(
        figures,
        title="Redis refuses a call of each script, and other commands",
        injected=f"an error in the answer's place, each of {len(ERRORS)} words of refusal",
        faults_ms=[time_ms for rule in rules for time_ms in rule.times_ms],
        note=STEPS,
    )


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(said, marks=[] if name == "a list" else pytest.mark.chaos, id=name)
        for name, said in NONSENSE.items()
    ],
)
def test_answer_of_another_shape_ends_nothing_and_charges_nobody(make_scene, start_proxy, said):
    """A proxy that is out of step, another program at the port: it is asked again, and no loop dies of it."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    rules = [proxy.at(3, Say(said), only=calls_of(SHAS[name])) for name in SCRIPTS]
    rules += [proxy.at(1, Say(said), only=named(name)) for name in ("BLPOP", "TIME", "HSET")]
    flow.enqueue(10, singly=True)
    flow.enqueue_until(*rules)
    flow.enqueue(5)
    flow.finish()
    flow.judge()


@pytest.mark.chaos
@pytest.mark.parametrize("error", ERRORS, ids=lambda text: text.split()[0])
def test_store_that_refuses_every_third_command_is_only_slow(make_scene, start_proxy, error, figures):
    """Refusals that go on, also at connecting and greeting, until the store is well again."""
    scene, _ = make_scene(lease=1.0)
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    rule = proxy.every(3, Answer(error))
    scene.enqueue(40, seconds=0.002)
    rule.wait(hits=4)
    refused = rule.hits
    proxy.heal()
    healed_ms = now_ms()
    flow.enqueue(10)
    scene.until_ended(50)
    figures.record(
        title="Redis refuses every third command for a while",
        injected=f"an error in the answer's place, each of {len(ERRORS)} words of refusal",
        faults=refused,
        counts=scene.counts(),
        recovery_s=scene.resumptions([healed_ms]),
        recovery_of="from the last refusal to the next outcome that the store took",
    )
    scene.judge()
    assert flow.worker.alive


@pytest.mark.chaos
def test_reply_that_comes_too_late_is_asked_for_again(scene, start_proxy, figures):
    """Past the deadline the answer counts as lost; its connection is closed, so it cannot answer the next call."""
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    struck = proxy.watch(4, only=calls_of(SHAS["exchange"]))
    proxy.at(4, DelayReply(12.0), only=calls_of(SHAS["exchange"]))
    flow.enqueue(40)
    struck.wait()
    flow.end(
        figures,
        title="A reply comes after its deadline",
        injected="a reply that is held back for 12 s",
        faults_ms=struck.times_ms,
        note="Most of the recovery is the deadline itself. " + STEPS,
    )


@pytest.mark.chaos
@pytest.mark.parametrize("seconds", [3.0, 20.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_black_hole_ends_with_work_going_on(make_scene, start_proxy, seconds, figures):
    """Packets vanish without a word for several leases, on every connection; afterwards all is as before."""
    scene, _ = make_scene(lease=1.0, timeout=60 + 2 * seconds)  # a job outlasts the hole that it runs into
    proxy = start_proxy(scene.url)
    flow = Flow(scene, proxy.url)
    begun = proxy.watch(3, only=calls_of(SHAS["exchange"]))
    flow.enqueue(20, seconds=0.05)
    begun.wait()
    proxy.black_hole()
    with pytest.raises(BatchError), scene.producer(url=proxy.url, retry_for=seconds) as producer:
        producer.enqueue_many("chaos.work", [{"number": 0}])
    proxy.heal()
    healed_ms = now_ms()
    flow.enqueue(20)
    flow.end(
        figures,
        title="Packets vanish on every connection",
        injected="a black hole of 3 s, of 20 s, and in the long version of 60 s",
        faults_ms=[healed_ms],
        since="from the end of the fault",
        note=STEPS,
    )
    assert max(scene.resumptions([healed_ms])) <= 15.0


@pytest.mark.chaos
def test_cancelled_calls_never_take_each_others_answers(scene, start_proxy, figures):
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
    mixed = sum(answer != f"call {number}".encode() for number, answer in answers)
    figures.record(
        title="Callers give up half-way",
        injected="600 calls in flight on delayed replies, half of them cancelled",
        faults=600 - len(answers),
        counts=Counts(jobs=0, lost=0, duplicates=0, reruns=0),
        note=f"No jobs: {len(answers)} calls were answered, {mixed} with the answer of another call.",
    )

    assert len(answers) > 200
    assert all(answer == f"call {number}".encode() for number, answer in answers)
    assert rule.hits > 50
