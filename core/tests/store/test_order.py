"""Order: priority first, then fair shares between tenants, then first in, first out."""

from .conftest import job


def test_higher_priority_is_served_first_and_within_it_the_older(queue):
    """Bands do not mix."""
    queue.enqueue(
        job("low", priority=1),
        job("high1", priority=100),
        job("mid", priority=50),
        job("high2", priority=100),
    )
    assert queue.take(4)[1] == ["high1", "high2", "mid", "low"]


def test_tenant_with_a_flood_does_not_starve_a_small_one(queue):
    """Five hundred jobs of one before five of another: the five are served within the next twelve."""
    for start in range(0, 500, 100):
        queue.put(*[f"big{start + k:03d}" for k in range(100)], tenant="big")
    queue.put(*[f"small{k}" for k in range(5)], tenant="small")

    _, ids = queue.take(12)

    assert [name for name in ids if name.startswith("small")] == [f"small{k}" for k in range(5)]
    big = [name for name in ids if name.startswith("big")]
    assert big == sorted(big)


def test_weight_gives_a_tenant_a_larger_share(queue):
    """A tenant of weight 3 is served three times as often."""
    queue.redis.hset(queue.keys["meta"], mapping={"weights": 1, "weight:gold": 3})
    queue.put(*[f"g{k:02d}" for k in range(30)], tenant="gold")
    queue.put(*[f"s{k:02d}" for k in range(30)], tenant="silver")

    _, ids = queue.take(20)

    assert 14 <= sum(name.startswith("g") for name in ids) <= 16


def test_late_comer_does_not_catch_up_for_the_time_it_was_away(queue):
    """A share is of what is there now: who comes late starts at the clock of the band."""
    queue.put(*[f"a{k:02d}" for k in range(40)], tenant="a")
    queue.take(30)
    queue.put(*[f"b{k:02d}" for k in range(20)], tenant="b")

    _, ids = queue.take(10)

    assert 4 <= sum(name.startswith("b") for name in ids) <= 6


def test_retried_jobs_of_many_tenants_are_lined_up_fairly(queue):
    """What comes from `later` follows the same rule as what is enqueued."""
    queue.put(*[f"a{k:02d}" for k in range(20)], tenant="a", when="10")
    queue.put(*[f"b{k}" for k in range(3)], tenant="b", when="10")
    queue.tick(10)
    _, ids = queue.take(8)
    assert sum(name.startswith("b") for name in ids) == 3


def test_released_job_goes_to_the_front_of_its_band(queue):
    """A shutdown must not send a job to the end of the line, whatever its name and though nothing ran before it."""
    queue.put(*"zyx")
    nonce, _ = queue.take(1)
    queue.settle(("z", nonce, "release", 0, b""))
    assert queue.take(3)[1] == ["z", "y", "x"]


def test_jobs_released_together_keep_their_order(queue):
    """A worker that ends gives back all that it had not begun."""
    queue.enqueue(*[job(name, tenant="ab"[k % 2]) for k, name in enumerate("zyxwv")])
    nonce, ids = queue.take(4)
    assert ids == ["y", "z", "w", "x"]
    queue.settle(*[(name, nonce, "release", 0, b"") for name in ids])
    assert queue.take(5)[1] == [*ids, "v"]


def test_release_is_not_charged_to_its_tenant(queue):
    """The tenant paid for the job when it was enqueued: its share of what follows is as before."""
    queue.put(*[f"a{k}" for k in range(4)], tenant="a")
    queue.put(*[f"b{k}" for k in range(4)], tenant="b")
    for _ in range(3):
        nonce, ids = queue.take(1)
        queue.settle((ids[0], nonce, "release", 0, b""))
    assert queue.take(8)[1] == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]


def test_job_enqueued_after_a_release_of_its_tenant_comes_after_it(queue):
    """First in, first out within a tenant, also when the line was empty and the newer name sorts first."""
    queue.put("z")
    nonce, _ = queue.take(1)
    queue.settle(("z", nonce, "release", 0, b""))
    queue.put("a")
    assert queue.take(2)[1] == ["z", "a"]


def test_shares_are_dropped_when_the_queue_drains(queue):
    """What is over leaves nothing behind."""
    queue.put(*[f"j{k}" for k in range(10)], tenant="a")
    queue.take(10)
    assert queue.redis.exists(queue.keys["share"]) == 0


def test_scores_stay_whole_numbers(queue):
    """Scores past 2^53, or written by Lua's tostring, would round and mix jobs up."""
    queue.put("a", priority=0)
    queue.put("b", priority=100)
    for _, score in queue.redis.zrange(queue.keys["wait"], 0, -1, withscores=True):
        assert score == int(score) < 2**53
