"""`expect_...`: each returns what it finds, and says what there is where it finds nothing."""

from typing import Annotated

import msgspec
import pytest

from jobrunner import Job, Queue, Secret
from jobrunner.testing import Harness, Performed, perform_job


class Note(msgspec.Struct, rename="camel", frozen=True):
    user_name: str = "ada"
    token: Annotated[str, Secret] = ""


class Count(msgspec.Struct, rename="camel", frozen=True):
    user_name: str
    token: Annotated[str, Secret] = ""
    times: int = 1


async def greet(job: Job[Note]) -> None:
    await job.progress(0.5, "half way")
    job.log.info("greeted", whom="ada", times=2)
    job.log.warning("greeted", whom="bob")
    await job.enqueue("note.count", Count(user_name="ada", token="hush-hush"), delay=60)
    await job.enqueue("note.count", Count(user_name="bob", token="hush-hush"))
    await job.progress(1.0)


async def count(job: Job[Count]) -> None:
    raise ValueError("cannot count")


class Plugin:
    from jobrunner import hookimpl

    @hookimpl
    def jobrunner_queues(self):
        return [Queue("note.greet", Note, greet), Queue("note.count", Count, count)]


@pytest.fixture
async def performed() -> Performed:
    return await perform_job("note.greet", {}, plugin=Plugin())


def told(call, *args, **kwargs) -> str:
    with pytest.raises(AssertionError) as seen:
        call(*args, **kwargs)
    return str(seen.value)


def test_what_is_there_is_returned(performed: Performed) -> None:
    """For a test to look further."""
    job = performed.expect_enqueued("note.count", {"userName": "ada"}, delay=60)
    assert job.payload == Count(user_name="ada", token="hush-hush")
    assert performed.expect_enqueued("note.count", {"user_name": "bob", "times": 1}).delay == 0
    assert (
        performed.expect_enqueued("note.count", Count(user_name="bob", token="hush-hush")).queue
        == "note.count"
    )
    assert performed.expect_log("greeted", level="warning")["whom"] == "bob"
    assert performed.expect_log("greeted", times=2)["level"] == "info"
    assert performed.expect_progress(message="half way") == (0.5, "half way")
    assert performed.expect_progress(1) == (1.0, "")
    assert performed.expect_none_enqueued("note.other") is performed


def test_messages_say_what_there_is(performed: Performed) -> None:
    """So that nobody has to run the test again with a print."""
    assert told(performed.expect_enqueued, "note.other") == (
        "no job of note.other was enqueued; there are:\n"
        "  note.count {'userName': 'ada', 'token': '***', 'times': 1}\n"
        "  note.count {'userName': 'bob', 'token': '***', 'times': 1}"
    )
    assert told(performed.expect_enqueued, "note.count", {"userName": "ada"}, delay=5) == (
        "no job of note.count fits; the closest of 2:\n  delay is 60.0, not 5"
    )
    assert told(performed.expect_enqueued, "note.count", {"userName": "eve", "size": 1}, delay=60) == (
        "no job of note.count fits; the closest of 2:\n"
        "  its payload's userName is 'ada', not 'eve'\n"
        "  its payload has no 'size' (it has: userName, token, times)"
    )
    assert told(performed.expect_enqueued, "note.count").startswith(
        "2 jobs of note.count were enqueued that fit"
    )
    assert told(performed.expect_none_enqueued).startswith(
        "no job was to be enqueued; there are:\n  note.count "
    )
    assert told(performed.expect_log, "parted") == (
        "no line 'parted' was logged; there are:\n  info greeted\n  warning greeted"
    )
    assert told(performed.expect_log, "greeted", level="error", whom="bob") == (
        "no line 'greeted' fits; the closest of 2:\n  level is 'warning', not 'error'"
    )
    assert told(performed.expect_log, "greeted", size=1) == (
        "no line 'greeted' fits; the closest of 2:\n  it has no key 'size'"
    )
    assert told(performed.expect_progress, 0.7, "almost") == (
        "no progress 0.7 'almost' was reported; there are:\n  0.5 'half way'\n  1 ''"
    )


def test_no_message_shows_a_secret(performed: Performed) -> None:
    """They end in the logs of a build."""
    texts = [
        told(performed.expect_enqueued, "note.count", {"token": "another-secret"}),
        told(performed.expect_enqueued, "note.count", Count(user_name="x", token="another-secret")),
        told(performed.expect_enqueued, "note.other"),
    ]

    assert "'token' is '***'" in texts[0].replace("payload's token", "payload's 'token'")
    assert not [text for text in texts if "hush-hush" in text or "another-secret" in text]


def test_fact_that_no_job_has_is_a_mistake_of_the_test(performed: Performed) -> None:
    """It must not pass for one that does not fit."""
    with pytest.raises(TypeError, match="an enqueued job has no 'dely'"):
        performed.expect_enqueued("note.count", dely=60)


async def test_stored_jobs_are_asked_the_same() -> None:
    """Of a harness, whose jobs stand in the store."""
    async with Harness(Plugin()) as harness:
        handle = await harness.enqueue("note.greet", {})
        await harness.drain()

        job = harness.job(handle).expect("completed")
        assert job.expect_log("greeted", level="warning")["whom"] == "bob"
        assert job.expect_progress() == (1.0, "")
        assert (
            harness.expect_enqueued("note.count", {"userName": "ada"}, state="delayed").due
            == harness.expect_enqueued("note.count", {"userName": "ada"}).due
        )
        bob = harness.expect_enqueued("note.count", {"userName": "bob"})
        assert told(bob.expect, "completed") == (
            f"job {bob.id} of note.count was to be completed, and is delayed after 1 attempts and 0 crashes: "
            "ValueError: cannot count"
        )
