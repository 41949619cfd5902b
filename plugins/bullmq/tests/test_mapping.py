"""What a job of BullMQ becomes: its id, its priority, its due time."""

from hypothesis import given
from hypothesis import strategies as st

from jobrunner.names import check_job_id
from jobrunner_bullmq import mapping
from jobrunner_bullmq.source import Seen

PRIORITIES = st.integers(0, 2**21)


def seen(job_id=b"1", **more):
    return Seen(job_id, "ok", **more)


@given(PRIORITIES, PRIORITIES)
def test_no_priority_comes_before_one_that_bullmq_starts_first(first, second):
    """BullMQ counts up from 0, which is none and before all others; ours counts down from 100."""
    lower, higher = sorted([first, second])

    ours = [mapping.priority(seen(priority=b"%d" % one)) for one in (lower, higher)]

    assert 100 >= ours[0] >= ours[1] >= 0


def test_priorities_up_to_a_hundred_stay_apart():
    """Few queues use more than that."""
    assert [mapping.priority(seen(priority=b"%d" % one)) for one in range(101)] == list(range(100, -1, -1))


@given(st.binary(min_size=1, max_size=200), st.text(min_size=1, max_size=100), st.binary(max_size=30))
def test_every_job_has_an_id_that_is_allowed_and_always_the_same(job_id, queue, created):
    """It is what makes a second run harmless."""
    one = mapping.job_id("bull", queue, seen(job_id, created=created))

    assert check_job_id(one) == one
    assert mapping.job_id("bull", queue, seen(job_id, created=created)) == one


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=1, max_size=6), st.sampled_from(["a", "b"]), st.sampled_from([b"1", b"23"])
        ),
        unique=True,
    )
)
def test_jobs_that_bullmq_counted_or_that_cannot_keep_their_id_never_share_one(jobs):
    """Two jobs under one id would be one job."""
    counted_or_strange = [job for job in jobs if not _kept(job[0])]
    ids = [
        mapping.job_id("bull", queue, seen(one, created=created))
        for one, queue, created in counted_or_strange
    ]
    # An id that a producer chose does not depend on when it was added.
    distinct = {(one, queue, created if one.isdigit() else b"") for one, queue, created in counted_or_strange}

    assert len(set(ids)) == len(distinct)


def _kept(one):
    return not one.isdigit() and mapping.job_id("bull", "a", seen(one)) == one.decode("ascii", "replace")


def test_ids_say_where_they_come_from():
    """People look for them."""
    assert mapping.job_id("bull", "mail", seen(b"42", created=b"1732450000000")) == "mail-42-1732450000000"
    assert mapping.job_id("cow", "mail", seen(b"42", created=b"1732450000000")) == "cow.mail-42-1732450000000"
    assert mapping.job_id("bull", "mail", seen(b"welcome-7", created=b"1")) == "welcome-7"
    assert mapping.job_id("bull", "mail", seen(b"user:7")).startswith("bullmq-")
