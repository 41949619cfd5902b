"""How the Cloud API's refusals are sorted, by Meta's codes.

Decides by what an answer says, and sends nothing.
Source: Meta, WhatsApp Business Platform, "Error codes": build on `code` and `details`, since titles will go away.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

import msgspec

from jobrunner_whatsapp.failures import MessageError, RefusedError, TransientError, UnknownOutcomeError, clip

MOST_WAIT_S = 86_400.0
"""The longest wait that is taken from a header: no limit of the platform lasts longer."""

MOST_BACKOFF_S = 3600.0

TOKEN = "JOBRUNNER_WHATSAPP_ACCESS_TOKEN"  # noqa: S105 - a variable's name
NUMBER = "JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID"
TEMPLATE = "JOBRUNNER_WHATSAPP_TEMPLATE"
VERSION = "JOBRUNNER_WHATSAPP_VERSION"
ADDRESS = "JOBRUNNER_WHATSAPP_GRAPH_URL"


class Verdict(StrEnum):
    """What an answer means.

    `RETRY`: nothing was sent, try again. `LIMITED`: likewise, after a wait of its own. `REFUSED`: give up.
    `UNSURE`: nobody knows.
    """

    RETRY = "retry"
    LIMITED = "limited"
    REFUSED = "refused"
    UNSURE = "unsure"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What the API said when it did not accept a message.

    Args:
        status: The HTTP status.
        code: Meta's code, None if it gave none.
        subcode: Its code below that, 0 if it gave none.
        message: Its text, the details where there are some.
        is_transient: Whether Meta says that trying again can help.
        retry_after: Seconds that it asks to wait, None if it says nothing.
    """

    status: int
    code: int | None = None
    subcode: int = 0
    message: str = ""
    is_transient: bool = False
    retry_after: float | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a code means.

    Args:
        verdict: What is to be done.
        first_s: For a limit: seconds to wait after the first attempt.
        factor: For a limit: how the wait grows from attempt to attempt.
        setting: The environment variable at fault.
        advice: What a person can do about it.
    """

    verdict: Verdict
    first_s: float = 0.0
    factor: float = 2.0
    setting: str = ""
    advice: str = ""


def _limited(first_s: float, *, factor: float = 2.0, advice: str = "") -> Rule:
    return Rule(verdict=Verdict.LIMITED, first_s=first_s, factor=factor, advice=advice)


def _refused(advice: str = "", *, setting: str = "") -> Rule:
    return Rule(verdict=Verdict.REFUSED, setting=setting, advice=advice)


RETRY = Rule(verdict=Verdict.RETRY)
NEW_TOKEN = _refused("make a new token and set it", setting=TOKEN)
PERMISSION = _refused("the token lacks the permission whatsapp_business_messaging", setting=TOKEN)
SENDER = _refused("it is not the id of a registered business phone number", setting=NUMBER)
ACCOUNT = _refused("see the account's state in WhatsApp Manager")
REDIRECTED = _refused("redirects are not followed, since the token would go along", setting=ADDRESS)
BAD_TEMPLATE = _refused(
    "compare the template in WhatsApp Manager: its language, and one body parameter", setting=TEMPLATE
)

RULES: dict[int, Rule] = {
    0: NEW_TOKEN,
    190: NEW_TOKEN,
    3: PERMISSION,
    10: PERMISSION,
    **dict.fromkeys(range(200, 300), PERMISSION),
    131005: PERMISSION,
    # Throughput of the sending number, counted by the second.
    130429: _limited(2),
    # One sender to one recipient. Source: Meta advises 4^X seconds, X from 0, one more with each refusal.
    131056: _limited(1, factor=4),
    # Calls of the app and of the business account, counted by the hour.
    4: _limited(60),
    80007: _limited(60),
    131048: _limited(
        600, advice="people blocked or reported earlier messages; see the number's quality rating"
    ),
    131057: _limited(300, advice="the business account is under maintenance"),
    1: RETRY,
    2: RETRY,
    131000: RETRY,
    131016: RETRY,
    133004: RETRY,
    33: SENDER,
    133010: SENDER,
    368: ACCOUNT,
    130497: ACCOUNT,
    131031: ACCOUNT,
    131037: ACCOUNT,
    131042: ACCOUNT,
    131045: ACCOUNT,
    131026: _refused("the number is not on WhatsApp, has an old version, or has not accepted its terms"),
    131047: _refused(
        "more than 24 hours have passed since the recipient wrote: set a message template", setting=TEMPLATE
    ),
    131049: _refused("WhatsApp holds marketing messages to this person back for now"),
    131050: _refused("the recipient has stopped marketing messages"),
    2635: _refused("this version of the Graph API is no longer served", setting=VERSION),
    **dict.fromkeys(range(132_000, 133_000), BAD_TEMPLATE),
}
"""Code -> what it means. A code that is not here is judged by the HTTP status."""

NO_SUCH_OBJECT = 33
"""The subcode of code 100 where the path names nothing that the token can see."""


def judge(problem: Problem, *, attempt: int) -> MessageError:
    """Turn a refusal into the error that says what to do about it.

    Args:
        problem: What the API said.
        attempt: The attempt's number, from 1; the waits for a limit grow with it.

    Returns:
        The error, to be raised by the caller.
    """
    rule = _rule(problem)
    codes = "/".join(str(part) for part in (problem.status, problem.code) if part is not None)
    text = f"WhatsApp answered {codes}: {clip(problem.message) or 'no message'}"
    if rule.advice:
        text = f"{text} ({rule.setting + ': ' if rule.setting else ''}{rule.advice})"
    wait_s = None if problem.retry_after is None else min(MOST_WAIT_S, max(0.0, problem.retry_after))
    match rule.verdict:
        case Verdict.RETRY:
            return TransientError(text, retry_after=wait_s)
        case Verdict.LIMITED:
            grown_s = min(MOST_BACKOFF_S, rule.first_s * rule.factor ** min(attempt - 1, 16))
            return TransientError(text, retry_after=max(grown_s, wait_s or 0.0))
        case Verdict.REFUSED:
            return RefusedError(text, setting=rule.setting)
        case Verdict.UNSURE:
            return UnknownOutcomeError(text)
        case _ as unreachable:
            assert_never(unreachable)


def _rule(problem: Problem) -> Rule:
    if problem.code == 100 and problem.subcode == NO_SUCH_OBJECT:
        return SENDER
    if problem.code is not None and problem.code in RULES:
        return RULES[problem.code]
    match problem.status:
        case 401:
            return NEW_TOKEN
        case 429:
            return _limited(60)
        case status if 300 <= status < 400:
            return REDIRECTED
        # The server did not take the request, or says that it is not at work.
        case 408 | 425 | 503:
            return RETRY
        case status if problem.is_transient and status < 500:
            return RETRY
        # Any other 5xx can come after the effect, such as a gateway's 504 to a server that was slow and succeeded.
        case status if status >= 500:
            return Rule(verdict=Verdict.UNSURE)
        case _:
            return _refused()
