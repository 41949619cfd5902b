"""The mail itself: text and HTML, nothing that people wrote becomes a header or a tag, one Message-ID a notice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner_approval import ApprovalNotify, ApprovalSettings, Approver
from jobrunner_approval.failures import RefusedError
from jobrunner_approval.mail import Mail, compose
from jobrunner_approval.wording import word

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SETTINGS = ApprovalSettings(from_address="approvals@brand.example", from_name="Brand \u2615, Ltd.")
REVIEW_URL = "https://app.example.com/{tenantId}/posts?post={postId}&as={approverId}"

HEADERS = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "mime-version",
    "content-type",
]

anything = st.text(max_size=300)


def make_payload(**changes: object) -> ApprovalNotify:
    fields: dict[str, object] = {
        "tenant_id": "acme",
        "post_id": "post-1",
        "brand_id": "brand-1",
        "approver_ids": ("ana",),
        "notification_type": "email",
    }
    return ApprovalNotify(**{**fields, **changes})


def make_approver(**changes: object) -> Approver:
    fields = {"tenant_id": "acme", "approver_id": "ana", "name": "Ana", "email": "ana@example.com"}
    return Approver(**{**fields, **changes})


def mail_for(
    payload: ApprovalNotify, approver: Approver | None = None, *, job_id: str = "job-1", url: str = REVIEW_URL
) -> Mail:
    approver = approver or make_approver()
    wording = word(payload, approver, review_url=url)
    return compose(wording, approver, job_id=job_id, settings=SETTINGS, date=NOW)


def read(mail: Mail) -> EmailMessage:
    message = message_from_bytes(mail.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(mail: Mail, kind: str) -> str:
    body = read(mail).get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


class Tags(HTMLParser):
    """Which tags and links a reader's mail program would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]
        self.text += "\n" if tag == "br" else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_mail_has_plain_text_and_html_of_the_same_content() -> None:
    """Every mail program shows one of the two."""
    due = datetime(2026, 12, 24, 18, 0, tzinfo=timezone(timedelta(hours=1)))
    mail = mail_for(make_payload(due_date=due, message="Please look.\nIt is urgent."))

    message, tags = read(mail), Tags()
    tags.feed(part(mail, "html"))
    assert message.get_content_type() == "multipart/alternative"
    for text in (part(mail, "plain"), tags.text):
        assert "Hello Ana," in text
        assert "The post post-1 of the brand brand-1 waits for your approval" in text
        assert "2026-12-24 18:00 UTC+01:00" in text
        assert "Please look.\nIt is urgent." in text
    link = "https://app.example.com/acme/posts?post=post-1&as=ana"
    assert link in part(mail, "plain")
    assert tags.links == [link]


def test_headers_are_complete_and_no_other_is_there() -> None:
    """Without Date and Message-ID a mail is taken for spam."""
    message = read(mail_for(make_payload()))

    assert [name.lower() for name in message] == HEADERS
    assert message["From"].addresses[0].display_name == "Brand \u2615, Ltd."
    assert message["From"].addresses[0].addr_spec == "approvals@brand.example"
    assert message["Subject"] == "Approval needed: post-1 of brand-1"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"


def test_message_id_is_the_job_s_and_the_approver_s() -> None:
    """A repeated attempt is recognised by it, and nothing else is taken for it."""
    first = mail_for(make_payload(), job_id="job-1")
    again = mail_for(make_payload(message="changed"), job_id="job-1")
    others = [
        mail_for(make_payload(), job_id="job-2"),
        mail_for(make_payload(), make_approver(approver_id="bo"), job_id="job-1"),
    ]

    assert first.message_id == again.message_id == read(first)["Message-ID"]
    assert first.message_id.endswith(".approval@brand.example>")
    assert len({first.message_id, *(mail.message_id for mail in others)}) == 3


@given(post=anything, brand=anything, name=anything, message=anything)
def test_whatever_people_wrote_is_text_and_nothing_else(
    post: str, brand: str, name: str, message: str
) -> None:
    """No header is added, no recipient, no tag, and no second mail; even were the payload's own checks not there."""
    payload = make_payload(post_id=post, brand_id=brand, message=message)
    mail = mail_for(payload, make_approver(name=name))

    read_back, tags = read(mail), Tags()
    tags.feed(part(mail, "html"))
    assert [header.lower() for header in read_back] == HEADERS
    assert [address.addr_spec for address in read_back["To"].addresses] == ["ana@example.com"]
    assert not read_back.defects
    assert set(tags.tags) <= {"html", "body", "p", "a", "br"}
    assert [
        link for link in tags.links if link and not link.startswith("https://app.example.com/acme/")
    ] == []
    assert mail.content.isascii()
    assert max(len(line) for line in mail.content.split(b"\r\n")) <= 998


@pytest.mark.parametrize(
    "evil",
    [
        "x\r\nBcc: eve@evil.example",
        "x\nSubject: other",
        "<script>alert(1)</script>",
        '"><img src=x onerror=y>',
        "{postId}",
    ],
)
def test_known_tricks_come_to_nothing(evil: str) -> None:
    """Header injection, tags in HTML, a template in a template."""
    payload = make_payload(post_id=evil, brand_id=evil, message=evil)
    mail = mail_for(payload, make_approver(name=evil, approver_id=evil))

    html = part(mail, "html")
    assert b"\r\nBcc" not in mail.content.partition(b"\r\n\r\n")[0]
    assert read(mail)["Bcc"] is None
    assert "<script" not in html
    assert "<img" not in html
    assert "post=post-1" not in html


def test_address_that_is_none_is_refused() -> None:
    """A row that somebody wrote into the table by hand."""
    for address in ("ana@example.com\r\nBcc: eve@evil.example", "ana", "ana@example.com, eve@evil.example"):
        with pytest.raises(RefusedError):
            mail_for(make_payload(), make_approver(email=address))


def test_notice_without_anything_optional_is_short() -> None:
    """No empty paragraphs, no dead link."""
    mail = mail_for(make_payload(), make_approver(name=""), url="")

    assert part(mail, "plain") == (
        "Hello,\n\nThe post post-1 of the brand brand-1 waits for your approval.\n"
    )
    assert "href" not in part(mail, "html")


def test_time_without_a_zone_is_shown_as_it_was_written() -> None:
    """Which zone it means only the producer knows."""
    mail = mail_for(make_payload(due_date=datetime(2026, 12, 24, 18, 0)))  # noqa: DTZ001 - the point of it

    assert "by 2026-12-24 18:00." in part(mail, "plain")
