"""The fields of a request, wherever the client put them: query, form, multipart or JSON.

Only reads. What a service requires, and how it says so, is the service's own.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

LIST_SUFFIX = re.compile(r"(?:\[\d*\])+$")


class MalformedBodyError(ValueError):
    """A body that is not what its content type says."""


class Fields:
    """The fields of one request by name; a name can hold several values."""

    def __init__(self, values: Mapping[str, list[object]], *, from_json: bool = False) -> None:
        self._values = values
        self.from_json = from_json

    def text(self, name: str) -> str:
        """Return the first value as text, empty if the field is missing, null, or no scalar."""
        for value in self._values.get(name, ()):
            if isinstance(value, bool):
                return "true" if value else "false"
            if isinstance(value, (str, int, float)):
                return str(value)
        return ""

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a yes or no: `true` and `1` are yes, a missing field is the default."""
        text = self.text(name).lower()
        return text in ("true", "1") if text else default

    def objects(self, name: str) -> list[object]:
        """Return a list's items, whether sent as repeats, as JSON text, or as a JSON array; empty if missing."""
        items: list[object] = []
        for value in self._values.get(name, ()):
            decoded = value
            if isinstance(value, str) and value[:1] in "[{" and value:
                try:
                    decoded = msgspec.json.decode(value)
                except msgspec.DecodeError as error:
                    raise MalformedBodyError(f"{name} is not JSON") from error
            items.extend(decoded if isinstance(decoded, list) else [decoded])
        return [item for item in items if item not in (None, "")]

    def mapping(self, name: str) -> dict[str, object]:
        """Return an object's fields, empty if the field is missing or no object."""
        for value in self.objects(name):
            if isinstance(value, dict):
                return {str(key): item for key, item in value.items()}
        return {}

    def content(self, name: str) -> bytes | None:
        """Return a file's bytes, or a text field's base64 in a JSON body, or None if there is neither."""
        for value in self._values.get(name, ()):
            if isinstance(value, bytes):
                return value
            if self.from_json and isinstance(value, str):
                try:
                    return base64.b64decode(value, validate=True)
                except binascii.Error:
                    return None
        return None


async def read_fields(request: Request) -> Fields:
    """Read the fields of a request; those of the body go before those of the query.

    Args:
        request: The request; its body may have been read before.

    Returns:
        The fields. `name[]`, `name[0]` and `name` are one field, in the order in which they came.

    Raises:
        MalformedBodyError: The body is not what its content type says, or is JSON and no object.
    """
    values: dict[str, list[object]] = {}
    content_type = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if content_type == "application/json":
        for key, value in _json_object(await request.body()).items():
            values.setdefault(str(key), []).append(value)
    elif content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        try:
            form = await request.form()
        except HTTPException as error:
            raise MalformedBodyError(str(error.detail)) from error
        for key, entry in form.multi_items():
            content = await entry.read() if isinstance(entry, UploadFile) else entry
            values.setdefault(LIST_SUFFIX.sub("", key), []).append(content)
        await form.close()
    for key, entry in request.query_params.multi_items():
        values.setdefault(LIST_SUFFIX.sub("", key), []).append(entry)
    return Fields(values, from_json=content_type == "application/json")


def _json_object(body: bytes) -> dict[object, object]:
    if not body.strip():
        return {}
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise MalformedBodyError("the body is not JSON") from error
    if not isinstance(decoded, dict):
        raise MalformedBodyError("the body is not a JSON object")
    return decoded
