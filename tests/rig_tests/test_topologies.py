"""Several servers of the rig are one store, and behave as real ones do when a part of it goes."""

import ssl

import pytest
import redis
from rig.certificates import Authority
from rig.servers import KINDS, ServerOptions

pytestmark = pytest.mark.long


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.cluster)])
def test_primaries_share_the_slots_and_a_slot_moves_with_its_keys(start_cluster, kind):
    """Tests move slots under load; what they move must arrive, and every node must know of it."""
    cluster = start_cluster(kind)
    slot = cluster.slot("{q}:a")
    source = cluster.owner(slot)
    target = next(node for node in cluster.nodes if node is not source)
    for name in "abc":
        source.client().set(f"{{q}}:{name}", name)
    steps = []

    cluster.move_slot(slot, to=target, between=lambda: steps.append(1))

    assert len(cluster.primaries()) == 3
    assert len(steps) == 3
    assert cluster.owner(slot) is target
    assert target.client().mget("{q}:a", "{q}:b", "{q}:c") == [b"a", b"b", b"c"]
    with pytest.raises(redis.exceptions.MovedError):
        source.client().get("{q}:a")


@pytest.mark.cluster
@pytest.mark.parametrize("kind", KINDS)
def test_sentinels_promote_the_replica_of_a_killed_primary(start_sentinels, kind):
    """What the replica had is there after it, and the Sentinels name it."""
    setup = start_sentinels(kind)
    old = setup.primary()
    old.client().set("a", 1)
    assert old.client().wait(1, 5000) == 1

    old.kill()
    new = setup.wait_for_promotion(old=old)

    assert new is not old
    assert new.client().get("a") == b"1"


def test_certificates_hold_for_their_host_only_and_only_while_they_last(start_server, tmp_path):
    """A test that shows a refusal must be refused for the reason that it names."""
    authority = Authority(tmp_path / "ca")
    good = start_server("redis", ServerOptions(tls=authority.issue("127.0.0.1")))
    late = start_server("redis", ServerOptions(tls=authority.issue("127.0.0.1", expired=True)))

    assert good.client().ping()
    with pytest.raises(redis.exceptions.ConnectionError) as refused:
        late.client().ping()
    assert isinstance(refused.value.__context__, ssl.SSLCertVerificationError)
