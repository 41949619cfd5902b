"""The handler of `whatsapp-messages`: hand one message over once, and say what WhatsApp said.

That it was accepted is a durable step, so an attempt after that does not send again. Nothing here waits for the
message to be delivered, which only a webhook can tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobrunner import Discard, Job, Retry
from jobrunner_whatsapp import note
from jobrunner_whatsapp.cloud_api import CloudApi
from jobrunner_whatsapp.failures import MessageError, RefusedError, TransientError, UnknownOutcomeError
from jobrunner_whatsapp.payload import WhatsAppMessage
from jobrunner_whatsapp.result import Accepted

if TYPE_CHECKING:  # only the type: the logger comes with the job
    from structlog.typing import FilteringBoundLogger

LOOK = "look at the conversation before it is enqueued anew"


async def send(job: Job[WhatsAppMessage]) -> Accepted:
    """Send a message.

    Args:
        job: The job.

    Returns:
        What WhatsApp said when it accepted the message.

    Raises:
        Retry: A limit is used up; after its own wait.
        TransientError: It did not work this time. The job's retry policy decides when next.
        UnknownOutcomeError: The answer was lost, and the settings say to send again.
        Discard: WhatsApp will never take it, or the answer was lost and it is not sent again.
    """
    api = job.resource(CloudApi)
    log = job.log
    if job.payload.campaign_id is not None:
        log = log.bind(campaign_id=job.payload.campaign_id)
    try:
        accepted = await job.step("accepted", _hand_over, job, api)
    except UnknownOutcomeError as error:
        if api.settings.on_unknown == "retry":
            log.warning("message.postponed", reason=str(error), outcome="unknown")
            raise
        _give_up(
            log, f"unknown: {error}; {LOOK} (JOBRUNNER_WHATSAPP_ON_UNKNOWN=retry would send it once more)"
        )
    except RefusedError as error:
        _give_up(log, str(error), setting=error.setting)
    except TransientError as error:
        log.warning("message.postponed", reason=str(error), retry_after=error.retry_after)
        if error.retry_after is None:
            raise
        raise Retry(after=error.retry_after, reason=str(error)) from None
    log.info("message.accepted", message_id=accepted.message_id, message_status=accepted.message_status)
    return accepted


async def _hand_over(job: Job[WhatsAppMessage], api: CloudApi) -> Accepted:
    """Make the call, with a note before it and, where nothing came of it, one after it."""
    api.check()
    handover = await note.begin(job.step, run=job.run)
    if handover.lost and api.settings.on_unknown == "fail":
        await handover.withdraw(job.step)
        raise UnknownOutcomeError("an earlier attempt handed the message over, and its answer was lost")
    try:
        return await api.send(job.payload, reference=job.id, attempt=job.attempt)
    except UnknownOutcomeError:
        raise
    except MessageError:
        await handover.withdraw(job.step)
        raise


def _give_up(log: FilteringBoundLogger, reason: str, *, setting: str = "") -> None:
    more = {"setting": setting} if setting else {}
    log.error("message.given_up", reason=reason, **more)
    raise Discard(reason) from None
