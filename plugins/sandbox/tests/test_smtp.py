"""The mail server: what it takes, what it refuses, what it loses."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest
import trustme

from jobrunner_sandbox import Behaviour, SandboxServer


def make_mail(to: str = "ana@example.com", text: str = "Please look.\n.\n..two dots\n") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "approvals@example.com"
    mail["To"] = to
    mail["Subject"] = "A post \u2615"
    mail["Message-ID"] = "<one@example.com>"
    mail.set_content(text)
    return mail


@pytest.fixture
def connect(sandbox: SandboxServer) -> Iterator[Callable[[], smtplib.SMTP]]:
    clients: list[smtplib.SMTP] = []

    def make() -> smtplib.SMTP:
        host, port = sandbox.services()["smtp"].removeprefix("smtp://").split(":")
        clients.append(smtplib.SMTP(host, int(port), timeout=20))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_mail_is_taken_as_it_was_sent(connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer) -> None:
    """Dots at the beginning of a line are stuffed on the way, and must come out as they went in."""
    refused = connect().send_message(make_mail("ana@example.com, bo@example.com"))

    (mail,) = sandbox.mails
    assert refused == {}
    assert (mail.sender, mail.recipients) == ("approvals@example.com", ("ana@example.com", "bo@example.com"))
    assert mail.message().get_content() == "Please look.\r\n.\r\n..two dots\r\n"
    assert not mail.encrypted
    shown = sandbox.ledger.posts("mail")
    assert [one.account for one in shown] == ["ana@example.com", "bo@example.com"]
    assert shown[0].text.startswith("A post \u2615\n\nPlease look.")
    assert shown[0].idempotency == "<one@example.com>"


@pytest.mark.parametrize(
    ("to", "code"),
    [("unknown@example.com", 550), ("full.of@example.com", 452), ("blocked-1@example.com", 554)],
)
def test_recipient_is_refused_by_its_name(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer, to: str, code: int
) -> None:
    """And the others get theirs."""
    refused = connect().send_message(make_mail(f"{to}, bo@example.com"))

    assert {address: reply[0] for address, reply in refused.items()} == {to: code}
    assert [mail.recipients for mail in sandbox.mails] == [("bo@example.com",)]


def test_greylisted_recipient_is_taken_the_second_time(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer
) -> None:
    """A mail that is not tried again never comes."""
    client = connect()
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        client.send_message(make_mail("greylisted@example.com"))
    client.send_message(make_mail("greylisted@example.com"))

    assert caught.value.recipients["greylisted@example.com"][0] == 450
    assert len(sandbox.mails) == 1


def test_lost_answer_leaves_the_mail_and_no_reply(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer
) -> None:
    """The connection is closed in place of the reply to the mail."""
    sandbox.faults.next("smtp", lost=True)

    with pytest.raises(smtplib.SMTPServerDisconnected):
        connect().send_message(make_mail())

    assert len(sandbox.mails) == 1
    assert [one.path for one in sandbox.ledger.lost("smtp")] == ["/data/ana@example.com"]


@pytest.mark.parametrize(("status", "code"), [(429, 450), (500, 451), (550, 550)])
def test_planned_fault_is_the_recipient_s(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer, status: int, code: int
) -> None:
    """Before any effect."""
    sandbox.faults.next("smtp", path="/rcpt/ana@*", status=status)

    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        connect().send_message(make_mail())

    assert caught.value.recipients["ana@example.com"][0] == code
    assert sandbox.mails == []


def test_planned_fault_of_the_mail_itself(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer
) -> None:
    """What a content filter says, after it has read all of it."""
    sandbox.faults.next("smtp", path="/data/*", method="DATA", status=554)

    with pytest.raises(smtplib.SMTPDataError):
        connect().send_message(make_mail())

    assert sandbox.mails == []


def test_failing_server_closes_the_connection(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer
) -> None:
    """A status of 503 is SMTP's 421."""
    sandbox.faults.next("smtp", status=503)

    with pytest.raises((smtplib.SMTPServerDisconnected, smtplib.SMTPRecipientsRefused)):
        connect().send_message(make_mail())


def test_behaviour_holds_for_mails_too(connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer) -> None:
    """The same switches as everywhere."""
    sandbox.behaviour = Behaviour(rate_limit_rate=1)

    with pytest.raises(smtplib.SMTPRecipientsRefused):
        connect().send_message(make_mail())


def test_login_is_known_and_a_revoked_password_refused(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer
) -> None:
    """Every other password is good."""
    with pytest.raises(smtplib.SMTPAuthenticationError):
        connect().login("ana", "revoked-1")
    client = connect()
    client.login("ana", "any")
    client.send_message(make_mail())

    assert sandbox.mails[0].user == "ana"


def test_starttls_forgets_what_was_said_in_clear() -> None:
    """A login before it would count for what a man in the middle said (RFC 3207, section 4.2)."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with SandboxServer.in_thread(smtp_tls=tls) as server:
        host, port = server.services()["smtp"].removeprefix("smtp://").split(":")
        with smtplib.SMTP(host, int(port), timeout=20) as client:
            client.login("eve", "any")
            client.starttls(context=trusting)
            client.send_message(make_mail())
            offered_again = client.has_extn("starttls")

        (mail,) = server.mails
    assert (mail.encrypted, mail.user, offered_again) == (True, "", False)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("MAIL FROM:<a@b.example>", 503),
        ("RCPT TO:<a@b.example>", 503),
        ("DATA", 554),
        ("STARTTLS", 502),
        ("VRFY ana", 500),
        ("AUTH PLAIN ???", 501),
        ("AUTH CRAM-MD5", 504),
    ],
)
def test_command_out_of_turn_is_refused(
    connect: Callable[[], smtplib.SMTP], sandbox: SandboxServer, command: str, code: int
) -> None:
    """A client that skips a step finds out here, and not at a real server."""
    assert connect().docmd(command)[0] == code


def test_client_that_goes_away_leaves_nothing(sandbox: SandboxServer) -> None:
    """Half a mail is none."""
    host, port = sandbox.services()["smtp"].removeprefix("smtp://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        talk = raw.makefile("rwb")
        talk.readline()
        talk.write(b"HELO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\nSubject: half\r\n")
        talk.flush()
        for _ in range(4):
            talk.readline()

    assert sandbox.mails == []
