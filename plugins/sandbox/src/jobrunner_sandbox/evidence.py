"""What is there of everything that the demo asked for: in the files, in the mail room and in the stand-ins' ledger.

A job's own words count twice only: a picture's job says which file it made, and any job may say that nobody knows. All
else is judged by what others received.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from jobrunner.views import JobView
from jobrunner_sandbox import orders, shelves
from jobrunner_sandbox.cast import Company, Text
from jobrunner_sandbox.ledger import Ledger, Published
from jobrunner_sandbox.mail_room import Mail
from jobrunner_sandbox.parts import QUEUES, Parts
from jobrunner_sandbox.pictures import fingerprint, size_of
from jobrunner_sandbox.proof import Finding, compare

EARLY_S = 0.05
"""Seconds that a post may seem to be before its time: the system's clock may be set a little in between."""

LINK = re.compile(re.escape(orders.REVIEW.partition("{")[0]) + r"[^\s\"<>]+")

KINDS = {
    "content": "posts written",
    "rewriting": "posts rewritten",
    "image": "images drawn",
    "approval": "mails",
    "whatsapp": "messages",
    "publish": "posts published",
    "analytics": "metric rows",
}
"""Plugin -> the kind of what it leaves."""

FETCHING = ("facebook", "instagram")
"""Platforms that get a picture's address; the others get its bytes."""

Ended = Mapping[tuple[str, str], JobView]


class Evidence:
    """All that can be looked at when the story has ended.

    Args:
        asked: What was asked for.
        ended: The jobs that ended, by queue and id.
        ledger: What the stand-ins received.
        mails: The mails that the mail server took.
        folder: Where the plugins left their files.
        excusing: Whether an answer may have been lost; if none was, what is not there is missing.
    """

    def __init__(
        self,
        *,
        asked: orders.Orders,
        ended: Ended,
        ledger: Ledger,
        mails: list[Mail],
        folder: Path,
        excusing: bool,
    ) -> None:
        self._asked = asked
        self._ended = ended
        self._ledger = ledger
        self._mails = mails
        self._folder = folder
        self._excusing = excusing

    def findings(self, parts: Parts, companies: tuple[Company, ...]) -> dict[str, Finding]:
        """Return what became of everything, by its kind; only kinds that the story has."""
        looks: dict[str, Callable[[], Finding]] = {
            "content": lambda: self._written(companies),
            "rewriting": lambda: self._rewritten(companies),
            "image": self._drawn,
            "approval": self._mailed,
            "whatsapp": self._messaged,
            "publish": self._published,
            "analytics": lambda: self._counted(companies),
        }
        return {KINDS[part]: looks[part]() for part in parts.told}

    def _written(self, companies: tuple[Company, ...]) -> Finding:
        expected = {
            (month.company.tenant, post_id): f"{month.company.tenant} {post_id}"
            for month in self._asked.months
            for post_id in month.post_ids
        }
        arrived = [
            (company.tenant, text.post_id)
            for company in companies
            for text in shelves.written(self._folder, company.tenant)
        ]
        return compare(expected, arrived)

    def _rewritten(self, companies: tuple[Company, ...]) -> Finding:
        """A rewriting is there if the text as it was is kept beside the job's name, and what it was to change changed."""
        expected = {
            (one.company.tenant, one.text.post_id, one.job_id): f"{one.company.tenant} {one.text.post_id}"
            for one in self._asked.rewritings
        }
        asked = {one.job_id: one for one in self._asked.rewritings}
        arrived: list[tuple[str, str, str]] = []
        wrong: set[tuple[str, str, str]] = set()
        for company in companies:
            now = {text.post_id: text for text in shelves.written(self._folder, company.tenant)}
            for former in shelves.rewritten(self._folder, company.tenant):
                key = (company.tenant, former.text.post_id, former.job_id)
                arrived.append(key)
                order = asked.get(former.job_id)
                if order and not _is_rewritten(order, former, now[former.text.post_id]):
                    wrong.add(key)
        return compare(expected, arrived, wrong=wrong)

    def _drawn(self) -> Finding:
        folder = self._folder / shelves.IMAGES
        expected: dict[str, str] = {}
        wrong: set[str] = set()
        for picture in self._asked.pictures:
            said = self._result("image", picture.job_id)
            path = str(said.get("path") or f"no picture of {picture.post_id}")
            expected[path] = f"{picture.company.tenant} {picture.post_id}"
            try:
                content = (folder / path).read_bytes()
            except OSError:
                continue  # missing, as the list of files says too
            told = (said.get("bytes"), said.get("sha256"), said.get("width"), said.get("height"))
            found = (len(content), hashlib.sha256(content).hexdigest(), *(size_of(content) or (0, 0)))
            if told != found or found[2:] != (orders.SIDE, orders.SIDE):
                wrong.add(path)
        arrived = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
        return compare(expected, arrived, wrong=wrong)

    def _mailed(self) -> Finding:
        expected = {
            (notice.approver.email, notice.link): f"{notice.approver.email} {notice.post_id}"
            for notice in self._asked.notices
        }
        arrived = []
        for mail in self._mails:
            plain = mail.message().get_body(("plain",))
            links = LINK.findall(plain.get_content()) if plain else []
            arrived += [(recipient, links[0] if links else "") for recipient in mail.recipients]
        unknown = {
            (notice.approver.email, notice.link)
            for notice in self._asked.notices
            if self._says_unknown("approval", notice.job_id, channel="email")
        }
        return compare(expected, arrived, unknown=unknown)

    def _messaged(self) -> Finding:
        expected: dict[tuple[str, str], str] = {}
        unknown: set[tuple[str, str]] = set()
        for message in self._asked.messages:
            key = (message.to, message.text)
            expected[key] = f"{message.to} {message.job_id}"
            if self._failed_as_unknown(message.job_id):
                unknown.add(key)
        for notice in self._asked.notices:
            if not notice.both:
                continue
            key = (notice.approver.phone, notice.link)
            expected[key] = f"{notice.approver.phone} {notice.post_id}"
            if any(self._failed_as_unknown(job_id) for job_id in self._children(notice)):
                unknown.add(key)
        arrived = []
        for post in self._ledger.posts("whatsapp"):
            links = LINK.findall(post.text)
            arrived.append((post.account, links[0] if links else post.text.partition("] ")[2]))
        return compare(expected, arrived, unknown=unknown)

    def _published(self) -> Finding:
        expected: dict[tuple[str, str, str], str] = {}
        asked: dict[tuple[str, str, str], orders.Publication] = {}
        unknown: set[tuple[str, str, str]] = set()
        for one in self._asked.publications:
            key = (one.account.platform, one.account.ledger, one.text.whole)
            expected[key] = f"{one.text.post_id} {one.account.platform} {one.account.id}"
            asked[key] = one
            if self._says_unknown("publish", one.job_id, platform=one.account.platform):
                unknown.add(key)
        posts = [post for post in self._ledger.posts() if post.platform not in ("whatsapp", "mail")]
        arrived = [(post, (post.platform, post.account, post.text)) for post in posts]
        return compare(
            expected,
            [key for _, key in arrived],
            unknown=unknown,
            early={key for post, key in arrived if key in asked and post.at < asked[key].due - EARLY_S},
            wrong={key for post, key in arrived if key in asked and not self._has_picture(post, asked[key])},
        )

    def _has_picture(self, post: Published, asked: orders.Publication) -> bool:
        """Whether a post shows its picture: the one that was drawn for it, byte for byte where bytes were sent."""
        if post.platform in FETCHING:
            return post.media == asked.media
        drawn = self._result("image", f"picture-{asked.text.post_id}").get("path")
        if not drawn:
            return len(post.media) == 1
        try:
            content = (self._folder / shelves.IMAGES / str(drawn)).read_bytes()
        except OSError:
            return False
        return post.media == (fingerprint(content),)

    def _counted(self, companies: tuple[Company, ...]) -> Finding:
        owners = {
            (account.platform, account.ledger): company.tenant
            for company in companies
            for account in company.accounts.values()
        }
        by_id = {post_id for pull in self._asked.pulls for post_id in pull.post_ids}
        expected: dict[tuple[str, ...], str] = {}
        unknown: set[tuple[str, ...]] = set()
        for post in self._ledger.posts():
            tenant = owners.get((post.platform, post.account))
            for metric in orders.METRICS if tenant else ():
                key = (str(tenant), post.platform, post.post_id, metric)
                expected[key] = f"{metric} of {post.platform} {post.post_id}"
                # Where an answer was lost, nobody may know the id by which the figures would be asked for.
                if self._excusing and post.platform in orders.BY_ID and post.post_id not in by_id:
                    unknown.add(key)
        arrived = [
            (company.tenant, *row)
            for company in companies
            for row in shelves.figures(self._folder, company.tenant)
        ]
        return compare(expected, arrived, unknown=unknown)

    def _result(self, part: str, job_id: str) -> dict[str, object]:
        view = self._ended.get((QUEUES[part], job_id))
        return view.result if view and isinstance(view.result, dict) else {}

    def _says_unknown(self, part: str, job_id: str, **fields: str) -> bool:
        """Whether a step of a job says of an account, or of a channel, that nobody knows."""
        view = self._ended.get((QUEUES[part], job_id))
        steps = view.steps.values() if view and self._excusing else ()
        wanted = {"status": "unknown", **fields}.items()
        return any(isinstance(step, dict) and wanted <= _plain(step).items() for step in steps)

    def _failed_as_unknown(self, job_id: str) -> bool:
        view = self._ended.get((QUEUES["whatsapp"], job_id))
        if view is None or view.state != "failed" or not self._excusing:
            return False
        return bool(view.history) and view.history[-1].message.startswith("unknown")

    def _children(self, notice: orders.Notice) -> list[str]:
        """The messages that an approval's job says to have enqueued."""
        view = self._ended.get((QUEUES["approval"], notice.job_id))
        steps = view.steps.values() if view else ()
        return [str(step["jobId"]) for step in steps if isinstance(step, dict) and step.get("jobId")]


def _is_rewritten(order: orders.Rewriting, former: shelves.Former, now: Text) -> bool:
    """Whether a text is kept as it was, and of the new one what was asked for differs and nothing else."""
    if (former.text, former.part, former.version) != (order.text, order.part, 2):
        return False
    if order.part == "full":
        return now.whole != former.text.whole
    return now.body != former.text.body and (now.hook, now.hashtags) == (
        former.text.hook,
        former.text.hashtags,
    )


def _plain(step: dict[str, object]) -> dict[str, str]:
    return {name: value for name, value in step.items() if isinstance(value, str)}
