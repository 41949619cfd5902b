"""What becomes of the attempt, once every approver has been tried.

Pure: from the ends of all notices to one end, as the one that can still come through asks.
"""

from __future__ import annotations

import msgspec

from jobrunner import Discard
from jobrunner_approval.failures import clip
from jobrunner_approval.result import Channel, Notice, NotifyResult


class Postponed(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that is to be tried again."""

    approver_id: str
    channel: Channel
    reason: str


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that waits for a person to mend something."""

    approver_id: str
    channel: Channel
    reason: str
    setting: str = ""


End = Notice | Postponed | Blocked


class ApprovalIncompleteError(Exception):
    """Some notices did not work this time; the text lists them. The job's retry policy decides when next."""


def conclude(ends: list[End], *, post_id: str) -> NotifyResult:
    """Turn the ends of all notices into the end of the attempt.

    Args:
        ends: One for each approver and channel.
        post_id: The post's id in the producer's system.

    Returns:
        The result, once nothing is left to be tried and somebody is reached.

    Raises:
        ApprovalIncompleteError: Some are to be tried again.
        Discard: None is, and nobody was reached, or some wait for a person to mend something; those are sent when
            the job is retried, and the others not again.
    """
    notices = [end for end in ends if isinstance(end, Notice)]
    reached = [notice for notice in notices if notice.is_reached]
    waiting = [end for end in ends if isinstance(end, Postponed | Blocked)]
    if not waiting and reached:
        return NotifyResult(post_id=post_id, notices=tuple(notices))
    parts = [f"{len(reached)} of {len(ends)} notices are out"]
    parts += [f"{end.approver_id} {end.channel}: {clip(end.reason)}" for end in waiting]
    parts += [
        f"{end.approver_id} {end.channel or ''} {end.status}: {clip(end.reason)}".replace("  ", " ")
        for end in notices
        if not end.is_reached
    ]
    summary = "; ".join(parts)
    if any(isinstance(end, Postponed) for end in waiting):
        raise ApprovalIncompleteError(summary)
    raise Discard(summary)
