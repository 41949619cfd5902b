"""One call to the WhatsApp Cloud API, and every way in which it can fail, sorted.

The token goes into the Authorization header and nowhere else; redirects are not followed, so it reaches no other
host, and it is struck out of whatever the API says. Never retries: that is the job's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec

from jobrunner_whatsapp.failures import RefusedError, TransientError, UnknownOutcomeError
from jobrunner_whatsapp.payload import WhatsAppMessage
from jobrunner_whatsapp.refusal import UNREADABLE, read_error, wait_named
from jobrunner_whatsapp.result import Accepted
from jobrunner_whatsapp.settings import WhatsAppSettings
from jobrunner_whatsapp.verdicts import NUMBER, TOKEN, Problem, judge

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Failures before the first byte of the request: it cannot have had an effect."""

MOST_ANSWER = 256 * 1024
"""Bytes that are read of an answer; a real one has under two thousand."""

LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=20.0)
"""Far above what a worker's slots need at once; idle connections end before Meta's side ends them."""


class CloudApi:
    """The Cloud API as the settings describe it.

    Args:
        http: The worker's client.
        settings: The plugin's settings.
    """

    def __init__(self, http: httpx.AsyncClient, settings: WhatsAppSettings) -> None:
        self.settings = settings
        self._http = http
        self._url = f"{settings.graph_url.rstrip('/')}/{settings.version}/{settings.phone_number_id}/messages"

    def check(self) -> None:
        """Return if there is a sender and a token.

        Raises:
            RefusedError: There is none; it names the setting.
        """
        for variable, value in ((NUMBER, self.settings.phone_number_id), (TOKEN, self.settings.access_token)):
            if not value:
                raise RefusedError(f"{variable} is not set: no message can be sent", setting=variable)

    async def send(self, message: WhatsAppMessage, *, reference: str, attempt: int) -> Accepted:
        """Hand one message over.

        Args:
            message: The message.
            reference: Comes back with the webhooks about this message, up to 512 characters.
            attempt: The attempt's number, from 1.

        Returns:
            What WhatsApp said when it accepted the message.

        Raises:
            TransientError: It did not work and can be tried again; nothing was sent.
            RefusedError: It will never work.
            UnknownOutcomeError: Nobody knows whether WhatsApp took it.
        """
        try:
            async with asyncio.timeout(2 * self.settings.timeout):
                status, headers, body = await self._call(msgspec.json.encode(self._body(message, reference)))
        except NEVER_SENT as error:
            raise TransientError(f"WhatsApp cannot be reached: {_described(error)}") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            # Their texts quote the header in question, and with it the token.
            raise RefusedError("the request cannot be made from these settings", setting=TOKEN) from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnknownOutcomeError(f"the answer of WhatsApp was lost: {_described(error)}") from None
        if not 200 <= status < 300:
            raise judge(self._read(status, headers, body), attempt=attempt)
        return _accepted(body, message.campaign_id)

    async def _call(self, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        headers = {
            "Authorization": f"Bearer {self.settings.access_token}",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # so that nothing small can unpack to something large
        }
        async with self._http.stream(
            "POST", self._url, content=body, headers=headers, follow_redirects=False
        ) as answer:
            read = b""
            async for chunk in answer.aiter_raw():
                read += chunk
                if len(read) > MOST_ANSWER:
                    break
            return answer.status_code, answer.headers, read[:MOST_ANSWER]

    def _body(self, message: WhatsAppMessage, reference: str) -> dict[str, object]:
        head: dict[str, object] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.to,
            "biz_opaque_callback_data": reference,
        }
        if not self.settings.template:
            return {**head, "type": "text", "text": {"preview_url": False, "body": message.message}}
        # A template's parameter may have no line break, no tab, and no more than four blanks in a row.
        text = " ".join(message.message.split())
        return {
            **head,
            "type": "template",
            "template": {
                "name": self.settings.template,
                "language": {"code": self.settings.template_language},
                "components": [{"type": "body", "parameters": [{"type": "text", "text": text}]}],
            },
        }

    def _read(self, status: int, headers: httpx.Headers, body: bytes) -> Problem:
        said = read_error(body)
        # Meta's text for a token that it cannot read quotes the token.
        token = self.settings.access_token
        return Problem(
            status=status,
            code=said.code,
            subcode=said.subcode,
            message=said.message.replace(token, "***") if token else said.message,
            is_transient=said.is_transient,
            retry_after=wait_named(headers),
        )


@asynccontextmanager
async def open_cloud_api(settings: WhatsAppSettings) -> AsyncIterator[CloudApi]:
    """Open the client, and close it at the end.

    Args:
        settings: The plugin's settings.
    """
    async with httpx.AsyncClient(
        limits=LIMITS, timeout=settings.timeout, headers={"User-Agent": "jobrunner-whatsapp"}
    ) as http:
        yield CloudApi(http, settings)


class _Message(msgspec.Struct, frozen=True):
    id: str
    message_status: str = ""


class _Contact(msgspec.Struct, frozen=True):
    wa_id: str = ""


class _Answer(msgspec.Struct, frozen=True):
    messages: list[_Message]
    contacts: list[_Contact] = []


def _accepted(body: bytes, campaign_id: str | None) -> Accepted:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        message = answer.messages[0]
    except (*UNREADABLE, IndexError):
        raise UnknownOutcomeError("WhatsApp answered with success, and with no message id") from None
    return Accepted(
        status="accepted",
        message_id=message.id[:512],
        wa_id=answer.contacts[0].wa_id[:64] if answer.contacts else "",
        message_status=message.message_status[:64],
        campaign_id=campaign_id,
    )


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
