"""What the demo asks of the plugins, thing by thing: to be held against what arrives.

Payloads and names. Enqueues nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec

from jobrunner_sandbox.cast import PLATFORMS, TOPICS, Account, Approver, Company, Text
from jobrunner_sandbox.services.media import SHELF

MONTHLY = 150
"""Posts of one month at most: a platform then gets no topic twice, and so no two posts of the same text."""

STYLES = (*("minimalist", "cartoon") * 5, "realistic", "abstract")
"""In turn. The last two take ten times as long to draw."""

SIDE = 480
"""Pixels of a picture's sides: enough for every platform, and quickly drawn."""

REWRITINGS = 10
"""Posts of a company that are written once more, about; a small one has each of its posts rewritten."""

REWRITTEN = ("full", "body")
"""What is rewritten, in turn."""

BY_WHATSAPP = 20
"""Posts of a company whose approvers are asked by WhatsApp too: one number takes 45 messages at once, and no more."""

REVIEW = "https://review.example.com/{tenantId}/{postId}/{approverId}"
"""The address in each notice; by it a mail or a message is known."""

TEMPLATE = "demo_note"
BY_ID = ("instagram", "x")
"""Platforms whose posts are asked for by their ids: X lists a post only some time after it was published, and Instagram's
show the other way to ask of a platform whose posts' figures are a call each."""

PORTION = 8
"""Posts that one job asks for by their ids."""

METRICS = ("likes", "comments", "shares")
"""Figures that every platform has."""


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month of posts to be written."""

    company: Company
    job_id: str
    payload: dict[str, object]
    post_ids: tuple[str, ...]
    """As the content plugin says that it names them: the job's id and a number."""


class Rewriting(msgspec.Struct, frozen=True, kw_only=True):
    """A post to be written once more, or a part of it."""

    company: Company
    text: Text
    """As it was."""
    part: str
    job_id: str
    payload: dict[str, object]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to be drawn for a post."""

    company: Company
    post_id: str
    job_id: str
    payload: dict[str, object]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """An approver to be told of a post, by mail, or by both ways."""

    company: Company
    post_id: str
    job_id: str
    approver: Approver
    both: bool
    payload: dict[str, object]

    @property
    def link(self) -> str:
        """The address that stands in what the approver gets, and in nothing else."""
        places = {"tenantId": self.company.tenant, "postId": self.post_id, "approverId": self.approver.id}
        return REVIEW.format(**{name: quote(value, safe="") for name, value in places.items()})


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the campaign to a customer."""

    company: Company
    job_id: str
    to: str
    text: str
    payload: dict[str, object]


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A post to be published on one account."""

    company: Company
    text: Text
    job_id: str
    account: Account
    due: float
    """Unix time in seconds before which it must not be there; 0 for at once."""
    media: tuple[str, ...]
    payload: dict[str, object]


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one platform's posts to be pulled."""

    company: Company
    platform: str
    job_id: str
    payload: dict[str, object]
    post_ids: tuple[str, ...] = ()
    """Those that are asked for by their ids; empty for all."""


class Orders(msgspec.Struct, kw_only=True):
    """All that was asked for, as it was asked."""

    months: list[Month] = []
    rewritings: list[Rewriting] = []
    pictures: list[Picture] = []
    notices: list[Notice] = []
    messages: list[Message] = []
    publications: list[Publication] = []
    pulls: list[Pull] = []


def months(company: Company, now: datetime) -> list[Month]:
    """The months that a company's posts are spread over, beginning with the next one."""
    made: list[Month] = []
    left = company.posts
    first = now.year * 12 + now.month
    while left:
        year, month = divmod(first + len(made), 12)
        job_id = f"{company.tenant}-{year}-{month + 1:02d}"
        named = f" in {datetime(year, month + 1, 1, tzinfo=UTC):%B}" if made else ""
        count = min(left, MONTHLY)
        payload: dict[str, object] = {
            "tenantId": company.tenant,
            "brandId": company.brand,
            "month": month + 1,
            "year": year,
            "contentCount": count,
            "platforms": list(PLATFORMS),
            "preferences": {
                "tone": company.tone,
                "topics": [f"{topic}{named}" for topic in TOPICS],
                "hashtags": [company.brand.replace("-", "")],
            },
        }
        ids = tuple(f"{job_id}-{number:03d}" for number in range(1, count + 1))
        made.append(Month(company=company, job_id=job_id, payload=payload, post_ids=ids))
        left -= count
    return made


def to_be_rewritten(company: Company) -> range:
    """Which of a company's posts, counted from 0, are written once more."""
    return range(0, company.posts, max(1, company.posts // REWRITINGS))


def rewriting(company: Company, text: Text, nth: int) -> Rewriting:
    """The rewriting of a company's post."""
    part = REWRITTEN[to_be_rewritten(company).index(nth) % len(REWRITTEN)]
    payload: dict[str, object] = {
        "tenantId": company.tenant,
        "postId": text.post_id,
        "brandId": company.brand,
        "platform": text.platform,
        "regenerationType": part,
        "preferences": {"style": "short sentences"},
    }
    return Rewriting(
        company=company, text=text, part=part, job_id=f"rewriting-{text.post_id}", payload=payload
    )


def picture(company: Company, text: Text, nth: int) -> Picture:
    """The picture of a company's post."""
    payload: dict[str, object] = {
        "tenantId": company.tenant,
        "postId": text.post_id,
        "brandId": company.brand,
        "prompt": text.hook,
        "style": STYLES[nth % len(STYLES)],
        "dimensions": {"width": SIDE, "height": SIDE},
        "brandColors": list(company.colors),
        "brandFonts": [company.font],
    }
    return Picture(company=company, post_id=text.post_id, job_id=f"picture-{text.post_id}", payload=payload)


def by_whatsapp(company: Company) -> range:
    """Which of a company's posts, counted from 0, are asked about by WhatsApp too."""
    return range(0, company.posts, max(1, company.posts // BY_WHATSAPP))


def notice(company: Company, text: Text, nth: int, *, whatsapp: bool) -> Notice:
    """The notice of a company's post, to one of its approvers in turn."""
    approver = company.approvers[nth % len(company.approvers)]
    both = whatsapp and nth in by_whatsapp(company)
    payload: dict[str, object] = {
        "tenantId": company.tenant,
        "postId": text.post_id,
        "brandId": company.brand,
        "approverIds": [approver.id],
        "notificationType": "both" if both else "email",
        "message": text.hook,
    }
    return Notice(
        company=company,
        post_id=text.post_id,
        job_id=f"approval-{text.post_id}",
        approver=approver,
        both=both,
        payload=payload,
    )


def messages(company: Company) -> list[Message]:
    """The campaign of a company: a message to each customer."""
    made = []
    for number, phone in enumerate(company.customers, start=1):
        text = f"Hello no. {number}, our new month begins. {company.brand} looks forward to your visit."
        payload: dict[str, object] = {"to": phone, "message": text, "campaignId": f"{company.tenant}-month"}
        job_id = f"campaign-{company.tenant}-{number:03d}"
        made.append(Message(company=company, job_id=job_id, to=phone, text=text, payload=payload))
    return made


def publication(company: Company, text: Text, *, due: float, picture_path: str | None) -> Publication:
    """A post with its picture, to its platform's account.

    Args:
        company: Whose.
        text: The post.
        due: Unix time in seconds, 0 for at once.
        picture_path: The picture's path below the folder of pictures; None takes one of the stand-in's making.
    """
    account = company.accounts[text.platform]
    url = (
        f"https://{SHELF}/{picture_path}" if picture_path else f"https://media.example.net/{text.post_id}.jpg"
    )
    when = datetime.fromtimestamp(due, UTC) if due else datetime.now(UTC) - timedelta(minutes=1)
    payload: dict[str, object] = {
        "tenantId": company.tenant,
        "postId": text.post_id,
        "scheduleId": f"{company.tenant}-month",
        "platforms": [
            {
                "platform": account.platform,
                "accountId": account.id,
                "credentials": {"accessToken": account.token},
            }
        ],
        "content": {
            "hook": text.hook,
            "body": text.body,
            "hashtags": list(text.hashtags),
            "mediaUrls": [url],
        },
        "scheduledTime": when.isoformat(),
    }
    return Publication(
        company=company,
        text=text,
        job_id=text.post_id,
        account=account,
        due=due,
        media=(url,),
        payload=payload,
    )


def pulls(company: Company, now: datetime, *, post_ids: Mapping[str, Sequence[str]]) -> list[Pull]:
    """The figures of all posts that a company has published, platform by platform.

    Args:
        company: Whose.
        now: The time, with a zone.
        post_ids: Platform -> the platform's own ids of the company's posts. Those of `BY_ID` are asked for by these.
    """
    made = []
    for platform in PLATFORMS:
        ids = list(post_ids.get(platform, ()))
        portions: list[list[str]] = [[]]
        if platform in BY_ID:
            portions = [ids[start : start + PORTION] for start in range(0, len(ids), PORTION)]
        made += [
            _pull(company, platform, now, number=number, post_ids=portion)
            for number, portion in enumerate(portions, start=1)
        ]
    return made


def _pull(company: Company, platform: str, now: datetime, *, number: int, post_ids: list[str]) -> Pull:
    day = timedelta(days=1)
    payload: dict[str, object] = {
        "tenantId": company.tenant,
        "platforms": [platform],
        "dateRange": {"startDate": (now - day).isoformat(), "endDate": (now + day).isoformat()},
        "metrics": list(METRICS),
    }
    if post_ids:
        payload["postIds"] = post_ids
    return Pull(
        company=company,
        platform=platform,
        job_id=f"figures-{company.tenant}-{platform}-{number}",
        payload=payload,
        post_ids=tuple(post_ids),
    )
