"""Handing mails over: encryption, logins, replies of every kind, and servers that go away."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from approval_desk import PASSWORD, Scripted

from jobrunner import SettingsError
from jobrunner_approval import ApprovalSettings
from jobrunner_approval.failures import BlockedError, LostError, RefusedError, TransientError
from jobrunner_approval.mail import Mail
from jobrunner_approval.mailer import Mailer
from jobrunner_sandbox import SandboxServer
from jobrunner_sandbox.mail_server import MailServer

EHLO = "250 there"
OK = "250 ok"
GO_AHEAD = "354 go ahead"


def make_mail(recipient: str = "ana@example.com") -> Mail:
    return Mail(
        message_id="<1@brand.example>",
        sender="approvals@brand.example",
        recipient=recipient,
        content=b"Subject: Look\r\nMessage-ID: <1@brand.example>\r\n\r\n.dot\r\n",
    )


async def deliver(settings: ApprovalSettings, *recipients: str) -> list[object]:
    """Hand over one mail a recipient in one session; the errors stand in the list."""
    ends: list[object] = []
    async with Mailer(settings).session() as session:
        for recipient in recipients or ("ana@example.com",):
            try:
                ends.append(await session.deliver(make_mail(recipient)))
            except Exception as error:
                ends.append(error)
    return ends


def encrypted(sandbox: SandboxServer, ca_file: str, **more: object) -> ApprovalSettings:
    url = sandbox.services()["smtp"].replace("smtp://", "smtp+starttls://")
    return ApprovalSettings(smtp_url=url, smtp_ca=ca_file, **more)


async def test_starttls_encrypts_and_logs_in(sandbox: SandboxServer, ca_file: str) -> None:
    """The password goes out only behind the certificate that was checked."""
    settings = encrypted(sandbox, ca_file, smtp_username="robot", smtp_password=PASSWORD)

    assert await deliver(settings) == [None]

    (mail,) = sandbox.mails
    assert (mail.encrypted, mail.user) == (True, "robot")
    assert mail.content.endswith(b"\r\n.dot\r\n")


async def test_certificate_that_is_not_trusted_stops_everything(sandbox: SandboxServer, ca_file: str) -> None:
    """Not a word goes out, the password least of all."""
    settings = encrypted(sandbox, "", smtp_username="robot", smtp_password=PASSWORD)

    (error,) = await deliver(settings)

    assert isinstance(error, BlockedError)
    assert error.setting == "JOBRUNNER_APPROVAL_SMTP_CA"
    assert sandbox.mails == []


async def test_certificate_of_another_host_is_not_trusted(sandbox: SandboxServer, ca_file: str) -> None:
    """A good certificate for another name is none for this one."""
    url = sandbox.services()["smtp"].replace("smtp://127.0.0.1", "smtp+starttls://localhost")

    (error,) = await deliver(ApprovalSettings(smtp_url=url, smtp_ca=ca_file))

    assert isinstance(error, BlockedError)
    assert sandbox.mails == []


async def test_server_without_starttls_gets_no_mail_in_clear() -> None:
    """A man in the middle would strike out the offer."""
    async with SandboxServer() as plain:
        url = plain.services()["smtp"].replace("smtp://", "smtp+starttls://")
        (error,) = await deliver(ApprovalSettings(smtp_url=url))

        assert isinstance(error, BlockedError)
        assert error.setting == "JOBRUNNER_APPROVAL_SMTP_URL"
        assert plain.mails == []


async def test_smtps_is_encrypted_from_the_first_byte(server_tls: ssl.SSLContext, ca_file: str) -> None:
    """Port 465; there is nothing in clear to strike out."""
    async with SandboxServer() as sandbox:
        async with MailServer(sandbox._sandbox.smtp, implicit_tls=server_tls) as server:
            assert await deliver(ApprovalSettings(smtp_url=server.url, smtp_ca=ca_file)) == [None]
            (untrusted,) = await deliver(ApprovalSettings(smtp_url=server.url))

        assert isinstance(untrusted, BlockedError)
        assert untrusted.setting == "JOBRUNNER_APPROVAL_SMTP_CA"
        assert [mail.encrypted for mail in sandbox.mails] == [True]


async def test_encryption_with_a_server_that_speaks_in_clear_names_the_address(
    sandbox: SandboxServer, ca_file: str
) -> None:
    """`smtps` for a port of STARTTLS is a common mistake."""
    url = sandbox.services()["smtp"].replace("smtp://", "smtps://")

    (error,) = await deliver(ApprovalSettings(smtp_url=url, smtp_ca=ca_file))

    assert isinstance(error, BlockedError)
    assert error.setting == "JOBRUNNER_APPROVAL_SMTP_URL"


async def test_many_mails_share_a_connection(scripted: Scripted) -> None:
    """A hundred handshakes for a hundred approvers would look like an attack."""
    mail = [OK, OK, GO_AHEAD, OK]
    scripted.replies = ["220 hi", EHLO, *mail, OK, "550 no", OK, *mail, "221 bye"]

    ends = await deliver(ApprovalSettings(smtp_url=scripted.url), "a@b.example", "c@b.example", "d@b.example")

    assert scripted.connections == 1
    assert ends[0] is ends[2] is None
    assert isinstance(ends[1], RefusedError)
    assert scripted.heard[-1] == "QUIT"


@pytest.mark.parametrize(
    ("replies", "kind", "setting"),
    [
        (["554 no service for you"], TransientError, ""),
        (["421 busy"], TransientError, ""),
        ([""], TransientError, ""),
        (["220 hi", "421 busy", "421 busy"], TransientError, ""),
        (["220 hi", EHLO, "451 later"], TransientError, ""),
        (["220 hi", EHLO, "553 not you"], BlockedError, "JOBRUNNER_APPROVAL_FROM_ADDRESS"),
        (["220 hi", EHLO, "530 log in first"], BlockedError, "JOBRUNNER_APPROVAL_SMTP_USERNAME"),
        (["220 hi", EHLO, OK, "530 log in first"], BlockedError, "JOBRUNNER_APPROVAL_SMTP_USERNAME"),
        (["220 hi", EHLO, OK, "450 greylisted", OK, "221 bye"], TransientError, ""),
        (["220 hi", EHLO, OK, "421 busy"], TransientError, ""),
        (["220 hi", EHLO, OK, ""], TransientError, ""),
        (["220 hi", EHLO, OK, "550 nobody", OK, "221 bye"], RefusedError, ""),
        (["220 hi", EHLO, OK, OK, "554 no", "221 bye"], RefusedError, ""),
        (["220 hi", EHLO, OK, OK, "451 later", "221 bye"], TransientError, ""),
        (["220 hi", EHLO, OK, OK, GO_AHEAD, "554 spam", "221 bye"], RefusedError, ""),
        (["220 hi", EHLO, OK, OK, GO_AHEAD, "452 full", "221 bye"], TransientError, ""),
        (["220 hi", EHLO, OK, OK, GO_AHEAD, "421 closing"], TransientError, ""),
        (["220 hi", EHLO, OK, OK, GO_AHEAD, ""], LostError, ""),
        (["220 hi", EHLO, OK, OK, GO_AHEAD, "what"], LostError, ""),
        (["220 hi", EHLO, OK, OK, GO_AHEAD, "250 " + "x" * 20_000], LostError, ""),
    ],
)
async def test_reply_is_sorted(scripted: Scripted, replies: list[str], kind: type, setting: str) -> None:
    """By where in the conversation it comes, and by its code."""
    scripted.replies = replies

    (error,) = await deliver(ApprovalSettings(smtp_url=scripted.url))

    assert type(error) is kind
    assert "\n" not in str(error)
    assert len(str(error)) < 500
    assert getattr(error, "setting", "") == setting


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        (["220 hi", EHLO, OK], TransientError),
        (["220 hi", EHLO, OK, OK, GO_AHEAD], LostError),
    ],
)
async def test_silence_is_waited_for_no_longer_than_the_settings_say(
    scripted: Scripted, replies: list[str], kind: type
) -> None:
    """A mail server that hangs must not hold the job for an hour."""
    scripted.replies = replies

    (error,) = await deliver(ApprovalSettings(smtp_url=scripted.url, timeout=1.0))

    assert type(error) is kind


async def test_server_that_is_down_is_asked_once_in_an_attempt(scripted: Scripted) -> None:
    """Else a hundred approvers would wait for a hundred timeouts."""
    scripted.replies = ["421 busy"]

    ends = await deliver(ApprovalSettings(smtp_url=scripted.url), *["a@b.example"] * 5)

    assert {type(end) for end in ends} == {TransientError}
    assert scripted.connections == 1


async def test_connection_that_the_server_closed_in_between_is_opened_anew(scripted: Scripted) -> None:
    """Servers allow so many mails a connection, and end idle ones."""
    settings = ApprovalSettings(smtp_url=scripted.url)
    for ending in ("421 enough", ""):
        scripted.connections = 0
        scripted.replies = ["220 hi", EHLO, OK, OK, GO_AHEAD, OK, ending]
        async with Mailer(settings).session() as session:
            await session.deliver(make_mail())
            scripted.replies = ["220 hi", EHLO, OK, OK, GO_AHEAD, OK, "221 bye"]
            await session.deliver(make_mail())
        assert scripted.connections == 2


async def test_port_where_nobody_listens_is_tried_again() -> None:
    """A mail server that restarts."""
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()

    (error,) = await deliver(ApprovalSettings(smtp_url=f"smtp://127.0.0.1:{port}"))

    assert isinstance(error, TransientError)


async def test_temporary_failure_of_the_login_is_tried_again(scripted: Scripted) -> None:
    """The server's user database is away: 454."""
    scripted.replies = ["220 hi", "250-there\r\n250 AUTH PLAIN", "454 later"]

    (error,) = await deliver(
        ApprovalSettings(smtp_url=scripted.url, smtp_username="robot", smtp_password=PASSWORD)
    )

    assert isinstance(error, TransientError)


async def test_server_without_logins_names_the_user_name(scripted: Scripted) -> None:
    """A user name is set where none is wanted."""
    scripted.replies = ["220 hi", EHLO]

    (error,) = await deliver(
        ApprovalSettings(smtp_url=scripted.url, smtp_username="robot", smtp_password=PASSWORD)
    )

    assert isinstance(error, BlockedError)
    assert error.setting == "JOBRUNNER_APPROVAL_SMTP_USERNAME"


async def test_password_is_struck_out_of_what_the_server_says(scripted: Scripted) -> None:
    """Some servers quote what they were sent."""
    scripted.replies = [
        "220 hi",
        "250-there\r\n250 AUTH LOGIN",
        "334 UGFzc3dvcmQ6",
        f"535 not {PASSWORD}",
    ]

    (error,) = await deliver(
        ApprovalSettings(smtp_url=scripted.url, smtp_username="robot", smtp_password=PASSWORD)
    )

    assert isinstance(error, BlockedError)
    assert "535 not ***" in str(error)


@pytest.mark.parametrize(("name", "content"), [("none.pem", None), ("text.pem", "no certificate")])
def test_file_of_certificates_that_cannot_be_used_is_named(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: str | None
) -> None:
    """At the worker's start, and not with the first mail."""
    path = tmp_path_factory.mktemp("ca") / name
    if content is not None:
        path.write_text(content)

    with pytest.raises(SettingsError, match="JOBRUNNER_APPROVAL_SMTP_CA"):
        Mailer(ApprovalSettings(smtp_url="smtps://mail.example.com", smtp_ca=str(path)))
