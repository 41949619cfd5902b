"""One tenant's flood and one queue's flood: how many of theirs go before what others have in line, told by the jobs' names."""

import itertools
from bisect import bisect_left

import pytest
from rig.checker import check, explain
from rig.figures import count, percentile
from rig.history import Accepted, Started, read_history
from rig.record import Dump, Record

from jobrunner.store.calls import MAX_BATCH

from .chaos_plugin import BANDS
from .scene import QUEUE

PART = 3000
"""Jobs of the flood that one call enqueues."""

SLOTS = 5
"""Jobs that a worker runs at once of this queue."""

WORKERS = 2


def flood(scene, number, *, seconds):
    """Jobs of tenant a, as many as it likes."""
    with scene.producer() as producer:
        for first in range(0, number, PART):
            payloads = [{"number": first + k, "seconds": seconds} for k in range(min(PART, number - first))]
            for handle in producer.enqueue_many(QUEUE, payloads, tenant="a"):
                scene.history.accepted(handle.id)


def started(scene):
    """Ids in the order in which their handlers began, each where it began first, with when."""
    found = {}
    for event in read_history(scene.folder):
        if isinstance(event, Started):
            found.setdefault(event.job_id, event.at_ms)
    return found


def overtaken(scene, jobs):
    """For each of these jobs: how many that are not among them began between its enqueue and its start; and ms of that."""
    accepted = {
        event.job_id: event.at_ms for event in read_history(scene.folder) if isinstance(event, Accepted)
    }
    began, mine = started(scene), set(jobs)
    others = sorted(at for job_id, at in began.items() if job_id not in mine)

    def between(from_ms, to_ms):
        return bisect_left(others, to_ms) - bisect_left(others, from_ms), to_ms - from_ms

    return {job_id: between(accepted[job_id], began[job_id]) for job_id in jobs}


@pytest.mark.parametrize(
    ("number", "after"),
    [
        pytest.param(3000, 200, marks=pytest.mark.chaos),
        pytest.param(50_000, 5000, marks=pytest.mark.slow),
    ],
)
def test_flood_of_one_tenant_is_not_before_what_others_enqueue(make_scene, figures, number, after):
    """Each tenant's k-th job comes after k of the flood's at the most, and after what workers had reserved by then."""
    scene, _ = make_scene()
    flood(scene, number, seconds=0.01)
    for _ in range(WORKERS):
        scene.worker(JOBRUNNER_LOG_LEVEL="info")
    small = {}
    with scene.producer() as producer:
        for k, tenant in enumerate("bcdef", 1):
            scene.until(
                lambda least=k * after: int(scene.stats().get("started", 0)) >= least,
                timeout_s=300,
                what="a part",
            )
            payloads = [{"number": k, "seconds": 0.01} for k in range(20)]
            handles = producer.enqueue_many(QUEUE, payloads, tenant=tenant)
            small[tenant] = [handle.id for handle in handles]
            for handle in handles:
                scene.history.accepted(handle.id)
    mine = list(itertools.chain(*small.values()))
    scene.until(lambda: None not in scene.redis.zmscore(f"jr:{{{QUEUE}}}:done", mine), timeout_s=300)
    waiting = scene.count("wait")
    scene.until_ended(number + len(mine), timeout_s=600)
    scene.stop()

    found = overtaken(scene, mine)
    waits = tuple(sorted(ms / 1000 for _, ms in found.values()))
    # A worker holds what it reserved before; another one may get on with later ones while it does.
    ahead = WORKERS * (MAX_BATCH + SLOTS) + (WORKERS - 1) * MAX_BATCH
    over = {
        (tenant, place): found[job_id][0] - place
        for tenant, ids in small.items()
        for place, job_id in enumerate(ids, 1)
    }
    figures.record(
        title=f"A tenant's flood of {number:,} jobs, and five tenants with 20 jobs each",
        injected="jobs of one tenant in the line that the others' jobs come into",
        faults=1,
        counts=scene.counts(),
        recovery_s=waits,
        recovery_of="from the enqueue of each of the small tenants' jobs to its start",
        note=(
            f"A small tenant's k-th job began after at most k + {max(over.values())} jobs of the flood, while {waiting:,} of "
            f"the flood still waited when the last one had ended; 95 of 100 waited for less than "
            f"{percentile(waits, 0.95):.2f} s."
        ),
    )
    scene.judge()
    scene.settled_once(number + len(mine))
    assert max(over.values()) <= ahead, over
    assert waiting > ahead + 20, "the flood was over before it could stand in anybody's way"


@pytest.mark.chaos
def test_flood_of_one_priority_goes_by_bands_in_a_queue(make_scene, figures):
    """Bands are strict: what is of a higher priority goes first however much there is, and nothing of a lower one is lost."""
    scene, _ = make_scene()
    jobs = {}
    with scene.producer() as producer:
        for part in range(3):
            for priority in range(10):
                handles = producer.enqueue_many(QUEUE, [{"number": part}] * 10, priority=(priority * 7) % 10)
                for handle in handles:
                    scene.history.accepted(handle.id)
                    jobs[handle.id] = (priority * 7) % 10
    worker = scene.worker()
    scene.until_ended(len(jobs))
    worker.terminate()
    assert worker.wait() == 0

    order = [jobs[job_id] for job_id in started(scene)]
    figures.record(
        title="Priorities 0 to 9 of one queue, all of them saturated",
        injected="thirty jobs of each priority in one line",
        faults=9,
        counts=scene.counts(),
        note="A band is served when those above it are empty, so the lowest one's share is none until then: it is promised so.",
    )
    scene.judge()
    scene.settled_once(len(jobs))
    assert order == sorted(order, reverse=True), order


@pytest.mark.chaos
def test_queues_of_every_priority_share_a_worker(make_scene, figures):
    """A queue's priority never takes the slots that another queue has for itself, so the lowest one's share is a fair one."""
    scene, _ = make_scene()
    ids = {name: scene.enqueue(150, queue=name, seconds=0.02) for name in BANDS}
    words = [word for name in BANDS[1:] for word in ("--queue", name)]
    worker = scene.worker(*words, queue=BANDS[0])
    scene.until(lambda: any(scene.states(name)["completed"] == 150 for name in BANDS))
    until_first = started(scene)
    for name in BANDS:
        scene.until_ended(150, queue=name)
    worker.terminate()
    assert worker.wait() == 0

    share = {name: sum(job_id in until_first for job_id in ids[name]) / len(until_first) for name in BANDS}
    record = together(scene, BANDS)
    figures.record(
        title="Ten queues of priorities 0 to 9 in one worker, all of them saturated",
        injected="150 jobs in each of the other queues",
        faults=9,
        counts=count(record),
        note=(
            f"Until the first queue was empty, the lowest priority had {100 * share[BANDS[0]]:.0f} of 100 starts, where a "
            "tenth is even."
        ),
    )
    violations = check(record)
    assert not violations, explain(violations)
    assert min(share.values()) >= 0.05, share


def together(scene, queues):
    """The history and the store, over several queues."""
    dumps = [scene.dump(name) for name in queues]
    return Record(
        read_history(scene.folder),
        Dump(
            states={job_id: states for dump in dumps for job_id, states in dump.states.items()},
            results={job_id: result for dump in dumps for job_id, result in dump.results.items()},
            leftovers=tuple(itertools.chain(*(dump.leftovers for dump in dumps))),
        ),
    )
