"""The handler as a worker runs it: who is told and how, once each, and what the others do not suffer from."""

from __future__ import annotations

import pytest
from approval_desk import PASSWORD, Notify

from jobrunner.testing import Harness
from jobrunner_approval import Approver, Directory
from jobrunner_approval.handler import step_key
from jobrunner_sandbox import SandboxServer


def statuses(result: object) -> list[tuple[str, str | None, str]]:
    assert isinstance(result, dict)
    return [(one["approverId"], one.get("channel"), one["status"]) for one in result["notices"]]


async def test_approvers_are_told_by_mail(notify: Notify, sandbox: SandboxServer) -> None:
    """The result says who got which mail."""
    done = (await notify("ana", "bo")).expect("completed")

    assert statuses(done.result) == [("ana", "email", "emailed"), ("bo", "email", "emailed")]
    assert [one.account for one in sandbox.ledger.posts("mail")] == ["ana@example.com", "bo@example.com"]
    told = [one["messageId"] for one in done.result["notices"]]
    assert told == [mail.message()["Message-ID"] for mail in sandbox.mails]
    assert done.progress[-1] == (1.0, "2 of 2")


async def test_whatsapp_is_a_job_of_its_queue_for_the_same_tenant(
    notify: Notify, sandbox: SandboxServer
) -> None:
    """This plugin sends no message itself; how urgent it is goes along."""
    done = (await notify("ana", how="whatsapp", priority=9)).expect("completed")

    (message,) = done.enqueued
    assert (message.queue, message.tenant, message.priority) == ("whatsapp-messages", "acme", 9)
    assert dict(message.payload)["to"] == "+4915123456789"
    assert "post-1" in dict(message.payload)["message"]
    assert done.result["notices"][0]["jobId"] == message.id
    assert sandbox.mails == []


async def test_both_does_both_and_an_address_that_is_missing_is_said(notify: Notify) -> None:
    """Who has one address only is reached by it."""
    done = (await notify("ana", "bo", "cy", how="both")).expect("completed")

    assert statuses(done.result) == [
        ("ana", "email", "emailed"),
        ("ana", "whatsapp", "enqueued"),
        ("bo", "email", "emailed"),
        ("bo", "whatsapp", "no_address"),
        ("cy", "email", "no_address"),
        ("cy", "whatsapp", "enqueued"),
    ]


async def test_one_bad_address_does_not_stop_the_others(notify: Notify, sandbox: SandboxServer) -> None:
    """A colleague who left must not keep a post from being approved."""
    done = (await notify("gone", "stranger", "ana")).expect("completed")

    assert statuses(done.result) == [
        ("gone", "email", "failed"),
        ("stranger", None, "unknown_approver"),
        ("ana", "email", "emailed"),
    ]
    assert "550" in done.result["notices"][0]["reason"]
    assert [one.account for one in sandbox.ledger.posts("mail")] == ["ana@example.com"]


async def test_nobody_reached_is_a_failure_with_all_reasons(notify: Notify) -> None:
    """A job that told nobody must not look done."""
    done = await notify("gone", "stranger", "cy")

    assert done.outcome == "failed"
    assert done.error.error_type == "Discard"
    assert done.error.message.startswith("0 of 3 notices are out; gone email failed: ")
    assert "stranger unknown_approver: " in done.error.message
    assert "cy email no_address: " in done.error.message


async def test_approver_of_another_tenant_is_unknown(notify: Notify, sandbox: SandboxServer) -> None:
    """The same id elsewhere is another person."""
    done = await notify("bo", payload={"tenantId": "other"})

    assert done.outcome == "failed"
    assert sandbox.mails == []


async def test_retry_tries_only_those_who_were_not_reached(notify: Notify, sandbox: SandboxServer) -> None:
    """A greylist takes a mail the second time; the first approver must not get it twice."""
    first = await notify("ana", "grey", "gone", how="both")
    second = (await notify("ana", "grey", "gone", how="both", attempt=2, steps=first.steps)).expect(
        "completed"
    )

    assert first.outcome == "retried"
    assert first.reason.startswith("2 of 6 notices are out; grey email: the mail server answered 450")
    assert sorted(one.account for one in sandbox.ledger.posts("mail")) == [
        "ana@example.com",
        "greylisted@example.com",
    ]
    assert second.enqueued == [], "the WhatsApp job is there"
    assert second.result["notices"][1]["jobId"] == first.enqueued[0].id
    tried = [one.path for one in sandbox.ledger.requests("smtp")]
    assert tried.count("/rcpt/unknown@example.com") == 1, "a refusal is final"


async def test_whatsapp_job_has_the_same_id_in_every_attempt(notify: Notify, directory: Directory) -> None:
    """The worker died after enqueueing and before its step was stored: the same id is no second job."""
    first = await notify("ana", "cy", how="whatsapp")
    kept = {"whatsapp:ana": first.steps["whatsapp:ana"]}
    second = await notify("ana", "cy", how="whatsapp", attempt=2, steps=kept)

    (again,) = second.enqueued
    assert again.id == first.enqueued[1].id


async def test_whole_way_with_failures_reaches_everybody_once(
    settings: dict[str, object], directory: Directory, sandbox: SandboxServer
) -> None:
    """Mails and messages through both plugins, with calls that fail before their effect."""
    pytest.importorskip("jobrunner_whatsapp", reason="the whole way goes through jobrunner-whatsapp too")
    people = [
        Approver(
            tenant_id="acme",
            approver_id=f"p{number}",
            email=f"person{number}@example.com",
            phone=f"+49151000000{number:02d}",
        )
        for number in range(12)
    ]
    await directory.save(people)
    sandbox.faults.next("smtp", status=429, times=3)
    sandbox.faults.next("smtp", status=503)
    sandbox.faults.next("whatsapp", status=500, times=3)
    environ = {
        "JOBRUNNER_WHATSAPP_GRAPH_URL": sandbox.services()["whatsapp"],
        "JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID": "1",
        "JOBRUNNER_WHATSAPP_ACCESS_TOKEN": "any-token",
    }

    async with Harness("approval", "whatsapp", settings=settings, environ=environ) as harness:
        handle = await harness.client.approval.notify(
            tenant_id="acme",
            post_id="post-1",
            brand_id="brand-1",
            approver_ids=[one.approver_id for one in people],
            notification_type="both",
        )
        for _ in range(8):
            await harness.drain()
            await harness.advance(3600)
        told = harness.job(handle)
        messages = harness.jobs("whatsapp-messages")

    assert told.state == "completed"
    assert {job.state for job in messages} == {"completed"}
    assert sorted(one.account for one in sandbox.ledger.posts("mail")) == sorted(one.email for one in people)
    assert sorted(one.account for one in sandbox.ledger.posts("whatsapp")) == [one.phone for one in people]


async def test_queue_that_nobody_serves_waits_for_a_person(
    settings: dict[str, object], directory: Directory, sandbox: SandboxServer
) -> None:
    """Without the WhatsApp plugin the mails go out, and a retry later sends the rest alone."""
    async with Harness("approval", settings=settings) as harness:
        handle = await harness.client.approval.notify(
            tenant_id="acme",
            post_id="post-1",
            brand_id="brand-1",
            approver_ids=["ana"],
            notification_type="both",
        )
        await harness.drain()
        job = harness.job(handle)

    assert job.state == "failed"
    assert "1 of 2 notices are out; ana whatsapp: no worker has ever served whatsapp-messages" in str(
        job.errors
    )
    assert set(job.steps) >= {"email:ana"}
    assert "whatsapp:ana" not in job.steps


@pytest.mark.parametrize(
    ("changed", "setting"),
    [
        (
            {"smtp_username": "robot", "smtp_password": f"revoked-{PASSWORD}"},
            "JOBRUNNER_APPROVAL_SMTP_PASSWORD",
        ),
        ({"from_address": "refused@brand.example"}, "JOBRUNNER_APPROVAL_FROM_ADDRESS"),
    ],
)
async def test_setting_at_fault_is_named_and_the_messages_still_go_out(
    notify: Notify, sandbox: SandboxServer, changed: dict[str, object], setting: str
) -> None:
    """It is given up at once, and a retry after the repair sends the mails alone."""
    broken = await notify("ana", "bo", how="both", changed=changed)

    assert broken.outcome == "failed"
    assert broken.error.error_type == "Discard"
    assert setting in broken.error.message
    assert {line["setting"] for line in broken.logs if line["event"] == "notice.blocked"} == {setting}
    assert len(broken.enqueued) == 1
    assert PASSWORD not in repr((broken.error, broken.steps, broken.logs, broken.exception))

    mended = (await notify("ana", "bo", how="both", attempt=2, steps=broken.steps)).expect("completed")
    assert mended.enqueued == []
    assert len(sandbox.mails) == 2


async def test_approver_who_is_imported_after_all_is_told_by_a_retry(
    notify: Notify, directory: Directory, sandbox: SandboxServer
) -> None:
    """What was missing is looked up anew; who was told is not told again."""
    first = await notify("stranger")
    await directory.save([Approver(tenant_id="acme", approver_id="stranger", email="new@example.com")])

    second = (await notify("stranger", attempt=2, steps=first.steps)).expect("completed")

    assert first.outcome == "failed"
    assert statuses(second.result) == [("stranger", "email", "emailed")]


async def test_table_that_cannot_be_read_is_tried_again(notify: Notify, tmp_path: object) -> None:
    """A database that is away for a minute costs an attempt, and no approver."""
    done = await notify("ana", changed={"database_url": f"sqlite:///{tmp_path}/no/such/folder/a.db"})

    assert done.outcome == "retried"
    assert "JOBRUNNER_APPROVAL_DATABASE_URL" in done.reason


def test_steps_of_any_two_approvers_differ() -> None:
    """Ids are the producer's, of any form."""
    ids = ["a", "a:b", "~a", "a" * 81, "a" * 82, "\u202eb", "b", "send-1:email:a", "e\u0301", "\u00e9"]
    keys = {step_key(channel, one) for one in ids for channel in ("email", "whatsapp")}

    assert len(keys) == 2 * len(ids)
    assert all(key.isprintable() and len(key) <= 100 for key in keys)
