"""The handler of `approval.notify`: every approver in turn, each channel once, and what the job makes of it.

Each notice is a durable step, whatever its end. So a later attempt tries only those that did not come to an end, and
one bad address never keeps the others from being told.
"""

from __future__ import annotations

import hashlib

from jobrunner import Job
from jobrunner_approval.approver import Approver
from jobrunner_approval.by_email import mail_approver
from jobrunner_approval.by_whatsapp import message_approver
from jobrunner_approval.conclusion import Blocked, End, Postponed, conclude
from jobrunner_approval.desk import Desk
from jobrunner_approval.mailer import MailSession
from jobrunner_approval.payload import ApprovalNotify
from jobrunner_approval.result import Channel, Notice, NotifyResult
from jobrunner_approval.wording import word

MOST_KEY = 80
"""Characters of an approver in a step's name, which leaves room for the rest: a name has 128 at most."""

CHANNELS: dict[str, tuple[Channel, ...]] = {
    "email": ("email",),
    "whatsapp": ("whatsapp",),
    "both": ("email", "whatsapp"),
}


async def notify(job: Job[ApprovalNotify], desk: Desk) -> NotifyResult:
    """Tell all approvers of a post.

    Args:
        job: The job.
        desk: The table and the mail server.

    Returns:
        Who was reached and how, and who was not.

    Raises:
        DirectoryError: The approvers cannot be looked up at the moment.
        ApprovalIncompleteError: Some notices are to be tried again.
        Discard: Nobody was reached, or something must be mended first.
    """
    payload = job.payload
    found = await desk.directory.find(payload.tenant_id, payload.approver_ids)
    total = len(payload.approver_ids)
    ends: list[End] = []
    async with desk.mailer.session() as session:
        for number, approver_id in enumerate(payload.approver_ids, start=1):
            approver = found.get(approver_id)
            # No step for an unknown one: whoever imports them and retries the job gets them told.
            told = await _tell(job, desk, session, approver) if approver else [_unknown(approver_id)]
            for end in told:
                _log(job, end)
            ends += told
            await job.progress(number / total, f"{number} of {total}")
    return conclude(ends, post_id=payload.post_id)


def step_key(channel: Channel, approver_id: str) -> str:
    """Return the step name of a notice: readable where it can be, and never the same for two of them."""
    if len(approver_id) <= MOST_KEY and approver_id.isprintable() and not approver_id.startswith("~"):
        return f"{channel}:{approver_id}"
    return f"{channel}:~{hashlib.sha256(approver_id.encode()).hexdigest()[:40]}"


async def _tell(job: Job[ApprovalNotify], desk: Desk, session: MailSession, approver: Approver) -> list[End]:
    wording = word(job.payload, approver, review_url=desk.settings.review_url)
    ends: list[End] = []
    for channel in CHANNELS[job.payload.notification_type]:
        key = step_key(channel, approver.approver_id)
        if not (approver.email if channel == "email" else approver.phone):
            ends.append(_no_address(approver.approver_id, channel))
        elif channel == "email":
            ends.append(
                await mail_approver(job, approver, wording=wording, desk=desk, session=session, key=key)
            )
        else:
            ends.append(await message_approver(job, approver, wording=wording, key=key))
    return ends


def _unknown(approver_id: str) -> Notice:
    reason = "the tenant has no such approver: `jobrunner approvers import`"
    return Notice(approver_id=approver_id, status="unknown_approver", reason=reason)


def _no_address(approver_id: str, channel: Channel) -> Notice:
    what = "mail address" if channel == "email" else "phone number"
    reason = f"the table has no {what}: `jobrunner approvers import`"
    return Notice(approver_id=approver_id, channel=channel, status="no_address", reason=reason)


def _log(job: Job[ApprovalNotify], end: End) -> None:
    about = {"approver": end.approver_id, "channel": end.channel}
    match end:
        case Postponed():
            job.log.warning("notice.postponed", **about, reason=end.reason)
        case Blocked():
            job.log.error("notice.blocked", **about, reason=end.reason, setting=end.setting)
        case Notice() if end.is_reached:
            sent = end.message_id or end.job_id
            job.log.info("notice.sent", **about, status=end.status, reference=sent)
        case Notice():
            write = job.log.error if end.status in ("failed", "unknown") else job.log.warning
            write("notice.given_up", **about, status=end.status, reason=end.reason)
