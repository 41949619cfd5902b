"""What a handler is given: durable steps, progress, and facts; the same on the loop and in a thread."""

import asyncio
import dataclasses
import functools
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pytest

from jobrunner import Discard, Job, Queue, Secret, StepError, SyncJob
from jobrunner.job import encode_step
from jobrunner.testing import perform_job


class Order(msgspec.Struct, rename="camel", kw_only=True):
    tenant_id: str = "t1"
    number: int = 1
    token: Annotated[str, Secret] = ""


@dataclasses.dataclass
class Line:
    title: str
    amount: int


class Receipt(msgspec.Struct, rename="camel"):
    lines_by_name: dict[str, Line]
    paid_at: datetime
    marks: set[str]


def receipt() -> Receipt:
    return Receipt({"first": Line("bread", 2)}, datetime(2030, 1, 2, tzinfo=UTC), {"a"})


def lines() -> dict[str, Line]:
    return {"first": Line("bread", 2)}


def pair() -> tuple[int, bytes]:
    return 3, b"\x00\xff"


def nothing() -> None:
    return None


def plain():
    return (1, {"a": {2}})


class Called:
    def __call__(self) -> tuple[int, int]:
        return (1, 2)


STEPS = {
    "struct": (receipt, receipt()),
    "dict of dataclass": (lines, lines()),
    "tuple of bytes": (pair, pair()),
    "nothing": (nothing, None),
    "without an annotation": (plain, [1, {"a": [2]}]),
    "partial": (functools.partial(pow, 2, 5), 32),
    "callable object": (Called(), [1, 2]),
    "lambda": (lambda: "text", "text"),
}


async def perform(handler, *, payload=None, **more):
    return await perform_job(Queue("order.pay", Order, handler), payload or Order(), environ={}, **more)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_step_gives_the_same_the_first_time_and_every_later_one(kind, name):
    """A handler that works in its first attempt must not break in its second, at night."""
    fn, expected = STEPS[name]
    seen = []

    async def pay(job: Job[Order]):
        seen.append(await job.step(name, fn))

    def pay_in_thread(job: SyncJob[Order]):
        seen.append(job.step(name, fn))

    handler = pay if kind == "async" else pay_in_thread
    first = await perform(handler)
    again = await perform(handler, steps=first.steps)

    assert (first.outcome, again.outcome) == ("completed", "completed"), (first.error, again.error)
    assert seen == [expected, expected]
    assert [type(one) for one in seen] == [type(expected)] * 2
    assert (first.steps_done, again.steps_done) == ([name], [])


async def test_step_may_be_a_coroutine_with_arguments():
    """Most steps call somebody over the network."""

    async def charge(amount: int, *, currency: str) -> list[str]:
        await asyncio.sleep(0)
        return [f"{amount} {currency}"]

    async def pay(job: Job[Order]):
        return await job.step("charge", charge, 5, currency="EUR")

    assert (await perform(pay)).result == ["5 EUR"]


async def test_step_that_raises_is_not_stored_and_is_done_again():
    """Only what succeeded is remembered."""
    calls = []

    def charge() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("no answer")
        return 7

    async def pay(job: Job[Order]):
        return await job.step("charge", charge)

    first = await perform(pay)
    assert (first.outcome, first.steps) == ("retried", {})
    assert (await perform(pay, attempt=2, steps=first.steps)).result == 7


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "\x00", 5, None, "\u202e"])
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_step_needs_a_name_that_people_can_read(kind, name):
    """It stands in listings beside its result."""

    async def pay(job: Job[Order]):
        await job.step(name, nothing)

    def pay_in_thread(job: SyncJob[Order]):
        job.step(name, nothing)

    done = await perform(pay if kind == "async" else pay_in_thread)
    assert done.error.error_type == "StepError"
    assert "1 to 128 printable" in done.error.message


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_step_name_used_twice_is_an_error(kind):
    """In a later attempt the second would silently get the first one's result."""

    async def pay(job: Job[Order]):
        await job.step("charge", nothing)
        await job.step("charge", nothing)

    def pay_in_thread(job: SyncJob[Order]):
        job.step("charge", nothing)
        job.step("charge", nothing)

    done = await perform(pay if kind == "async" else pay_in_thread)
    assert done.error.error_type == "StepError"
    assert "used twice" in done.error.message


async def test_step_whose_result_is_no_json_says_so():
    """Rather than to store what nobody can read back."""

    async def pay(job: Job[Order]):
        await job.step("charge", object)

    assert "its result cannot be written as JSON" in (await perform(pay)).error.message


async def test_stored_step_that_does_not_fit_its_function_any_more_says_so():
    """A deploy changed the annotation between two attempts."""

    async def pay(job: Job[Order]):
        await job.step("charge", receipt)

    done = await perform(pay, steps={"charge": "text"})
    assert "does not fit the annotation of its function" in done.error.message


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_secret_in_a_step_is_masked_the_first_time_too(kind):
    """What is stored is what the handler gets, or only a retry would meet the mask."""
    seen = []

    async def pay(job: Job[Order]):
        seen.append(await job.step("login", lambda: {"token": job.payload.token, "user": "ann"}))

    def pay_in_thread(job: SyncJob[Order]):
        seen.append(job.step("login", lambda: {"token": job.payload.token, "user": "ann"}))

    done = await perform(pay if kind == "async" else pay_in_thread, payload=Order(token="open-sesame"))
    assert seen == [{"token": "***", "user": "ann"}]
    assert done.steps == {"login": {"token": "***", "user": "ann"}}


async def test_progress_is_kept_within_bounds_and_free_of_secrets():
    """However long the text; and a cut never lets half a secret through."""

    async def pay(job: Job[Order]):
        for fraction in (-1, 0.25, 7, float("nan")):
            await job.progress(fraction, "x" * 300)
        await job.progress(1, "y" * 193 + job.payload.token)

    done = await perform(pay, payload=Order(token="open-sesame"))
    assert [fraction for fraction, _ in done.progress] == [0, 0.25, 1, 0, 1]
    assert max(len(message) for _, message in done.progress) <= 200
    assert "open-" not in done.progress[-1][1]


async def test_job_knows_what_was_enqueued():
    """By the names that producers used."""
    seen = []

    def pay(job: SyncJob[Order]):
        seen.append(
            (job.id, job.queue, job.tenant, job.attempt, job.max_attempts, job.priority, dict(job.headers))
        )
        seen.append((job.cancelled, job.cancel_reason, job.enqueued_at.tzinfo, repr(job)))

    await perform(pay, job_id="o-1", tenant="t1", priority=3, headers={"trace": "x"}, attempt=2)
    assert seen[0] == ("o-1", "order.pay", "t1", 2, 8, 3, {"trace": "x"})
    assert seen[1] == (False, None, UTC, "<SyncJob order.pay o-1 attempt 2>")


async def test_jobs_of_a_job_have_ids_by_their_order():
    """A retry enqueues the same ones, and so nothing twice."""

    async def pay(job: Job[Order]):
        first = await job.enqueue("order.pay", {"number": 2})
        second = await job.enqueue("order.pay", Order(number=3), delay=5, priority=9, headers={"a": "b"})
        raise Discard(f"{first} {second}")

    done = await perform(pay, job_id="o-1", tenant="t1")
    again = await perform(pay, job_id="o-1", tenant="t1", attempt=2)
    assert done.reason == again.reason == "o-1.1 o-1.2"
    assert [one.tenant for one in done.enqueued] == ["t1", "t1"]


def test_step_result_with_a_lone_surrogate_or_a_cycle_is_refused():
    """Neither can be written as JSON, and neither may take the worker down."""
    cycle = []
    cycle.append(cycle)
    for value in ("\ud800", cycle, {1j: 1}):
        with pytest.raises(StepError, match="step 'a': its result cannot be written as JSON"):
            encode_step("a", value)


def order_numbers(done):
    return {one.payload.number: one.id for one in done.enqueued}


async def test_enqueue_within_a_step_has_the_same_id_whatever_steps_are_done_by_now():
    """The second attempt does not come by the first step, and its enqueue must not get the first one's id."""

    async def handler(job: Job[Order]) -> None:
        async def pay(number: int) -> str:
            if number == 2 and job.attempt == 1:
                await job.enqueue("order.pay", {"number": number})
                raise ConnectionError
            return await job.enqueue("order.pay", {"number": number})

        await job.enqueue("order.pay", {"number": 9})
        for number in (1, 2):
            await job.step(f"pay-{number}", pay, number)

    queue = Queue("order.pay", Order, handler)
    first = await perform_job(queue, Order(), job_id="a")
    second = await perform_job(queue, Order(), job_id="a", attempt=2, steps=first.steps)

    second.expect("completed")
    before, after = order_numbers(first), order_numbers(second)
    assert before.keys() == {9, 1, 2}
    assert after.keys() == {9, 2}
    assert (after[9], after[2]) == (before[9], before[2])
    assert len(set(before.values())) == 3
    assert before[9] == "a.1"


async def test_enqueues_of_steps_side_by_side_are_told_apart():
    """Steps may run in any order beside each other; the ids do not depend on it."""

    async def handler(job: Job[Order]) -> None:
        gates = {1: asyncio.Event(), 2: asyncio.Event()}
        gates[1 if job.attempt == 1 else 2].set()

        async def pay(number: int) -> str:
            await gates[number].wait()
            paid = await job.enqueue("order.pay", {"number": number})
            gates[3 - number].set()
            return paid

        await asyncio.gather(*(job.step(f"pay-{number}", pay, number) for number in (1, 2)))

    queue = Queue("order.pay", Order, handler)
    first = await perform_job(queue, Order(), job_id="a")
    second = await perform_job(queue, Order(), job_id="a", attempt=2)

    assert [one.payload.number for one in first.enqueued] == [1, 2]
    assert [one.payload.number for one in second.enqueued] == [2, 1]
    assert order_numbers(first) == order_numbers(second)


async def test_enqueue_within_a_step_in_a_thread_is_the_same():
    """A plain `def` handler makes the same promise."""

    def handler(job: SyncJob[Order]) -> None:
        def pay(number: int) -> str:
            return job.enqueue("order.pay", {"number": number})

        for number in (1, 2):
            job.step(f"pay-{number}", pay, number)

    queue = Queue("order.pay", Order, handler)
    first = await perform_job(queue, Order(), job_id="a")
    done = {"pay-1": first.steps["pay-1"]}
    second = await perform_job(queue, Order(), job_id="a", attempt=2, steps=done)

    (again,) = second.enqueued
    assert order_numbers(first)[2] == again.id == first.steps["pay-2"]
