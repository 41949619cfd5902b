"""Requests and replies that are lost, delayed and reset; answers that are errors. By enumeration: at every k-th command."""

import pytest
from rig.faults import Answer, DelayReply, DropReply, DropRequest, Reset
from rig.faults import script as calls_of

from jobrunner.store.scripts import SCRIPT_KEYS, script

SHAS = {name: script(name).sha for name in SCRIPT_KEYS}

ERRORS = [
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "BUSY Redis is busy running a script.",
    "MASTERDOWN Link with MASTER is down",
    "MISCONF Redis is configured to save RDB snapshots",
    "NOREPLICAS Not enough good replicas to write.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOSCRIPT No matching script.",
    "UNBLOCKED force unblock from blocking operation",
    "ERR max number of clients reached",
    "NOAUTH Authentication required.",
]


def flow(scene, proxy, jobs, *, seconds=0.002):
    """Jobs flow through the proxy from a producer to a worker, to their end."""
    worker = scene.worker(url=proxy.url)
    with scene.producer(url=proxy.url) as producer:
        scene.enqueue(jobs, producer=producer, seconds=seconds)
    scene.until_ended(jobs, timeout_s=60)
    worker.terminate()
    assert worker.wait() == 0
    scene.judge()
    scene.settled_once(jobs)
    assert all(runs == 1 for runs in scene.runs().values()), "a job ran twice"


@pytest.mark.parametrize(
    "fault", [DropReply(), DropRequest(), Reset()], ids=["reply lost", "request lost", "reset"]
)
def test_every_seventh_command_goes_wrong_and_nothing_is_lost_or_doubled(scene, start_proxy, fault):
    """Exchanges, enqueues, renewals and notes are hit in turn, since seven divides none of their rhythms."""
    proxy = start_proxy(scene.url)
    proxy.every(7, fault, only=is_script)
    flow(scene, proxy, 200)


@pytest.mark.chaos
@pytest.mark.parametrize("name", ["enqueue", "exchange", "extend", "recover", "note"])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    "fault", [DropReply(), DropRequest(), Reset()], ids=["reply lost", "request lost", "reset"]
)
def test_each_script_can_go_wrong_at_its_kth_call(scene, start_proxy, fault, k, name):
    """The sweep: every script, at its first calls, in every way."""
    proxy = start_proxy(scene.url)
    proxy.at(k, fault, only=calls_of(SHAS[name]))
    flow(scene, proxy, 60, seconds=0.01)


@pytest.mark.chaos
@pytest.mark.parametrize("error", ERRORS, ids=lambda text: text.split()[0])
def test_answers_that_are_errors_end_nothing(scene, start_proxy, error):
    """Each word of refusal, for every fifth command: the worker tries again, and nothing is lost."""
    proxy = start_proxy(scene.url)
    worker = scene.worker(url=proxy.url)
    rule = proxy.every(5, Answer(error))
    with scene.producer() as producer:
        scene.enqueue(40, producer=producer, seconds=0.002)
    rule.wait(hits=2)
    proxy.heal()
    scene.until_ended(40, timeout_s=60)
    assert worker.alive
    worker.terminate()
    assert worker.wait() == 0
    scene.judge()
    scene.settled_once(40)


@pytest.mark.chaos
def test_reply_that_comes_too_late_is_asked_for_again(scene, start_proxy):
    """Past the deadline the answer counts as lost; its connection is closed, so it cannot answer the next call."""
    proxy = start_proxy(scene.url)
    proxy.at(4, DelayReply(10.0), only=is_script)
    flow(scene, proxy, 40)


@pytest.mark.chaos
def test_black_hole_ends_with_work_going_on(scene, start_proxy):
    """Packets vanish without a word for ten seconds; afterwards all is as before."""
    import time

    proxy = start_proxy(scene.url)
    worker = scene.worker(url=proxy.url)
    scene.enqueue(20, seconds=0.01)
    scene.until_ended(20)
    proxy.black_hole()
    scene.enqueue(20, first=20, seconds=0.01)
    time.sleep(10)
    proxy.heal()
    scene.until_ended(40, timeout_s=40)
    assert worker.alive
    worker.terminate()
    assert worker.wait() == 0
    scene.judge()
    scene.settled_once(40)


def is_script(command):
    return command.name in ("EVALSHA", "EVAL")
