"""The primary is killed under load: workers and producers go on by themselves, and what was confirmed is there."""

import secrets

import pytest
import redis
from rig.figures import Counts
from rig.history import now_ms

from jobrunner.errors import OutcomeUnknownError, StoreError
from jobrunner.producing import BatchError

from .scene import Scene

pytestmark = pytest.mark.chaos

PROMOTED = "from the promotion to the next outcome that the store took"
CONFIRMED = (
    'With durability="replicated" lost 0 is promised. Outcomes are not confirmed by the replica: a job whose outcome was '
    "lost with the primary runs again, and is then settled a second time."
)


def send(scene, producer, number, *, seconds=0.01):
    """Jobs that a replica has confirmed; a producer that is told "unknown" insists with the same ids."""
    ids = [f"job-{secrets.token_hex(6)}" for _ in range(number)]
    payloads = [{"number": k, "seconds": seconds} for k in range(number)]
    while True:
        try:
            producer.enqueue_many("chaos.work", payloads, job_ids=ids, durability="replicated")
        except (BatchError, StoreError):
            continue
        for job_id in ids:
            scene.history.accepted(job_id)
        return ids


def all_completed(scene, ids):
    """Whether every job is completed, and in no other list."""
    states = scene.dump().states
    missing = [job_id for job_id in ids if states.get(job_id) != ("completed",)]
    assert not missing, f"{len(missing)} of {len(ids)}: {[(one, states.get(one)) for one in missing[:3]]}"


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_confirmed_jobs_survive_the_primary_and_nobody_restarts_anything(
    start_sentinels, start_process, tmp_path, figures, kind
):
    """Twice: the old primary comes back as the replica and is promoted in its turn."""
    setup = start_sentinels(kind)
    scene = Scene(tmp_path, setup.url, setup.primary().client(), start_process)
    workers = [scene.worker(), scene.worker()]
    ids, promoted_ms = [], []
    with scene.producer(retry_for=60) as producer:
        for _ in range(2):
            for _ in range(5):
                ids += send(scene, producer, 40)
            old = setup.primary()
            old.kill()
            setup.wait_for_promotion(old=old)
            promoted_ms.append(now_ms())
            for _ in range(5):
                ids += send_alone(scene, producer)
            scene.redis = setup.primary().client()
            scene.until(lambda: scene.count("wait") == 0 and not scene.leases(), what="an empty queue")
            all_completed(scene, ids)
            old.restart()
            setup.wait_for_replica()
    for worker in workers:
        assert worker.alive
        assert '"worker.store_recovered"' in worker.output()
        assert '"worker.duty_restarted"' not in worker.output()
    scene.stop()
    figures.record(
        title="Sentinel: the primary dies, comes back as a replica, and is promoted in its turn",
        injected="kill -9 of the primary",
        faults=2,
        counts=scene.counts(),
        recovery_s=scene.resumptions(promoted_ms),
        recovery_of=PROMOTED,
        promised=False,
        none_lost_promised=True,
        note=CONFIRMED,
    )


def send_alone(scene, producer):
    """Jobs while there is one server only: accepted by it, and confirmed by nobody."""
    ids = [f"job-{secrets.token_hex(6)}" for _ in range(40)]
    producer.enqueue_many("chaos.work", [{"number": 1}] * len(ids), job_ids=ids)
    for job_id in ids:
        scene.history.accepted(job_id)
    return ids


def test_what_a_failover_loses_is_what_was_never_confirmed(start_sentinels, start_process, tmp_path, figures):
    """The replica is cut off, the primary goes on and dies: only "replicated" could tell the producer."""
    setup = start_sentinels()
    primary, copy = setup.primary(), setup.replica()
    scene = Scene(tmp_path, setup.url, primary.client(), start_process)
    with scene.producer() as producer, scene.producer(retry_for=0) as impatient:
        payload = {"number": 1}
        safe = [
            one.id for one in producer.enqueue_many("chaos.work", [payload] * 50, durability="replicated")
        ]
        copy.pause()
        primary.client().client_kill_filter(_type="replica")  # else the system holds the writes for it
        plain = [one.id for one in producer.enqueue_many("chaos.work", [payload] * 50)]
        with pytest.raises(OutcomeUnknownError, match=r"^unknown"):
            impatient.enqueue("chaos.work", payload, job_id="in-doubt", durability="replicated")
        primary.kill()
        copy.resume()
        setup.wait_for_promotion(old=primary)
        scene.redis = copy.client()

        there = {name.decode() for name in scene.redis.hkeys("jr:{chaos.work}:jobs")}
        assert there == set(safe), "what was confirmed, all of it, and nothing else"
        assert there.isdisjoint(plain)
        assert producer.enqueue("chaos.work", payload, job_id="in-doubt").created
    scene.burst()
    ended = scene.dump().states
    figures.record(
        title="Sentinel: the replica is cut off, and promoted when the primary dies",
        injected="a replica without the last writes is promoted",
        faults=1,
        counts=Counts(
            jobs=len(safe) + len(plain) + 1,
            lost=sum(ended.get(job_id) != ("completed",) for job_id in [*safe, *plain, "in-doubt"]),
            duplicates=0,
            reruns=0,
        ),
        promised=False,
        note=f'{len(plain)} jobs were enqueued without durability="replicated" after the cut, and are all that is lost; '
        f"of the {len(safe)} that were confirmed none is. The one that was answered by unknown was sent again.",
    )
    all_completed(scene, [*safe, "in-doubt"])


@pytest.mark.cluster
def test_cluster_replica_takes_over_and_nobody_restarts_anything(
    start_cluster, start_process, tmp_path, figures
):
    """As with Sentinels, for the queues of one node; those of the others do not notice."""
    cluster = start_cluster(replicas=1)
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[1].port)
    scene = Scene(tmp_path, cluster.url, client, start_process)
    workers = [scene.worker(), scene.worker()]
    slot = cluster.slot("{chaos.work}")
    with scene.producer(retry_for=60) as producer:
        ids = [job_id for _ in range(5) for job_id in send(scene, producer, 40)]
        old = cluster.owner(slot)
        old.kill()
        later = [f"job-{secrets.token_hex(6)}" for _ in range(40)]
        producer.enqueue_many("chaos.work", [{"number": 1}] * len(later), job_ids=later)
        for job_id in later:
            scene.history.accepted(job_id)
        back_ms = now_ms()
    assert cluster.owner(slot) is not old
    live = next(node for node in cluster.primaries() if node is not old)
    scene.redis = redis.RedisCluster(host="127.0.0.1", port=live.port)
    scene.until(lambda: scene.count("wait") == 0 and not scene.leases(), what="an empty queue")
    all_completed(scene, ids + later)
    for worker in workers:
        assert worker.alive
        assert '"worker.duty_restarted"' not in worker.output()
    scene.stop()
    figures.record(
        title="Cluster: the node of the queue dies, and its replica takes over",
        injected="kill -9 of the primary",
        faults=1,
        counts=scene.counts(),
        recovery_s=scene.resumptions([back_ms]),
        recovery_of="from the first answer after the promotion to the next outcome that the store took",
        promised=False,
        none_lost_promised=True,
        note=CONFIRMED,
    )
