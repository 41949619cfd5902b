"""One primary after the other is killed under load: what was confirmed is there, and work goes on by itself.

"Confirmed" is `durability="replicated"`. What is lost without it is written down, not promised.
"""

import pytest
import redis
from rig.certificates import Authority
from rig.history import now_ms
from rig.servers import ServerOptions

from .load import Load
from .scene import QUEUE, Scene

RESUMES_S = 5.0
"""Seconds after a promotion until work is stored again, at the most; measured in the long versions."""


class UnderSentinels:
    """A primary and a replica under three Sentinels."""

    name = "Sentinel"

    def __init__(self, setup):
        self._setup = setup
        self.url = setup.url

    def client(self):
        return self._setup.primary().client()

    def kill_primary(self):
        """kill -9; when another one took over, by `now_ms`. The old one is its replica on return."""
        old = self._setup.primary()
        old.kill()
        self._setup.wait_for_promotion(old=old)
        promoted_ms = now_ms()
        old.restart()
        self._setup.wait_for_replica()
        return promoted_ms


class InCluster:
    """The node of the queue in a cluster of three primaries with a replica each."""

    name = "Cluster"

    def __init__(self, cluster):
        self._cluster = cluster
        self._slot = cluster.slot(f"{{{QUEUE}}}")
        self.url = cluster.url

    def client(self):
        tls = self._cluster.nodes[0].options.tls
        secure = {"ssl": True, "ssl_ca_certs": str(tls.authority)} if tls else {}
        port = self._cluster.owner(self._slot).port
        return redis.RedisCluster(host="127.0.0.1", port=port, **secure)

    def kill_primary(self):
        old = self._cluster.owner(self._slot)
        old.kill()
        self._cluster.wait_for_promotion(self._slot, old=old)
        promoted_ms = now_ms()
        old.restart()
        self._cluster.wait_for_replica(old)
        return promoted_ms


@pytest.fixture(params=["sentinel", pytest.param("cluster", marks=pytest.mark.xdist_group("cluster"))])
def make_topology(request, start_sentinels, start_cluster):
    """A function that starts it, with the servers' options."""
    if request.param == "sentinel":
        return lambda **more: UnderSentinels(start_sentinels(**more))
    return lambda **more: InCluster(start_cluster(replicas=1, **more))


def fail_over(scene, topology, *, failovers, durability):
    """Kill the primary again and again; the load's jobs, and when another took over."""
    scene.worker(), scene.worker()
    promotions = []
    with Load(scene, durability=durability) as load:
        for _ in range(failovers):
            load.wait_for(50 * failovers)
            promotions.append(topology.kill_primary())
        load.wait_for(50 * failovers)
    finish(scene, topology)
    return load, promotions


def finish(scene, topology):
    """Let the workers end what is there, and stop them."""
    scene.redis = topology.client()
    scene.until(
        lambda: scene.count("wait") == scene.count("later") == 0 and not scene.leases(), what="an empty queue"
    )
    for worker in scene.workers:
        assert worker.alive
        assert '"worker.duty_restarted"' not in worker.output(), "what the store says is no bug of a loop"
    scene.stop()


def write_down(
    scene,
    figures,
    topology,
    promotions,
    *,
    how,
    confirmed,
    note,
    what="the primary dies under load",
    injected="kill -9 of the primary",
):
    """The figures of a run; what became of its jobs."""
    counts = scene.counts()
    waits = scene.resumptions(promotions)
    assert len(waits) == len(promotions), "no work was stored after a promotion"
    figures.record(
        title=f"{topology.name}: {what}, {how}",
        injected=injected,
        faults=len(promotions),
        counts=counts,
        recovery_s=waits,
        recovery_of="from the promotion to the next outcome that the store took",
        promised=False,
        none_lost_promised=confirmed,
        note=note,
    )
    return counts, waits


@pytest.mark.parametrize(
    "failovers", [pytest.param(2, marks=pytest.mark.chaos), pytest.param(10, marks=pytest.mark.slow)]
)
def test_confirmed_jobs_survive_one_primary_after_the_other(
    make_topology, start_process, tmp_path, figures, failovers
):
    """A producer that cannot lose a job asks for a replica's word, and keeps it over any number of failovers."""
    topology = make_topology()
    scene = Scene(tmp_path, topology.url, topology.client(), start_process)

    load, promotions = fail_over(scene, topology, failovers=failovers, durability="replicated")

    counts, waits = write_down(
        scene,
        figures,
        topology,
        promotions,
        how='durability="replicated"',
        confirmed=True,
        note="Outcomes are not confirmed by the replica: a job whose outcome was lost with the "
        "primary runs again, and is then settled a second time.",
    )
    assert counts.jobs == len(load.ids)
    assert counts.lost == 0, "a job that a replica had confirmed is gone"
    assert failovers < 10 or max(waits) <= RESUMES_S


@pytest.mark.parametrize(
    "failovers", [pytest.param(2, marks=pytest.mark.chaos), pytest.param(10, marks=pytest.mark.slow)]
)
def test_work_goes_on_after_failovers_without_confirmation(
    make_topology, start_process, tmp_path, figures, failovers
):
    """What Redis had not copied yet is lost with the primary; all else ends, and the number is told."""
    topology = make_topology()
    scene = Scene(tmp_path, topology.url, topology.client(), start_process)

    load, promotions = fail_over(scene, topology, failovers=failovers, durability=None)

    counts, waits = write_down(
        scene,
        figures,
        topology,
        promotions,
        how="without confirmation",
        confirmed=False,
        note="Nothing is promised here: the number of lost jobs is what Redis had not copied when the primary died.",
    )
    there = scene.dump().states
    assert all(there[job_id] == ("completed",) for job_id in load.ids if there.get(job_id)), (
        "a job that is there has not ended"
    )
    assert counts.lost == sum(job_id not in there for job_id in load.ids)
    assert failovers < 10 or max(waits) <= RESUMES_S


@pytest.mark.parametrize(
    "failovers", [pytest.param(1, marks=pytest.mark.chaos), pytest.param(5, marks=pytest.mark.slow)]
)
def test_failover_over_tls_loses_no_confirmed_job(
    make_topology, start_process, tmp_path, tmp_path_factory, figures, failovers
):
    """Clients, servers, Sentinels and nodes all speak TLS with a private authority, and no plain port is open."""
    issued = Authority(tmp_path_factory.mktemp("ca")).issue("127.0.0.1")
    topology = make_topology(kind="redis", options=ServerOptions(tls=issued, appendonly="everysec"))
    assert topology.url.startswith("rediss+")
    scene = Scene(tmp_path, topology.url, topology.client(), start_process)

    load, promotions = fail_over(scene, topology, failovers=failovers, durability="replicated")

    counts, _ = write_down(
        scene,
        figures,
        topology,
        promotions,
        how='durability="replicated", all over TLS',
        confirmed=True,
        note="Clients, servers, Sentinels and nodes speak TLS; no plain port is open.",
    )
    assert counts.jobs == len(load.ids)
    assert counts.lost == 0, "a job that a replica had confirmed is gone"


@pytest.mark.chaos
def test_stalled_primary_loses_nothing_to_the_one_that_just_came_back(
    start_sentinels, start_process, tmp_path, figures
):
    """A server that is started again calls itself primary until the Sentinels tell it whom to follow, some ten seconds.

    Should the new primary stall in that time, they promote the old one as it is: with its file it has all that was
    confirmed, and without one it would be empty, and so would then its replica.
    """
    setup = start_sentinels()
    topology = UnderSentinels(setup)
    scene = Scene(tmp_path, topology.url, topology.client(), start_process)
    scene.worker()
    promotions = []
    with Load(scene, durability="replicated") as load:
        load.wait_for(100)
        first = setup.primary()
        first.kill()
        second = setup.wait_for_promotion(old=first)
        promotions.append(now_ms())
        first.restart()
        second.pause()
        try:
            assert setup.wait_for_promotion(old=second) is first
        finally:
            second.resume()
        promotions.append(now_ms())
        setup.wait_for_replica()
        load.wait_for(100)
    finish(scene, topology)

    counts, _ = write_down(
        scene,
        figures,
        topology,
        promotions,
        what="the new primary stalls while the old one comes back",
        injected="kill -9 of the primary, and SIGSTOP of the one after it",
        how='durability="replicated", append-only files',
        confirmed=True,
        note="Without files the old primary would come back empty, be promoted, and all jobs would be gone.",
    )
    assert counts.jobs == len(load.ids)
    assert counts.lost == 0, "a job that a replica had confirmed is gone"
