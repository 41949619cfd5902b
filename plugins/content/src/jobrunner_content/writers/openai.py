"""The writer behind an OpenAI-compatible chat endpoint: one call a text, its answer checked before it is used.

The key goes into the Authorization header and nowhere else; redirects are not followed, so it reaches no other host.
Never retries: that is the job's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec

from jobrunner import SettingsError
from jobrunner_content.failures import RefusedError, TransientError, UnusableError, WriterError, clip
from jobrunner_content.settings import ContentSettings
from jobrunner_content.text import PostText, clean_hashtags
from jobrunner_content.writer import Brief, Writer
from jobrunner_content.writers.openai_prompt import messages, response_format
from jobrunner_content.writers.openai_verdicts import UNREADABLE, Answer, judge, told_by

MOST_BYTES = 1 << 20
"""Bytes of an answer that are read: a hundred times the longest post with all that stands around it."""

OPENAI = "https://api.openai.com/"
LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=20.0)


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True, kw_only=True):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an answer; a service may say more."""

    choices: list[_Choice] = []
    error: object = None


@asynccontextmanager
async def open_writer(settings: ContentSettings) -> AsyncIterator[Writer]:
    """Open the client, and close it at the end.

    Args:
        settings: The plugin's settings.

    Raises:
        SettingsError: OpenAI's own API is to be asked without a key.
    """
    if not settings.openai_key and settings.openai_url.startswith(OPENAI):
        raise SettingsError(
            "JOBRUNNER_CONTENT_OPENAI_KEY",
            f"it must be set for {OPENAI}; or set JOBRUNNER_CONTENT_OPENAI_URL",
        )
    headers = {"User-Agent": "jobrunner-content", "Content-Type": "application/json"}
    if settings.openai_key:
        headers["Authorization"] = f"Bearer {settings.openai_key}"
    async with httpx.AsyncClient(limits=LIMITS, timeout=settings.openai_timeout, headers=headers) as http:
        yield OpenAIWriter(http, settings)


class OpenAIWriter:
    """Writes by asking a language model.

    Args:
        http: The client, with the key in its headers.
        settings: The plugin's settings.
    """

    def __init__(self, http: httpx.AsyncClient, settings: ContentSettings) -> None:
        self._http = http
        self._settings = settings
        self._url = f"{settings.openai_url.rstrip('/')}/chat/completions"

    async def write(self, brief: Brief) -> PostText:
        """Ask for a text; see `Writer.write`."""
        answer = await self._send(msgspec.json.encode(self._request(brief)))
        if not 200 <= answer.status < 300:
            raise judge(answer, self._settings)
        return self._read(answer)

    def _request(self, brief: Brief) -> dict[str, object]:
        settings = self._settings
        request: dict[str, object] = {
            "model": settings.openai_model,
            "messages": messages(brief),
            "response_format": response_format(),
        }
        if settings.openai_temperature is not None:
            request["temperature"] = settings.openai_temperature
        if settings.openai_max_tokens:
            request["max_completion_tokens"] = settings.openai_max_tokens
        return request

    async def _send(self, body: bytes) -> Answer:
        try:
            # The client's own timeout is for each read, so a server that drips would hold the job for ever.
            async with asyncio.timeout(self._settings.openai_timeout):
                return await self._exchange(body)
        except TimeoutError:
            raise TransientError(
                f"the chat endpoint gave no answer in {self._settings.openai_timeout:g} s"
            ) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            raise UnusableError(
                "the chat endpoint cannot be asked; check JOBRUNNER_CONTENT_OPENAI_URL"
            ) from None
        except httpx.HTTPError as error:
            told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise TransientError(f"the chat endpoint cannot be reached: {clip(told)}") from None

    async def _exchange(self, body: bytes) -> Answer:
        async with self._http.stream("POST", self._url, content=body, follow_redirects=False) as answer:
            received = bytearray()
            async for chunk in answer.aiter_bytes():
                received += chunk
                if len(received) > MOST_BYTES:
                    raise TransientError(f"the chat endpoint answered with more than {MOST_BYTES:,} bytes")
            return Answer(status=answer.status_code, headers=dict(answer.headers), body=bytes(received))

    def _read(self, answer: Answer) -> PostText:
        try:
            completion = msgspec.json.decode(answer.body, type=_Completion)
        except UNREADABLE as error:
            raise _unfit(f"no chat completion: {error}") from None
        if not completion.choices:
            # Some gateways answer 200 and say in the body what went wrong.
            told = told_by(completion.error, self._settings.openai_key)
            raise _unfit(f"there is no choice in it{': ' + told if told else ''}")
        choice = completion.choices[0]
        if choice.message.refusal:
            raise RefusedError(f"the model refused: {clip(choice.message.refusal)}")
        match choice.finish_reason:
            case "content_filter":
                raise RefusedError("the service's content filter held the text back")
            case "length":
                raise _unfit("it was cut off; JOBRUNNER_CONTENT_OPENAI_MAX_TOKENS may be too low")
        try:
            text = msgspec.json.decode(choice.message.content or "", type=PostText)
        except UNREADABLE as error:
            raise _unfit(str(error)) from None
        return msgspec.structs.replace(text, hashtags=clean_hashtags(text.hashtags))


def _unfit(problem: str) -> WriterError:
    return TransientError(f"the chat endpoint's answer does not fit: {clip(problem)}")
