"""The handler as a worker runs it, against the sandbox: accepted once, waited for, given up."""

from __future__ import annotations

import json

import pytest
from whatsapp_desk import TO, TOKEN, Send

from jobrunner.testing import Harness
from jobrunner_sandbox import SandboxServer

HOUR_S = 3600.0


async def test_message_is_accepted_and_the_result_says_so(send: Send, sandbox: SandboxServer) -> None:
    """Accepted is all that is known: whether it is delivered comes by webhook, under the id in the result."""
    done = (await send(campaign="spring")).expect("completed")

    (message,) = sandbox.ledger.posts("whatsapp")
    assert done.result == {
        "status": "accepted",
        "messageId": message.post_id,
        "waId": TO[1:],
        "campaignId": "spring",
    }
    assert (message.account, message.text) == (TO, "Your post is ready")
    assert message.idempotency == "job-1", "the job's id comes back with the webhooks"


async def test_campaign_is_on_every_line(send: Send, sandbox: SandboxServer) -> None:
    """A campaign's lines are found by it, whatever became of its messages."""
    sandbox.faults.next("whatsapp", status=503)
    postponed = await send(campaign="spring")
    accepted = await send(campaign="spring", attempt=2, steps=postponed.steps)
    refused = await send(campaign="spring", to="+15550131026")

    for ended in (postponed, accepted, refused):
        assert ended.logs
        assert {line["campaign_id"] for line in ended.logs} == {"spring"}
    assert "campaign_id" not in (await send()).logs[0]


async def test_attempt_after_acceptance_sends_nothing(send: Send, sandbox: SandboxServer) -> None:
    """The worker died after WhatsApp accepted, before it could say so: the person must not get it twice."""
    first = (await send(campaign="spring")).expect("completed")

    again = (await send(campaign="spring", attempt=2, steps=first.steps)).expect("completed")

    assert again.result == first.result
    assert len(sandbox.ledger.posts()) == 1


async def test_failure_before_the_effect_is_tried_again(send: Send, sandbox: SandboxServer) -> None:
    """Nothing was sent, so nothing is unknown."""
    sandbox.faults.next("whatsapp", status=500)

    first = await send()
    second = (await send(attempt=2, steps=first.steps)).expect("completed")

    assert first.outcome == "retried"
    assert second.result["status"] == "accepted"
    assert len(sandbox.ledger.posts()) == 1


@pytest.mark.parametrize(
    ("code", "least_s", "most_s"),
    [(130429, 2, 3), (131056, 1, 2), (80007, 60, 67), (4, 60, 67), (131048, 600, 661)],
)
async def test_limit_is_waited_for(send: Send, code: int, least_s: float, most_s: float) -> None:
    """Each limit has a wait of its own, to which jitter is only added."""
    done = await send(to=f"+15550{code:06d}")

    assert done.outcome == "retried"
    assert least_s <= done.delay <= most_s
    assert str(code) in done.reason


@pytest.mark.parametrize("code", [131047, 131026, 131051, 100, 132001, 131008, 131009])
async def test_what_will_never_work_is_given_up_at_once(send: Send, code: int) -> None:
    """The window of 24 hours is over, nobody is there, a parameter is wrong."""
    done = await send(to=f"+15550{code:06d}")

    assert done.outcome == "failed"
    assert done.error.error_type == "Discard"
    assert str(code) in done.error.message


@pytest.mark.parametrize("code", [190, 0, 10])
async def test_token_at_fault_is_an_error_line_that_names_the_setting(send: Send, code: int) -> None:
    """Whoever is on call reads the variable to set, and not a code."""
    done = await send(to=f"+15550{code:06d}")

    assert done.outcome == "failed"
    (line,) = done.logs
    assert (line["event"], line["level"]) == ("message.given_up", "error")
    assert line["setting"] == "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"
    assert "JOBRUNNER_WHATSAPP_ACCESS_TOKEN" in done.error.message


@pytest.mark.parametrize("field", ["access_token", "phone_number_id"])
async def test_missing_setting_is_named_and_nothing_is_called(
    send: Send, sandbox: SandboxServer, field: str
) -> None:
    """A worker that serves other queues too starts without it; its messages say what is missing."""
    done = await send(settings={field: ""})

    assert done.outcome == "failed"
    assert f"JOBRUNNER_WHATSAPP_{field.upper()} is not set" in done.error.message
    assert sandbox.ledger.requests() == []


async def test_template_carries_the_message_as_its_parameter(send: Send, sandbox: SandboxServer) -> None:
    """Outside of 24 hours nothing else reaches people; a parameter takes no line breaks."""
    done = await send(
        to="+15550131047",
        message="Post 7:\n\n\tOpen      late",
        settings={"template": "approval_note", "template_language": "de"},
    )

    done.expect("completed")
    assert done.result["messageStatus"] == "accepted"
    assert [one.text for one in sandbox.ledger.posts()] == ["[approval_note] Post 7: Open late"]


async def test_template_that_does_not_exist_names_the_setting(send: Send) -> None:
    """It is the operator's to mend, and not the producer's."""
    done = await send(settings={"template": "missing_template"})

    assert done.outcome == "failed"
    assert "JOBRUNNER_WHATSAPP_TEMPLATE" in done.error.message


async def test_token_stands_nowhere_but_in_the_call(send: Send, sandbox: SandboxServer) -> None:
    """Results, steps, errors and log lines end up in tickets."""
    sandbox.faults.next("whatsapp", status=401)
    for done in (await send(campaign="c"), await send(settings={"access_token": f"revoked-{TOKEN}"})):
        told = repr((done.result, done.error, done.steps, done.logs, done.exception))
        assert TOKEN not in told


async def test_campaign_of_many_arrives_once_each_though_calls_fail(
    whatsapp: dict[str, object], sandbox: SandboxServer
) -> None:
    """The whole way: enqueued in bulk, a third of the calls failing, every person reached once."""
    for status in (500, 503, 429):
        sandbox.faults.next("whatsapp", status=status, times=3)
    people = [f"+49151000000{number:02d}" for number in range(20)]

    async with Harness("whatsapp", settings=whatsapp) as harness:
        for person in people:
            await harness.enqueue(
                "whatsapp-messages",
                {"to": person, "message": "Hello", "campaignId": "spring"},
                tenant="acme",
                priority=9,
            )
        for _ in range(8):
            await harness.drain()
            await harness.advance(HOUR_S)
        jobs = harness.jobs("whatsapp-messages")

    assert {job.state for job in jobs} == {"completed"}
    assert {job.tenant for job in jobs} == {"acme"}
    assert sorted(one.account for one in sandbox.ledger.posts()) == people
    assert json.dumps([job.result for job in jobs]).count("spring") == 20
