"""The engine `openai`: asks an OpenAI-compatible images endpoint, `POST /v1/images/generations`.

Takes the picture from the answer itself (`b64_json`) and never fetches an address that an answer names. Never retries:
that is the job's business.

Source: OpenAI's API reference, "Create image", and its guide "Error codes".
"""

from __future__ import annotations

import asyncio
import binascii
import math
import re
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from jobrunner import Discard, PluginError, Retry
from jobrunner_image.decoding import UnusableImageError
from jobrunner_image.engine import Drawn, Order, Workshop
from jobrunner_image.settings import ImageSettings

MOST_ANSWER = 64 << 20
"""Bytes of an answer that are read: a picture of 16 million pixels that compresses badly, in base64."""

MOST_WAIT_S = 86_400.0
RATE_WAIT_S = 30.0
"""Seconds to wait where the endpoint says nothing: its limits are counted by the minute."""

QUOTA_WAIT_S = 900.0
"""Seconds to wait where the account has no credit left: somebody has to do something about it."""

VERSIONED = re.compile(r"/v[0-9]+[a-z0-9]*$")
TOKEN = re.compile(r"[\x21-\x7e]+")
ASKS_FOR_URLS = "dall-e"
"""Models that answer with an address unless asked for the picture; the others always send it and refuse the question."""

STYLES = {
    "realistic": "A photorealistic picture with natural light.",
    "cartoon": "A cartoon with bold outlines and flat, cheerful colours.",
    "abstract": "An abstract composition of shapes and colours.",
    "minimalist": "A minimalist picture: one subject, few elements, much empty space.",
}

REFUSED_CODES = ("content_policy_violation", "moderation_blocked")
QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached")


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, no UTF-8, or nested deeper than it goes."""


class EndpointError(Exception):
    """The endpoint did not answer, or not with a picture; it is tried again."""


class _Picture(msgspec.Struct, frozen=True):
    b64_json: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Picture] = []
    error: object = None


class OpenAIEngine:
    """Asks the endpoint of the settings.

    Args:
        workshop: Threads to decode in.
        http: The client.
    """

    def __init__(self, workshop: Workshop, http: httpx.AsyncClient) -> None:
        self._workshop = workshop
        self._http = http
        self._settings = workshop.settings

    async def draw(self, order: Order) -> Drawn:
        """Have a picture made; see `jobrunner_image.Engine`."""
        content = await self._ask(order)
        try:
            answer = msgspec.json.decode(content, type=_Answer)
        except UNREADABLE as error:
            raise EndpointError(f"the images endpoint answered with what cannot be read: {error}") from None
        encoded = next((picture.b64_json for picture in answer.data if picture.b64_json), None)
        if encoded is None:
            said = "no data[].b64_json" if answer.error is None else _said(answer.error)[1]
            raise EndpointError(f"the images endpoint answered without a picture ({said})")
        try:
            image = await self._workshop.decode(b64decode(encoded, validate=True))
        except (binascii.Error, UnusableImageError) as error:
            raise EndpointError(f"the images endpoint sent a picture that cannot be used: {error}") from None
        notes = ("the endpoint does not take fonts: brandFonts was not used",) if order.fonts else ()
        return Drawn(image, notes)

    async def _ask(self, order: Order) -> bytes:
        body: dict[str, object] = {
            "model": self._settings.openai_model,
            "prompt": worded(order),
            "n": 1,
            "size": nearest_size(order.width, order.height, self._settings.openai_sizes),
        }
        if self._settings.openai_model.startswith(ASKS_FOR_URLS):
            body["response_format"] = "b64_json"
        headers = {
            "Authorization": f"Bearer {self._settings.openai_key}",
            "Content-Type": "application/json",
        }
        try:
            # The client's own timeout is for each read, so a server that drips would hold the job for ever.
            async with (
                asyncio.timeout(self._settings.openai_timeout),
                self._http.stream(
                    "POST",
                    endpoint(self._settings),
                    content=msgspec.json.encode(body),
                    headers=headers,
                    follow_redirects=False,
                ) as answer,
            ):
                content = await _read(answer)
        except TimeoutError:
            raise EndpointError(
                f"the images endpoint gave no answer in {self._settings.openai_timeout:g} s"
            ) from None
        except httpx.HTTPError as error:
            raise EndpointError(
                f"the images endpoint did not answer: {type(error).__name__}: {error}"
            ) from None
        if answer.status_code != httpx.codes.OK:
            raise _judged(answer, content, self._settings.openai_key)
        return content


@asynccontextmanager
async def open_engine(workshop: Workshop) -> AsyncIterator[OpenAIEngine]:
    """Open the client.

    Raises:
        PluginError: The settings have no key, or one that a header cannot carry.
    """
    settings = workshop.settings
    if not TOKEN.fullmatch(settings.openai_key):
        raise PluginError(
            "JOBRUNNER_IMAGE_OPENAI_KEY: the engine openai needs a key, printable and without blanks"
        )
    timeout = httpx.Timeout(30.0, read=settings.openai_timeout)
    async with httpx.AsyncClient(timeout=timeout, headers={"User-Agent": "jobrunner-image"}) as http:
        yield OpenAIEngine(workshop, http)


def endpoint(settings: ImageSettings) -> str:
    """Return the endpoint's address, whether the setting names a version or not."""
    base = settings.openai_url.rstrip("/")
    return f"{base if VERSIONED.search(base) else base + '/v1'}/images/generations"


def worded(order: Order) -> str:
    """Return the prompt with what the payload says besides."""
    parts = [order.prompt.strip(), STYLES[order.style]]
    if order.colors:
        parts.append(f"Use the brand's colours: {', '.join(order.colors)}.")
    return "\n\n".join(parts)


def nearest_size(width: int, height: int, sizes: tuple[str, ...]) -> str:
    """Return the size that loses least when it is cropped to a shape; of several the one nearest in pixels.

    Args:
        width: Pixels that are wanted.
        height: Pixels that are wanted.
        sizes: What the model takes, such as `1024x1024`.
    """

    def loss(size: str) -> tuple[float, float]:
        wide, high = (int(part) for part in size.split("x"))
        shape = abs(math.log(wide / high) - math.log(width / height))
        return round(shape, 6), abs(math.log(wide * high) - math.log(width * height))

    return min(sizes, key=loss)


async def _read(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > MOST_ANSWER:
            raise EndpointError(f"the images endpoint answered with more than {MOST_ANSWER >> 20} MiB")
    return bytes(content)


def _judged(answer: httpx.Response, content: bytes, key: str) -> Exception:
    """What a refusal means."""
    try:
        body = msgspec.json.decode(content)
    except UNREADABLE:
        body = content[:65_536].decode("utf-8", "replace")
    code, message = _said(body.get("error", body) if isinstance(body, dict) else body)
    status = answer.status_code
    # Struck out before the text is cut, or the half of a key would be left.
    said = " ".join(message.replace(key, "***").split())[:300]
    text = f"the images endpoint answered {status}{'/' + code if code else ''}: {said or 'no message'}"
    if code in QUOTA_CODES or status == httpx.codes.PAYMENT_REQUIRED:
        return Retry(
            after=max(_wait(answer) or 0.0, QUOTA_WAIT_S), reason=f"{text} (add credit to the account)"
        )
    # "At once" is no wait: the attempts of a job would be spent in a moment.
    wait = _wait(answer) or None
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Retry(after=wait or RATE_WAIT_S, reason=text)
    if status in (408, 409, 425) or status >= 500:
        return EndpointError(text) if wait is None else Retry(after=wait, reason=text)
    advice = {
        401: " (set JOBRUNNER_IMAGE_OPENAI_KEY to a valid key)",
        403: " (the key may not use this model: see JOBRUNNER_IMAGE_OPENAI_KEY and _MODEL)",
        404: " (see JOBRUNNER_IMAGE_OPENAI_URL and JOBRUNNER_IMAGE_OPENAI_MODEL)",
    }.get(status, "")
    if status < 400:
        advice = " (redirects are not followed, see JOBRUNNER_IMAGE_OPENAI_URL)"
    if code in REFUSED_CODES:
        advice = " (the prompt was refused by its content policy)"
    return Discard(text + advice)


def _said(error: object) -> tuple[str, str]:
    """An error's code and message, in any of the forms that compatible servers give it."""
    if not isinstance(error, dict):
        return "", error if isinstance(error, str) else ""
    message, code = error.get("message") or error.get("detail"), error.get("code") or error.get("type")
    return (code[:64] if isinstance(code, str) else "", message if isinstance(message, str) else "")


def _wait(answer: httpx.Response) -> float | None:
    """The seconds that the endpoint asks to wait, a day at most; None where it says nothing."""
    for header, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(answer.headers.get(header, "")) * factor
        except ValueError:
            continue
        if math.isfinite(seconds):
            return min(MOST_WAIT_S, max(0.0, seconds))
    try:
        until = parsedate_to_datetime(answer.headers.get("retry-after", "")).timestamp()
        return min(MOST_WAIT_S, max(0.0, until - time.time()))
    except (ValueError, OverflowError):
        return None
