"""Payloads and results to bytes and back.

A msgspec constructor checks nothing, so whatever goes out is encoded and decoded first, and an error names the
field as it stands on the wire. Nothing here knows Redis.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping

import msgspec

from jobrunner.allowed import at_path, in_words
from jobrunner.errors import PayloadError, PayloadTooLargeError
from jobrunner.masking import secret_fields
from jobrunner.spelling import to_wire

_MISSING = re.compile(r"missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"contains unknown field `([^`]+)`")
_OWN = re.compile(r"([A-Za-z]\w*(?:\[\d+\])?): ")
"""How the check of a Struct's own (`__post_init__`) names the field that it speaks of: `to: write the number ...`."""

_PATH = re.compile(r" - at `(?:key in )?\$(\S*)`$")

_NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

_encode = msgspec.json.Encoder(order="sorted").encode

MAX_DEPTH = 64
"""Nesting that a payload may have: far beyond any real one, and far below what a decoder's stack bears."""


class PayloadCodec:
    """One queue's payload type as bytes. Thread-safe.

    Args:
        queue: The queue's name, for messages.
        kind: The Struct type.
        max_bytes: The largest payload taken.
    """

    def __init__(self, queue: str, kind: type[msgspec.Struct], max_bytes: int) -> None:
        self.queue = queue
        self.kind = kind
        self.max_bytes = max_bytes
        self._decoder: msgspec.json.Decoder[msgspec.Struct] = msgspec.json.Decoder(kind)

    def encode(self, payload: msgspec.Struct | Mapping[str, object]) -> tuple[bytes, msgspec.Struct]:
        """Check a payload and return it as JSON with sorted keys, and as the worker will see it.

        Args:
            payload: A Struct of the queue's type, or a map in either spelling (`tenant_id`, `tenantId`).

        Raises:
            PayloadError: It does not fit; the error names the field.
            PayloadTooLargeError: It is larger than the queue takes.
        """
        if not isinstance(payload, self.kind):
            payload = self._by_wire(payload)
        try:
            raw = _encode(payload)
            value = self._decoder.decode(raw) if len(raw) <= self.max_bytes else self.decode(raw)
            # What the decoder made of it is what is sent: defaults filled in, numbers and times in one form.
            final = _encode(value)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            value = self.decode(
                encode_json(self.queue, payload)
            )  # the same with care: it names what is wrong
            final = encode_json(self.queue, value)
        # With the defaults in it may have grown past the limit.
        if len(final) > self.max_bytes or final.count(b"{") + final.count(b"[") > MAX_DEPTH:
            check_size(self.queue, final, self.max_bytes)
        return final, value

    def _by_wire(self, payload: object) -> Mapping[str, object]:
        """A payload that is no Struct of the queue's as a map of the wire's names."""
        if isinstance(payload, Mapping):
            return to_wire(payload, self.kind)  # type: ignore[return-value]  # a map of the wire's names
        if isinstance(payload, msgspec.Struct):
            found, wanted = _full_name(type(payload)), _full_name(self.kind)
            raise PayloadError(self.queue, "", f"the payload is a {found}, and the queue takes a {wanted}")
        raise PayloadError(self.queue, "", f"the payload is a {type(payload).__name__}; it must be an object")

    def decode(self, raw: bytes | msgspec.Raw) -> msgspec.Struct:
        """Read a payload.

        Raises:
            PayloadError: It does not fit the type.
            PayloadTooLargeError: It is larger than the queue takes.
        """
        if len(memoryview(raw)) > self.max_bytes:
            check_size(self.queue, raw, self.max_bytes)
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise blame(self.queue, error, self.kind) from None
        except _NOT_JSON as error:
            raise PayloadError(self.queue, "", f"not valid JSON: {error}") from None


def decode_object(queue: str, raw: bytes | msgspec.Raw) -> dict[str, object]:
    """Read a payload as plain data, before it has a type.

    Raises:
        PayloadError: It is not a JSON object.
    """
    try:
        return msgspec.json.decode(raw, type=dict[str, object])
    except _NOT_JSON as error:
        raise PayloadError(queue, "", f"not a JSON object: {error}") from None


def json_schema(kind: type[msgspec.Struct]) -> dict[str, object]:
    """The JSON Schema of a payload type, as on the wire, without the defaults of secret fields: everybody sees it.

    Raises:
        TypeError: A field's type cannot be read from JSON; the last line of the text names it.
    """
    schema = msgspec.json.schema(kind, schema_hook=_anything)
    secret = secret_fields(kind)
    for part in schema.get("$defs", {}).values() if secret else ():
        for name in secret.get(part.get("title", ""), ()):
            part.get("properties", {}).get(name, {}).pop("default", None)
    return schema


def _anything(kind: type) -> dict[str, object]:
    """The schema of `object`; not empty, since msgspec takes an empty one for none."""
    if kind is object:
        return {"description": "any JSON value"}
    raise NotImplementedError  # so msgspec asks of a hook, and says itself which type it is


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def encode_json(queue: str, value: object) -> bytes:
    """Encode what a producer gave.

    Raises:
        PayloadError: It holds something that JSON cannot say, or nests too deeply.
    """
    try:
        return _encode(value)
    except RecursionError:
        raise PayloadError(queue, "", "the payload nests too deeply") from None
    except (TypeError, ValueError, msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise PayloadError(queue, "", f"the payload cannot be written as JSON: {error}") from None


def check_size(queue: str, raw: bytes | msgspec.Raw, max_bytes: int) -> None:
    """Refuse a payload that is too large or nests too deeply, before anything parses it.

    Raises:
        PayloadTooLargeError: It is.
    """
    data = bytes(raw)
    if len(data) > max_bytes:
        problem = f"the payload has {len(data):,} bytes, and the queue takes {max_bytes:,}; send a reference instead"
        raise PayloadTooLargeError(queue, "", problem)
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise PayloadTooLargeError(queue, "", f"the payload nests more than {MAX_DEPTH} levels deep")


def _depth(data: bytes) -> int:
    """The deepest nesting of JSON brackets outside strings."""
    depth = deepest = 0
    for opening in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', data):
        match opening.group()[:1]:
            case b"{" | b"[":
                depth += 1
                deepest = max(deepest, depth)
            case b"}" | b"]":
                depth -= 1
    return deepest


def blame(queue: str, error: msgspec.ValidationError, kind: object = None) -> PayloadError:
    """Turn msgspec's message into one that names the field's path as it stands on the wire, and says what it may be.

    Args:
        queue: The queue's name.
        error: What msgspec said.
        kind: The type of the whole payload; None where it is not known.
    """
    text = str(error)
    at = _PATH.search(text)
    path = at.group(1) if at else ""
    problem = text[: at.start()] if at else text
    where = path.lstrip(".")
    for pattern, said in ((_MISSING, "missing"), (_UNKNOWN, "not a field of this payload")):
        name = pattern.search(problem)
        if name:
            return PayloadError(queue, f"{where}.{name.group(1)}" if where else name.group(1), said)
    own = _OWN.match(problem)
    if own:
        field = f"{where}.{own.group(1)}" if where else own.group(1)
        return PayloadError(queue, field, problem[own.end() :])
    words = in_words(at_path(kind, path), problem)
    if words and "matching regex" not in problem:
        words = f"{problem[:1].lower()}{problem[1:]}: {words}"
    return PayloadError(queue, where, words or problem[:1].lower() + problem[1:])


def fingerprint(tenant: str, payload: bytes) -> str:
    """128 bits that stand for a tenant and an encoded payload with sorted keys, in 22 URL-safe characters."""
    digest = hashlib.sha256(tenant.encode() + b"\0" + payload).digest()[:16]
    return base64.urlsafe_b64encode(digest)[:22].decode()
