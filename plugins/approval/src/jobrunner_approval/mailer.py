"""Hands mails over to the mail server, many on one connection, and sorts every way in which that fails.

The server's certificate is always checked where the connection is encrypted. Never retries a mail: that is the job's
business. Source: RFC 5321 for the replies: 4xx may work later, 5xx never will.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosmtplib
from aiosmtplib import errors

from jobrunner import SettingsError
from jobrunner_approval.failures import BlockedError, LostError, RefusedError, TransientError, clip
from jobrunner_approval.mail import Mail
from jobrunner_approval.settings import ApprovalSettings

ADDRESS = "JOBRUNNER_APPROVAL_SMTP_URL"
USERNAME = "JOBRUNNER_APPROVAL_SMTP_USERNAME"
PASSWORD = "JOBRUNNER_APPROVAL_SMTP_PASSWORD"  # noqa: S105 - a variable's name
CERTIFICATES = "JOBRUNNER_APPROVAL_SMTP_CA"
SENDER = "JOBRUNNER_APPROVAL_FROM_ADDRESS"

CLOSING = 421
"""The server closes the connection, whatever was asked."""

NEED_LOGIN = 530
"""Source: RFC 4954, section 6."""

QUIT_S = 5.0
"""Seconds that a good-bye may take."""

FAILURES = (errors.SMTPException, OSError)
"""Whatever a conversation can end with besides the replies that are looked at one by one."""


class MailSession:
    """One connection to the mail server, opened with the first mail, and again where the server closed it.

    Args:
        settings: Where the server is.
        tls: What the connection is encrypted with; None in clear.
    """

    def __init__(self, settings: ApprovalSettings, tls: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._tls = tls
        self._smtp: aiosmtplib.SMTP | None = None
        self._down: TransientError | BlockedError | None = None

    async def deliver(self, mail: Mail) -> None:
        """Hand one mail over.

        Args:
            mail: The mail.

        Raises:
            TransientError: It may work later; the mail was not taken.
            RefusedError: The server will never take this mail for this recipient.
            BlockedError: The server will take none before a setting is mended.
            LostError: Nobody knows whether it took the mail.
        """
        if self._down is not None:
            raise self._down
        smtp = await self._begin(mail)
        await self._address(smtp, mail)
        await self._hand_over(smtp, mail)

    async def close(self) -> None:
        """Say good-bye, and close the connection."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        with contextlib.suppress(*FAILURES):
            if smtp.is_connected:
                await smtp.quit(timeout=QUIT_S)
        smtp.close()

    async def _begin(self, mail: Mail) -> aiosmtplib.SMTP:
        """Name the sender, over a new connection where the server has closed the old one in the meantime."""
        if self._smtp is not None:
            try:
                await self._smtp.mail(mail.sender)
            except errors.SMTPSenderRefused as error:
                if error.code != CLOSING:
                    raise self._sender_refused(error) from None
            except FAILURES:
                pass
            else:
                return self._smtp
            self._drop()
        smtp = self._smtp = await self._connect()
        try:
            await smtp.mail(mail.sender)
        except errors.SMTPSenderRefused as error:
            raise self._sender_refused(error) from None
        except FAILURES as error:
            raise self._is_down(error) from None
        return smtp

    async def _connect(self) -> aiosmtplib.SMTP:
        server, settings = self._settings.mail_server(), self._settings
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=settings.smtp_username or None,
            password=settings.smtp_password if settings.smtp_username else None,
            timeout=settings.timeout,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=self._tls,
        )
        try:
            await smtp.connect()
        except errors.SMTPAuthenticationError as error:
            if error.code < 500:
                raise self._is_down(error) from None
            raise self._is_blocked(f"the mail server refused the login: {_said(error)}", PASSWORD) from None
        except (*FAILURES, UnicodeError) as error:
            raise self._cannot_connect(error) from None
        return smtp

    def _cannot_connect(self, error: Exception) -> TransientError | BlockedError:
        cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"the mail server's certificate is not trusted: {cause.verify_message}"
            return self._is_blocked(reason, CERTIFICATES)
        if isinstance(cause, ssl.SSLError):
            return self._is_blocked(f"the mail server does not encrypt like this: {cause.reason}", ADDRESS)
        # What the client itself has to say: an extension that the server does not offer.
        if type(error) is errors.SMTPException or isinstance(error, UnicodeError):
            setting = USERNAME if "AUTH" in str(error) else ADDRESS
            return self._is_blocked(clip(str(error)), setting)
        return self._is_down(error)

    def _sender_refused(self, error: errors.SMTPSenderRefused) -> TransientError | BlockedError:
        if error.code == NEED_LOGIN:
            return self._is_blocked(f"the mail server wants a login: {_said(error)}", USERNAME)
        if error.code >= 500:
            return self._is_blocked(f"the mail server refused the sender: {_said(error)}", SENDER)
        return self._is_down(error)

    async def _address(self, smtp: aiosmtplib.SMTP, mail: Mail) -> None:
        try:
            await smtp.rcpt(mail.recipient)
        except errors.SMTPRecipientRefused as error:
            if error.code == CLOSING:
                raise self._is_down(error) from None
            if error.code == NEED_LOGIN:
                raise self._is_blocked(f"the mail server wants a login: {_said(error)}", USERNAME) from None
            await self._forget_mail(smtp)
            if error.code >= 500:
                raise RefusedError(f"the mail server answered {_said(error)}") from None
            raise TransientError(f"the mail server answered {_said(error)}") from None
        except FAILURES as error:
            raise self._is_down(error) from None

    async def _hand_over(self, smtp: aiosmtplib.SMTP, mail: Mail) -> None:
        try:
            await smtp.data(mail.content)
        except errors.SMTPDataError as error:
            if error.code == CLOSING:
                raise self._is_down(error) from None
            if error.code >= 500:
                raise RefusedError(f"the mail server answered {_said(error)}") from None
            if error.code >= 400:
                raise TransientError(f"the mail server answered {_said(error)}") from None
            self._drop()
            raise LostError(f"the mail server answered {_said(error)}") from None
        except FAILURES as error:
            self._drop()
            raise LostError(f"the answer of the mail server was lost: {_described(error)}") from None

    async def _forget_mail(self, smtp: aiosmtplib.SMTP) -> None:
        try:
            await smtp.rset()
        except FAILURES:
            self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
        self._smtp = None

    def _is_down(self, error: Exception) -> TransientError:
        """No further mail is tried in this session, or a hundred of them would wait for the same timeout."""
        self._drop()
        said = _said(error) if isinstance(error, errors.SMTPResponseException) else _described(error)
        self._down = TransientError(f"the mail server cannot be used: {said}")
        return self._down

    def _is_blocked(self, reason: str, setting: str) -> BlockedError:
        self._drop()
        password = self._settings.smtp_password
        self._down = BlockedError(reason.replace(password, "***") if password else reason, setting=setting)
        return self._down


class Mailer:
    """The mail server as the settings describe it.

    Args:
        settings: The plugin's settings.

    Raises:
        SettingsError: The file of certificates cannot be read.
    """

    def __init__(self, settings: ApprovalSettings) -> None:
        self.settings = settings
        self._tls: ssl.SSLContext | None = None
        if settings.mail_server().tls != "none":
            try:
                self._tls = ssl.create_default_context(cafile=settings.smtp_ca or None)
            except (OSError, ValueError) as error:
                raise SettingsError(CERTIFICATES, f"{settings.smtp_ca}: {error}") from None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[MailSession]:
        """Return a session for the mails of one job, as a context manager that closes it."""
        session = MailSession(self.settings, self._tls)
        try:
            yield session
        finally:
            await asyncio.shield(session.close())


def _said(error: errors.SMTPResponseException) -> str:
    return f"{error.code} {clip(error.message)}".rstrip()


def _described(error: Exception) -> str:
    return clip(f"{type(error).__name__}: {error}") if str(error) else type(error).__name__
