"""How a platform's refusals are sorted: a table of rules a platform, read from the top, and one general table.

Decides by what an answer says. Sends nothing, and knows no platform.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

import msgspec

from jobrunner_publish.failures import (
    AnswerLostError,
    DuplicateError,
    PublishError,
    RefusedError,
    TransientError,
    clip,
)

MOST_WAIT_S = 86_400.0
"""The longest wait that is taken from a platform's header: no rate limit of these platforms lasts longer."""


class Verdict(StrEnum):
    """What an answer means.

    `RETRY`: nothing was done, try again. `UNSURE`: try again, and it may have been done. `LIMITED`: too many
    requests, try again when the platform says. `REFUSED`: give up. `DUPLICATE`: it is there already.
    """

    RETRY = "retry"
    UNSURE = "unsure"
    LIMITED = "limited"
    REFUSED = "refused"
    DUPLICATE = "duplicate"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform said when it did not do what it was asked.

    Args:
        status: The HTTP status.
        code: The platform's own code, empty if it gave none.
        subcode: Its code below that.
        message: Its text.
        retry_after: Seconds that it asks to wait, None if it says nothing.
    """

    status: int
    code: str = ""
    subcode: str = ""
    message: str = ""
    retry_after: float | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table: everything that it names must fit; what it leaves out fits anything.

    Args:
        verdict: What such an answer means.
        status: HTTP statuses.
        code: The platform's codes.
        subcode: Its codes below those.
        text: A part of the message, in lower case.
        advice: What a person can do about it, added to the message.
    """

    verdict: Verdict
    status: frozenset[int] = frozenset()
    code: frozenset[str] = frozenset()
    subcode: frozenset[str] = frozenset()
    text: str = ""
    advice: str = ""

    def fits(self, problem: Problem) -> bool:
        """Whether the rule speaks of this problem."""
        return (
            (not self.status or problem.status in self.status)
            and (not self.code or problem.code in self.code)
            and (not self.subcode or problem.subcode in self.subcode)
            and self.text in problem.message.lower()
        )


def rule(
    verdict: Verdict,
    *,
    status: int | tuple[int, ...] = (),
    code: str = "",
    subcode: str = "",
    text: str = "",
    advice: str = "",
) -> Rule:
    """Write a rule in short: codes are separated by blanks."""
    return Rule(
        verdict=verdict,
        status=frozenset((status,) if isinstance(status, int) else status),
        code=frozenset(code.split()),
        subcode=frozenset(subcode.split()),
        text=text,
        advice=advice,
    )


GENERAL = (
    rule(Verdict.LIMITED, status=429),
    # 408, 425: the server did not take the request; 503: it says that it is not at work.
    rule(Verdict.RETRY, status=(408, 425, 503)),
    # Any other 5xx can come after the effect, such as a gateway's 504 to a server that was slow and succeeded.
    rule(Verdict.UNSURE, status=tuple(range(500, 600))),
    # The token would go along to wherever it leads.
    rule(
        Verdict.REFUSED,
        status=tuple(range(300, 400)),
        advice="redirects are not followed: set the platform's address to where its API is",
    ),
    rule(Verdict.REFUSED, status=401, advice="connect the account again"),
    rule(Verdict.REFUSED),
)


def judge(name: str, problem: Problem, rules: tuple[Rule, ...]) -> PublishError:
    """Turn a problem into the error that says what to do about it.

    Args:
        name: The platform's name for people.
        problem: What it said.
        rules: The platform's table; the general one comes after it.

    Returns:
        The error, to be raised by the caller.
    """
    fitting = next(one for one in (*rules, *GENERAL) if one.fits(problem))
    codes = "/".join(part for part in (str(problem.status), problem.code, problem.subcode) if part)
    text = f"{name} answered {clip(codes)}: {clip(problem.message) or 'no message'}"
    if fitting.advice:
        text = f"{text} ({fitting.advice})"
    match fitting.verdict:
        case Verdict.RETRY:
            return TransientError(text, retry_after=_bounded(problem.retry_after))
        case Verdict.UNSURE:
            return AnswerLostError(text, retry_after=_bounded(problem.retry_after))
        case Verdict.LIMITED:
            # Without a word from the platform a minute: the shortest window that any of them counts in.
            return TransientError(text, retry_after=_bounded(problem.retry_after) or 60.0)
        case Verdict.REFUSED:
            return RefusedError(text, code=problem.code)
        case Verdict.DUPLICATE:
            return DuplicateError(text, code=problem.code)
        case _ as unreachable:
            assert_never(unreachable)


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(MOST_WAIT_S, max(0.0, seconds))
