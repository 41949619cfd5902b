"""What Facebook and Instagram share: Meta's Graph API, and how it words what it refuses.

Source: Meta's pages "Handling Errors" and "Instagram error codes" for the numbers below. Publishes nothing.
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

import httpx
import msgspec

from jobrunner_publish.adapter import Account, Context
from jobrunner_publish.api import UNREADABLE, Api, Dialect, json_object, text_of, wait_named
from jobrunner_publish.verdicts import Problem, Rule, Verdict, rule

CLOCK_SKEW_S = 600.0
"""How far Meta's clock and a worker's may be apart when a post of ours is looked for by its time."""

NUMBER = re.compile(r"-?[1-9][0-9]{0,9}")

CONNECT = "connect the account again"

RULES: tuple[Rule, ...] = (
    rule(Verdict.DUPLICATE, code="506"),
    # Instagram's own, by subcode, before the general codes that they come with.
    rule(Verdict.LIMITED, subcode="2207042", advice="the account's posts of 24 hours are used up"),
    rule(Verdict.RETRY, subcode="2207027", advice="the media is not ready yet"),
    # Instagram could not read the media's address; it often can a moment later.
    rule(Verdict.RETRY, subcode="2207052 2207003 2207020 2207032 2207053"),
    # The container is gone, or it is published: its status, which the next attempt asks for, tells which.
    rule(Verdict.RETRY, subcode="2207008"),
    rule(Verdict.UNSURE, subcode="2207001"),
    rule(Verdict.RETRY, status=503),
    # Too many calls, by app, user, page and business use case.
    rule(Verdict.LIMITED, code="4 17 32 613 80001 80002 80006 80008"),
    rule(Verdict.UNSURE, code="1 2 -1"),
    rule(Verdict.RETRY, code="-2"),
    rule(Verdict.REFUSED, code="102 104 190 463 467", advice=CONNECT),
    rule(Verdict.REFUSED, code="3 10", advice="the app lacks a permission; " + CONNECT),
    rule(Verdict.REFUSED, code=" ".join(str(code) for code in range(200, 300)), advice=CONNECT),
    rule(Verdict.REFUSED, code="368", advice="Meta has blocked this account for a time"),
)


class Created(msgspec.Struct, frozen=True):
    """What the Graph API answers to whatever makes something."""

    id: str


def read(answer: httpx.Response) -> Problem:
    """Read a refusal of the Graph API, field by field: a code counts though the text beside it is missing."""
    error = json_object(answer).get("error")
    said = error if isinstance(error, dict) else {}
    message = said.get("error_user_msg") or said.get("message") or ("" if said else text_of(answer))
    return Problem(
        status=answer.status_code,
        code=_code(said.get("code")),
        subcode=_code(said.get("error_subcode")),
        message=message if isinstance(message, str) else "",
        retry_after=wait_named(answer) or _usage_wait(answer),
    )


def _code(value: object) -> str:
    """A number that is not 0, as a number or as text; empty where there is none."""
    text = str(value) if isinstance(value, int | str) else ""
    return text if NUMBER.fullmatch(text) else ""


FACEBOOK = Dialect(name="Facebook", read=read, rules=RULES)
INSTAGRAM = Dialect(name="Instagram", read=read, rules=RULES)


def open_api(account: Account, context: Context, dialect: Dialect) -> Api:
    """Return the Graph API, in the version of the settings, with the account's token."""
    settings = context.settings
    return context.api(account, dialect, f"{settings.graph_url.rstrip('/')}/{settings.graph_version}")


def node(account: Account, credential: str) -> str:
    """Return the node that posts, quoted for a path: the credential where there is one, else the account's id."""
    return quote(account.credential(credential) or account.id, safe="")


def since(created: str, moment: float) -> bool:
    """Say whether something that the Graph API dates was made at a Unix time or later, clocks allowing."""
    try:
        return datetime.fromisoformat(created).timestamp() >= moment - CLOCK_SKEW_S
    except ValueError:
        return False


def same_text(one: str, other: str) -> bool:
    """Say whether two texts are one to a reader: platforms trim and join white space."""
    return one.split() == other.split()


class _Usage(msgspec.Struct, frozen=True):
    estimated_time_to_regain_access: float = 0


def _usage_wait(answer: httpx.Response) -> float | None:
    """Seconds until calls are allowed again, which Meta tells in minutes, for each use case that it counts."""
    header = answer.headers.get("x-business-use-case-usage", "")
    try:
        usage = msgspec.json.decode(header, type=dict[str, list[_Usage]])
    except UNREADABLE:
        return None
    minutes = [one.estimated_time_to_regain_access for several in usage.values() for one in several]
    return max(minutes, default=0) * 60 or None
