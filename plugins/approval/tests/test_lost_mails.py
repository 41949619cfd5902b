"""A mail that was handed over and of which nobody knows: what the setting makes of it."""

from __future__ import annotations

from approval_desk import Notify

from jobrunner_sandbox import SandboxServer


async def test_lost_answer_is_unknown_and_the_others_are_told(notify: Notify, sandbox: SandboxServer) -> None:
    """The default: the mail is not sent again, and the result says so."""
    sandbox.faults.next("smtp", path="/rcpt/ana@*", lost=True)

    done = (await notify("ana", "bo")).expect("completed")

    unknown, emailed = done.result["notices"]
    assert (unknown["status"], emailed["status"]) == ("unknown", "emailed")
    assert unknown["messageId"] == sandbox.mails[0].message()["Message-ID"], "to look for in the server's log"
    assert len(sandbox.mails) == 2


async def test_unknown_alone_is_a_failure(notify: Notify, sandbox: SandboxServer) -> None:
    """Perhaps nobody was told."""
    sandbox.faults.next("smtp", lost=True)

    first = await notify("ana")
    second = await notify("ana", attempt=2, steps=first.steps)

    for done in (first, second):
        assert done.outcome == "failed"
        assert "ana email unknown: the answer of the mail server was lost" in done.error.message
    assert len(sandbox.mails) == 1


async def test_on_unknown_retry_sends_the_same_mail_again(notify: Notify, sandbox: SandboxServer) -> None:
    """The Message-ID is the same, so that a mailbox or a person can tell that it is the same mail."""
    sandbox.faults.next("smtp", lost=True)
    changed = {"on_unknown": "retry"}

    first = await notify("ana", "bo", changed=changed)
    second = (await notify("ana", "bo", changed=changed, attempt=2, steps=first.steps)).expect("completed")

    assert first.outcome == "retried"
    assert [one["status"] for one in second.result["notices"]] == ["emailed", "emailed"]
    ids = [(mail.recipients, mail.message()["Message-ID"]) for mail in sandbox.mails]
    assert len(ids) == 3
    assert len(set(ids)) == 2


async def test_worker_that_died_in_the_handover_leaves_an_unknown_mail(
    notify: Notify, sandbox: SandboxServer
) -> None:
    """The note before it is all that is left."""
    done = await notify("ana", attempt=2, steps={"send-1:email:ana": {"run": 0}})

    assert done.outcome == "failed"
    assert "an earlier attempt handed the mail over" in done.error.message
    assert sandbox.mails == []


async def test_refusal_after_the_mail_is_no_lost_answer(notify: Notify, sandbox: SandboxServer) -> None:
    """A content filter answers after it has read all of it, and nothing was taken."""
    sandbox.faults.next("smtp", path="/data/ana@*", method="DATA", status=554)
    sandbox.faults.next("smtp", path="/data/bo@*", method="DATA", status=452)

    first = await notify("ana", "bo")
    second = (await notify("ana", "bo", attempt=2, steps=first.steps)).expect("completed")

    assert first.outcome == "retried"
    assert [one["status"] for one in second.result["notices"]] == ["failed", "emailed"]
    assert [mail.recipients for mail in sandbox.mails] == [("bo@example.com",)]
