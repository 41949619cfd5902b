"""One approver told by mail: a durable step, with a note around the handover.

Decides nothing about the job: what came of it is the return value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from jobrunner import Job
from jobrunner_approval import note
from jobrunner_approval.approver import Approver
from jobrunner_approval.conclusion import Blocked, End, Postponed
from jobrunner_approval.desk import Desk
from jobrunner_approval.failures import BlockedError, LostError, NoticeError, RefusedError
from jobrunner_approval.mail import Mail, compose
from jobrunner_approval.mailer import MailSession
from jobrunner_approval.payload import ApprovalNotify
from jobrunner_approval.result import Notice
from jobrunner_approval.wording import Wording

EARLIER = "an earlier attempt handed the mail over, and its answer was lost"


async def mail_approver(
    job: Job[ApprovalNotify],
    approver: Approver,
    *,
    wording: Wording,
    desk: Desk,
    session: MailSession,
    key: str,
) -> End:
    """Send one mail, once.

    Args:
        job: The job.
        approver: Who gets it.
        wording: What it says.
        desk: The settings.
        session: The connection to the mail server.
        key: The step's name.

    Returns:
        What came of it. A notice is a step, and not tried again; the rest is.
    """

    async def deliver() -> Notice:
        date = datetime.now(UTC)
        try:
            mail = compose(wording, approver, job_id=job.id, settings=desk.settings, date=date)
        except RefusedError as error:
            return _unreached(approver, "failed", error)
        return await _hand_over(job, approver, mail, desk=desk, session=session, key=key)

    try:
        return await job.step(key, deliver)
    except BlockedError as error:
        return Blocked(
            approver_id=approver.approver_id, channel="email", reason=str(error), setting=error.setting
        )
    except NoticeError as error:
        return Postponed(approver_id=approver.approver_id, channel="email", reason=str(error))


async def _hand_over(
    job: Job[ApprovalNotify], approver: Approver, mail: Mail, *, desk: Desk, session: MailSession, key: str
) -> Notice:
    handover = await note.begin(job.step, key=key, run=job.run)
    sends_again = desk.settings.on_unknown == "retry"
    if handover.lost and not sends_again:
        await handover.withdraw(job.step)
        return _unreached(approver, "unknown", LostError(EARLIER), mail=mail)
    try:
        await session.deliver(mail)
    except LostError as error:
        if sends_again:
            raise
        return _unreached(approver, "unknown", error, mail=mail)
    except RefusedError as error:
        await handover.withdraw(job.step)
        return _unreached(approver, "failed", error)
    except NoticeError:
        await handover.withdraw(job.step)
        raise
    return Notice(
        approver_id=approver.approver_id, channel="email", status="emailed", message_id=mail.message_id
    )


def _unreached(
    approver: Approver, status: Literal["failed", "unknown"], error: NoticeError, *, mail: Mail | None = None
) -> Notice:
    return Notice(
        approver_id=approver.approver_id,
        channel="email",
        status=status,
        message_id=mail.message_id if mail else "",
        reason=str(error),
    )
