"""One approver told by WhatsApp: a job of `whatsapp-messages`, enqueued in a durable step.

Its id is derived from this job and the step, so that a retry enqueues none twice. What becomes of the message is that
job's business.
"""

from __future__ import annotations

from jobrunner import ConflictError, Job, PayloadError, QueueFullError, UnknownQueueError
from jobrunner_approval.approver import Approver
from jobrunner_approval.conclusion import Blocked, End, Postponed
from jobrunner_approval.payload import ApprovalNotify
from jobrunner_approval.result import Notice
from jobrunner_approval.wording import Wording

QUEUE = "whatsapp-messages"


async def message_approver(
    job: Job[ApprovalNotify], approver: Approver, *, wording: Wording, key: str
) -> End:
    """Enqueue one message, once.

    Args:
        job: The job.
        approver: Who gets it.
        wording: What it says.
        key: The step's name.

    Returns:
        What came of it. A notice is a step, and not tried again; the rest is.

    Raises:
        StoreError: The store did not take it; the attempt is over, whatever the other approvers.
    """

    async def enqueue() -> Notice:
        payload = {"to": approver.phone, "message": wording.plain}
        try:
            job_id = await job.enqueue(QUEUE, payload, priority=job.priority)
        except ConflictError as error:
            # An earlier attempt enqueued it and died before it could say so; the number or a setting has changed since.
            job_id = error.ids[0]
        except PayloadError as error:
            return Notice(
                approver_id=approver.approver_id, channel="whatsapp", status="failed", reason=str(error)
            )
        return Notice(approver_id=approver.approver_id, channel="whatsapp", status="enqueued", job_id=job_id)

    try:
        return await job.step(key, enqueue)
    except UnknownQueueError:
        reason = f"no worker has ever served {QUEUE}: install jobrunner-whatsapp, and run a worker with it"
        return Blocked(approver_id=approver.approver_id, channel="whatsapp", reason=reason)
    except QueueFullError as error:
        return Postponed(approver_id=approver.approver_id, channel="whatsapp", reason=str(error))
