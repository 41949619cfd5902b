"""A stand-in for the WhatsApp Cloud API: messages to people, free text and templates.

Accepts and records; delivers nothing and calls no webhook. Source of the codes and limits: Meta's pages "Error codes"
and "Messages" of the WhatsApp Business Platform.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.fields import MalformedBodyError
from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json

FIRST_ID = 10_000_000

VERSION = re.compile(r"v\d{1,2}\.\d")
RECIPIENT = re.compile(r"\+[1-9]\d{6,14}")
REFUSING = re.compile(r"\+15550(\d{6})")
"""A recipient of this form gets the error of that code, every time: `+15550131047` is outside the 24 hours."""

RE_ENGAGEMENT = 131047

THROUGHPUT = 80
"""Messages a second that one business number may send."""

PAIR_PERIOD_S = 6.0
PAIR_BURST = 45
"""One business number to one recipient: a message every six seconds, and a burst of 45 ahead of it."""

MOST_TEXT = 4096
MOST_PARAMETER = 1024
MOST_REFERENCE = 512

UNFIT_PARAMETER = re.compile(r"[\n\r\t]| {5}")

STATUSES = {
    0: 401,
    3: 500,
    10: 403,
    100: 400,
    190: 401,
    368: 403,
    4: 429,
    80007: 429,
    130429: 429,
    130497: 403,
    131000: 500,
    131005: 403,
    131016: 500,
    131031: 403,
    131045: 500,
    131048: 429,
    131056: 429,
    131057: 500,
    132001: 404,
    133004: 503,
    1: 500,
    2: 503,
}
"""Code -> HTTP status; 400 where it is not here."""

TITLES = {
    0: "AuthException",
    2: "API Service",
    4: "API Too Many Calls",
    10: "Permission Denied",
    100: "Invalid parameter",
    190: "Access token has expired",
    80007: "Rate limit issues",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131051: "Unsupported message type",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    132000: "Template Param Count Mismatch",
    132001: "Template does not exist",
    132005: "Template Hydrated Text Too Long",
    132018: "There is an issue with the parameters in your template",
}


class WhatsAppService:
    """The one endpoint of the Cloud API that sends."""

    name = "whatsapp"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._second: tuple[str, int, int] = ("", 0, 0)
        self._pairs: dict[tuple[str, str], float] = {}

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (Endpoint(method="POST", path="/{version}/{number}/messages", handler=self._send),)

    def refuse(self, status: int, message: str) -> Response:
        """Word any error."""
        code = {400: 100, 403: 10, 503: 131016}.get(status, 131000 if status >= 500 else 1)
        return whatsapp_error(code, message, status=status)

    def refuse_token(self, *, missing: bool) -> Response:
        """Word a token that is missing or not valid."""
        if missing:
            return whatsapp_error(0, "An access token is required to request this resource.")
        return whatsapp_error(190, "Error validating access token: Session has expired.")

    def refuse_path(self, method: str, path: str) -> Response:
        """Word a path or method that does not exist."""
        return whatsapp_error(100, f"Unsupported {method.lower()} request: {path}", subcode=33)

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests: code 130429. The Cloud API says no wait, so `retry_after` is not passed on."""
        del retry_after
        return whatsapp_error(130429, "Cloud API message throughput has been reached.")

    def finish(self, call: Call, answer: Response) -> None:
        """Add nothing."""

    def clear(self) -> None:
        """Forget all limits that are used up."""
        self._second = ("", 0, 0)
        self._pairs.clear()

    async def _send(self, call: Call) -> Response:
        if not VERSION.fullmatch(call.path("version")) or not call.path("number").isdecimal():
            raise RefusedError(self.refuse_path(call.request.method, call.request.url.path))
        body = _object(await call.request.body())
        sender, recipient = call.path("number"), _text(body, "to")
        if body.get("messaging_product") != "whatsapp":
            raise _refused(100, "The parameter messaging_product is required.")
        if not RECIPIENT.fullmatch(recipient):
            raise _refused(131009, f"Parameter value is not valid: to: {recipient}")
        if len(_text(body, "biz_opaque_callback_data")) > MOST_REFERENCE:
            raise _refused(131009, "biz_opaque_callback_data has more than 512 characters")
        kind = _text(body, "type") or "text"
        text = _shown(kind, body)
        planned = REFUSING.fullmatch(recipient)
        code = int(planned[1]) if planned else None
        if code is not None and not (code == RE_ENGAGEMENT and kind == "template"):
            raise _refused(code, TITLES.get(code, "An error of the sandbox's making"))
        self._limit(sender, recipient)
        return self._accept(
            sender, recipient, text, kind=kind, reference=_text(body, "biz_opaque_callback_data")
        )

    def _limit(self, sender: str, recipient: str) -> None:
        now = self._context.now()
        second = int(now)
        counted = self._second[2] if self._second[:2] == (sender, second) else 0
        if counted >= THROUGHPUT:
            raise _refused(130429, "Cloud API message throughput has been reached.")
        # When the pair's messages so far would all have been due, at one in six seconds.
        due = max(now, self._pairs.get((sender, recipient), now)) + PAIR_PERIOD_S
        if due - now > PAIR_PERIOD_S * PAIR_BURST:
            raise _refused(131056, "Too many messages sent from this phone number to the same phone number.")
        self._second = (sender, second, counted + 1)
        self._pairs[sender, recipient] = due

    def _accept(self, sender: str, recipient: str, text: str, *, kind: str, reference: str) -> Response:
        number = self._context.next_id(FIRST_ID)
        message_id = f"wamid.{base64.b64encode(f'{recipient[1:]}:{number}'.encode()).decode()}"
        self._context.ledger.publish(
            Published(
                platform="whatsapp",
                account=recipient,
                post_id=message_id,
                url=f"https://wa.me/{sender}",
                text=text,
                idempotency=reference or None,
                at=self._context.now(),
            )
        )
        message = {"id": message_id} | ({"message_status": "accepted"} if kind == "template" else {})
        return answer_json(
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": recipient, "wa_id": recipient[1:]}],
                "messages": [message],
            }
        )


def whatsapp_error(
    code: int, details: str, *, status: int | None = None, subcode: int | None = None
) -> Response:
    """Word an error of the Cloud API.

    Args:
        code: Meta's number of the error.
        details: What is the matter, for developers.
        status: The HTTP status; None takes the code's own.
        subcode: Meta's number below the code, left out if None.
    """
    error: dict[str, object] = {
        "message": f"(#{code}) {TITLES.get(code, 'Error')}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details},
        "fbtrace_id": f"A{code:022d}",
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    return answer_json({"error": error}, status=STATUSES.get(code, 400) if status is None else status)


def _refused(code: int, details: str) -> RefusedError:
    return RefusedError(whatsapp_error(code, details))


def _object(body: bytes) -> Mapping[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise MalformedBodyError("the body is not a JSON object") from error


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


class _Parameter(msgspec.Struct):
    type: str
    text: str


class _Component(msgspec.Struct):
    type: str
    parameters: list[_Parameter] = []


class _Language(msgspec.Struct):
    code: str


class _Template(msgspec.Struct):
    name: str
    language: _Language
    components: list[_Component] = []


class _Text(msgspec.Struct):
    body: str


def _shown(kind: str, body: Mapping[str, object]) -> str:
    """What the recipient would read; a template's name stands in front of its parameters.

    Raises:
        RefusedError: The message is none that the Cloud API takes.
    """
    if kind not in ("text", "template"):
        raise _refused(131051, f"Message type {kind!r} is not supported.")
    try:
        if kind == "text":
            return _free_text(msgspec.convert(body.get("text"), _Text).body)
        return _from_template(msgspec.convert(body.get("template"), _Template))
    except msgspec.ValidationError as error:
        raise _refused(131008, f"Required parameter is missing: {kind}: {error}") from None


def _free_text(text: str) -> str:
    if not text:
        raise _refused(131008, "Required parameter is missing: text.body")
    if len(text) > MOST_TEXT:
        raise _refused(100, "Param text['body'] must be at most 4096 characters long.")
    return text


def _from_template(template: _Template) -> str:
    if template.name.startswith("missing"):
        raise _refused(132001, f"template name ({template.name}) does not exist in {template.language.code}")
    texts = [one.text for part in template.components if part.type == "body" for one in part.parameters]
    if len(texts) != 1:
        raise _refused(132000, f"body: number of parameters ({len(texts)}) does not match the expected 1")
    if UNFIT_PARAMETER.search(texts[0]):
        raise _refused(
            132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
        )
    if len(texts[0]) > MOST_PARAMETER:
        raise _refused(132005, "Translated text too long")
    return f"[{template.name}] {texts[0]}"
