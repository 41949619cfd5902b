"""A stand-in for a mail server: SMTP with STARTTLS, logins, refusals, greylisting and lost answers.

Takes mails and hands them to the mail room; delivers none. Source: RFC 5321 for the commands and replies, RFC 3463 for the codes behind
them, RFC 3207 for STARTTLS, RFC 4954 for AUTH.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable

from jobrunner_sandbox.fates import Fates
from jobrunner_sandbox.faults import Faults
from jobrunner_sandbox.ledger import Ledger, Published, Received
from jobrunner_sandbox.mail_room import Mail, MailRoom

NAME = "smtp"
MOST_LINE = 8192
MOST_MAIL = 10 << 20
MOST_RECIPIENTS = 100

ADDRESS = re.compile(r"<([^<>\s]*)>(?:\s+(.*))?", re.DOTALL)

CUT_OFF = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError)
"""How a client ends a conversation that does not end as it should."""

CONVENTIONS = {
    "unknown": (550, "5.1.1", "no such user here"),
    "full": (452, "4.2.2", "the mailbox is over its quota"),
    "blocked": (554, "5.7.1", "refused by the recipient's policy"),
}
"""What the first word of a recipient's local part makes of it, every time; `greylisted` is refused once."""

REPLIES = {
    401: (535, "5.7.8", "authentication credentials invalid"),
    429: (450, "4.7.1", "too many mails, try again later"),
    500: (451, "4.3.0", "local error in processing"),
    503: (421, "4.3.2", "the service is closing this connection"),
}
"""Statuses that chance draws, in the words of SMTP; others, such as 550, are replies already."""


class SmtpService:
    """The mail server's side of every connection.

    Args:
        room: Where mails are kept.
        ledger: What was received, and what people would see.
        fates: What becomes of each recipient; a lost answer is that of the whole mail.
        faults: Planned ones: `faults.next("smtp", path="/rcpt/*@example.com", status=550)`, or `/data/*` for the
            reply to the mail itself.
        now: The clock, Unix time in seconds.
        tls: What STARTTLS is done with; None does not offer it.
    """

    def __init__(
        self,
        *,
        room: MailRoom,
        ledger: Ledger,
        fates: Fates,
        faults: Faults,
        now: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.room = room
        self.ledger = ledger
        self.fates = fates
        self.faults = faults
        self.now = now
        self.tls = tls

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        connection = _Connection(self, reader, writer)
        try:
            with contextlib.suppress(*CUT_OFF):
                await connection.run()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()

    def received(self, stage: str, address: str, status: int, *, lost: bool = False) -> None:
        """Write a stage of a mail into the ledger: `/rcpt/ADDRESS` or `/data/ADDRESS`."""
        self.ledger.receive(
            Received(
                service=NAME,
                method=stage.upper(),
                path=f"/{stage}/{address}",
                status=status,
                lost=lost,
                at=self.now(),
            )
        )


class _Closing(Exception):  # noqa: N818 - not an error: the conversation is over
    """Close the connection, with no further word."""


class _Connection:
    """One conversation."""

    def __init__(
        self, service: SmtpService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._service = service
        self._reader = reader
        self._writer = writer
        self._encrypted = writer.get_extra_info("ssl_object") is not None
        self._user = ""
        self._greeted = False
        self._reset()
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "QUIT": self._quit,
        }

    async def run(self) -> None:
        await self._say(220, "sandbox ESMTP")
        with contextlib.suppress(_Closing):
            while True:
                word, _, rest = (await self._line()).partition(" ")
                command = self._commands.get(word.upper())
                if command is None:
                    await self._say(500, "5.5.2 that is no command")
                else:
                    await command(rest.strip())

    def _reset(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._lost = False

    async def _line(self) -> str:
        try:
            raw = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            await self._say(500, "5.5.2 the line is too long")
            raise _Closing from None
        if not raw.strip() and self._reader.at_eof():
            raise _Closing
        return raw.decode("utf-8", "replace").strip("\r\n")

    async def _say(self, code: int, *lines: str) -> None:
        for number, line in enumerate(lines, start=1):
            mark = " " if number == len(lines) else "-"
            self._writer.write(f"{code}{mark}{line}\r\n".encode())
        await self._writer.drain()

    async def _helo(self, _: str) -> None:
        self._greeted = True
        self._reset()
        await self._say(250, "sandbox")

    async def _ehlo(self, _: str) -> None:
        self._greeted = True
        self._reset()
        offers = [f"SIZE {MOST_MAIL}", "8BITMIME", "AUTH PLAIN LOGIN"]
        if self._service.tls is not None and not self._encrypted:
            offers.append("STARTTLS")
        await self._say(250, "sandbox", *offers)

    async def _starttls(self, _: str) -> None:
        if self._service.tls is None or self._encrypted:
            await self._say(502, "5.5.1 STARTTLS is not offered")
            return
        await self._say(220, "2.0.0 go ahead")
        await self._writer.start_tls(self._service.tls)
        # What was said in clear counts no more.
        self._encrypted, self._greeted, self._user = True, False, ""
        self._reset()

    async def _auth(self, rest: str) -> None:
        kind, _, initial = rest.partition(" ")
        try:
            match kind.upper():
                case "PLAIN":
                    parts = _decoded(initial or await self._asked("")).split("\0")
                    user, password = parts[-2], parts[-1]
                case "LOGIN":
                    user = _decoded(initial or await self._asked("Username:"))
                    password = _decoded(await self._asked("Password:"))
                case _:
                    await self._say(504, "5.5.4 PLAIN or LOGIN")
                    return
        except (binascii.Error, UnicodeDecodeError, IndexError):
            await self._say(501, "5.5.2 that is no base64")
            return
        if not user or password.startswith("revoked"):
            await self._say(535, "5.7.8 authentication credentials invalid")
            return
        self._user = user
        await self._say(235, "2.7.0 welcome")

    async def _asked(self, prompt: str) -> str:
        await self._say(334, base64.b64encode(prompt.encode()).decode())
        return await self._line()

    async def _mail(self, rest: str) -> None:
        address = _address(rest, "FROM:")
        if not self._greeted or self._sender is not None:
            await self._say(503, "5.5.1 EHLO and MAIL, once each")
        elif address is None:
            await self._say(501, "5.1.7 the sender's address is none")
        elif address.partition("@")[0] == "refused":
            await self._say(553, "5.7.1 you may not send as this address")
        else:
            self._sender = address
            await self._say(250, "2.1.0 ok")

    async def _rcpt(self, rest: str) -> None:
        address = _address(rest, "TO:")
        if self._sender is None:
            await self._say(503, "5.5.1 MAIL first")
            return
        if not address or "@" not in address:
            await self._say(501, "5.1.3 the recipient's address is none")
            return
        if len(self._recipients) >= MOST_RECIPIENTS:
            await self._say(452, "4.5.3 too many recipients")
            return
        fate = self._service.fates.draw(NAME, method="POST", path=f"/rcpt/{address}")
        code, extended, text = _reply(fate.status) or self._judged(address) or (250, "2.1.5", "ok")
        self._service.received("rcpt", address, code)
        self._lost = self._lost or fate.lost
        if code == 250:
            self._recipients.append(address)
        await self._say(code, f"{extended} <{address}>: {text}")
        if code == 421:
            raise _Closing

    def _judged(self, address: str) -> tuple[int, str, str] | None:
        word = re.split(r"[-+._@0-9]", address, maxsplit=1)[0].lower()
        if word == "greylisted" and not self._service.room.greet(str(self._sender), address):
            return 450, "4.2.0", "greylisted, try again in a few minutes"
        return CONVENTIONS.get(word)

    async def _data(self, _: str) -> None:
        if not self._recipients:
            await self._say(554, "5.5.1 no valid recipients")
            return
        await self._say(354, "end with a dot on a line of its own")
        content = await self._content()
        await asyncio.sleep(self._service.fates.behaviour.latency)
        first = self._recipients[0]
        fault = self._service.faults.take(NAME, method="DATA", path=f"/data/{first}")
        refused = _reply(fault.status) if fault else None
        if len(content) > MOST_MAIL:
            refused = (552, "5.3.4", "the mail is too large")
        lost = self._lost or bool(fault and fault.lost)
        code, extended, text = refused or (250, "2.0.0", "taken")
        if code == 250:
            self._keep(content)
        self._service.received("data", first, code, lost=lost and code == 250)
        if lost and code == 250:
            raise _Closing
        self._reset()
        await self._say(code, f"{extended} {text}")
        if code == 421:
            raise _Closing

    async def _content(self) -> bytes:
        lines: list[bytes] = []
        size = 0
        while (line := await self._reader.readuntil(b"\n")) != b".\r\n":
            size += len(line)
            if size <= MOST_MAIL:
                lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines) if size <= MOST_MAIL else b" " * (MOST_MAIL + 1)

    def _keep(self, content: bytes) -> None:
        at = self._service.now()
        mail = Mail(
            sender=self._sender or "",
            recipients=tuple(self._recipients),
            content=content,
            user=self._user,
            encrypted=self._encrypted,
            at=at,
        )
        self._service.room.take(mail)
        message = mail.message()
        plain = message.get_body(("plain", "html"))
        text = plain.get_content() if plain is not None else ""
        for recipient in self._recipients:
            self._service.ledger.publish(
                Published(
                    platform="mail",
                    account=recipient,
                    post_id=str(message.get("Message-ID", "")),
                    url="",
                    text=f"{message.get('Subject', '')}\n\n{text}".replace("\r\n", "\n").strip(),
                    idempotency=message.get("Message-ID"),
                    at=at,
                )
            )

    async def _rset(self, _: str) -> None:
        self._reset()
        await self._say(250, "2.0.0 ok")

    async def _noop(self, _: str) -> None:
        await self._say(250, "2.0.0 ok")

    async def _quit(self, _: str) -> None:
        await self._say(221, "2.0.0 bye")
        raise _Closing


def _reply(status: int | None) -> tuple[int, str, str] | None:
    if status is None:
        return None
    kind = "4" if status < 500 else "5"
    return REPLIES.get(status, (status, f"{kind}.0.0", "refused by the sandbox's plan"))


def _address(rest: str, keyword: str) -> str | None:
    if not rest.upper().startswith(keyword):
        return None
    found = ADDRESS.fullmatch(rest[len(keyword) :].strip())
    return found[1] if found else None


def _decoded(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()
