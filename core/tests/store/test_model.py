"""Random calls against a plain-Python model of a queue; the whole state is compared after each."""

import pytest

from .conftest import Bench
from .queue_model import GOES, Model


@pytest.mark.parametrize("seed", range(2))
def test_store_does_what_the_model_does(server, seed):
    """300 random calls a seed, the whole state compared after each."""
    Model(Bench(server), seed).run(300)


@pytest.mark.long
def test_the_random_calls_meet_every_rule(real_server):
    """A model that never sees a replay or an outage would prove nothing."""
    met = set()
    for seed in (11, 13):  # with rates and without
        real_server.client().flushall()
        model = Model(Bench(real_server), seed)
        model.run(1800, compare_each=10)
        met |= model.met
    wanted = {
        *GOES,
        "stale",
        "already",
        "late",
        "replay",
        "outage",
        "conflict",
        "known",
        "seen",
        "free again",
    }
    wanted |= {"rate", "rate of a tenant", "held", "ran from held", "turns in steps"}
    wanted |= {"cancelled instead", "steps full", "logs full", "trimmed"}
    wanted |= {"recovered: delayed", "recovered: failed", "recovered: cancelled"}
    assert wanted <= met, wanted - met


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_store_does_what_the_model_does_for_long(server, seed):
    """The nightly run."""
    Model(Bench(server), seed).run(2000, compare_each=5)
