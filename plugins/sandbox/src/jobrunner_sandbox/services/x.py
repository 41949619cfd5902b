"""A stand-in for the X API, version 2: posts and media.

Faithful in statuses, bodies and the refusal of duplicates; processes no media.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.fields import Fields, read_fields
from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.pictures import fingerprint, recognise
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.insights_x import XInsights

FIRST_ID = 1_900_000_000_000_000_000
MOST_CHARACTERS = 280
MOST_MEDIA = 4
MOST_IMAGE_BYTES = 5 << 20
MEDIA_LIFE_S = 86_400
URL_WEIGHT = 23
WEB_URL = re.compile(r"https?://\S+")
# Source: the twitter-text configuration, version 3: these ranges weigh one, everything else two.
LIGHT_RANGES = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
INVALID_REQUEST = "https://api.twitter.com/2/problems/invalid-request"
TITLES = {
    400: "Invalid Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Upload(msgspec.Struct, kw_only=True):
    """Media in the making: it grows with every append, until it is finalized."""

    id: str
    account: str
    total: int
    content: bytearray
    ready: bool = False


class XService:
    """The endpoints of X, its uploads, and what every account posted."""

    name = "x"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._uploads: dict[str, Upload] = {}
        self._posted: dict[tuple[str, str], str] = {}
        self._insights = XInsights(context, invalid=_invalid)

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (
            Endpoint(method="POST", path="/2/tweets", handler=self._post),
            Endpoint(method="POST", path="/2/media/upload", handler=self._upload),
            Endpoint(method="POST", path="/2/media/upload/initialize", handler=self._initialize),
            Endpoint(method="POST", path="/2/media/upload/{media_id}/append", handler=self._append),
            Endpoint(method="POST", path="/2/media/upload/{media_id}/finalize", handler=self._finalize),
            *self._insights.endpoints(),
        )

    def refuse(self, status: int, message: str) -> Response:
        """Word any error as a problem document."""
        return _problem(status, message, kind=INVALID_REQUEST if status == 400 else "about:blank")

    def refuse_token(self, *, missing: bool) -> Response:  # noqa: ARG002 - X words both alike
        """Word a token that is missing or not valid; X does not tell which."""
        return self.refuse(401, "Unauthorized")

    def refuse_path(self, method: str, path: str) -> Response:  # noqa: ARG002 - X does not repeat them
        """Word a path or method that does not exist."""
        return self.refuse(404, "Not Found")

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests; X says when it is over by a header of its own, in Unix time."""
        answer = self.refuse(429, "Too Many Requests")
        reset = math.ceil(self._context.now() + retry_after)
        answer.headers["x-rate-limit-limit"] = "100"
        answer.headers["x-rate-limit-remaining"] = "0"
        answer.headers["x-rate-limit-reset"] = str(reset)
        return answer

    def finish(self, call: Call, answer: Response) -> None:
        """Add nothing; the limits are told where they are met."""

    def clear(self) -> None:
        """Forget all that was uploaded and published."""
        self._uploads.clear()
        self._posted.clear()

    async def _post(self, call: Call) -> Response:
        fields = await read_fields(call.request)
        text = fields.text("text")
        uploads = self._attached(call, fields)
        if not text.strip() and not uploads:
            raise _invalid("Please include either text or media in your Tweet.")
        if _weight(text) > MOST_CHARACTERS:
            raise RefusedError(self.refuse(403, "Your Tweet text is too long."))
        # The text alone is compared, whatever the media are.
        if text and (call.account, text) in self._posted:
            raise RefusedError(
                self.refuse(403, "You are not allowed to create a Tweet with duplicate content.")
            )
        post_id = str(self._context.next_id(FIRST_ID))
        self._posted[call.account, text] = post_id
        self._context.ledger.publish(
            Published(
                platform="x",
                account=call.account,
                post_id=post_id,
                url=f"https://x.com/i/web/status/{post_id}",
                text=text,
                media=tuple(fingerprint(bytes(upload.content)) for upload in uploads),
                at=self._context.now(),
            )
        )
        return answer_json(
            {"data": {"id": post_id, "text": text, "edit_history_tweet_ids": [post_id]}}, status=201
        )

    def _attached(self, call: Call, fields: Fields) -> list[Upload]:
        media = fields.mapping("media")
        ids = media.get("media_ids", [])
        if media and (not isinstance(ids, list) or not 1 <= len(ids) <= MOST_MEDIA):
            raise _invalid(f"$.media.media_ids: must have 1 to {MOST_MEDIA} items")
        uploads = [self._uploads.get(str(media_id)) for media_id in (ids if isinstance(ids, list) else [])]
        found = [upload for upload in uploads if upload and upload.ready and upload.account == call.account]
        if len(found) < len(uploads):
            raise _invalid("Your media IDs are invalid.")
        return found

    async def _upload(self, call: Call) -> Response:
        fields = await read_fields(call.request)
        content = fields.content("media")
        if not content:
            raise _invalid("$.media: is missing but it is required")
        if not fields.text("media_category"):
            raise _invalid("$.media_category: is missing but it is required")
        if len(content) > MOST_IMAGE_BYTES or recognise(content) is None:
            raise _invalid("The media is not an image of at most 5 MB.")
        upload = self._begin(call, total=len(content))
        upload.content += content
        upload.ready = True
        return answer_json({"data": _described(upload)})

    async def _initialize(self, call: Call) -> Response:
        fields = await read_fields(call.request)
        total = fields.text("total_bytes")
        if not total.isdecimal() or int(total) < 1:
            raise _invalid("$.total_bytes: must be a number from 1")
        if not fields.text("media_type"):
            raise _invalid("$.media_type: is missing but it is required")
        upload = self._begin(call, total=int(total))
        return answer_json({"data": _described(upload)})

    async def _append(self, call: Call) -> Response:
        upload = self._of(call)
        fields = await read_fields(call.request)
        content = fields.content("media")
        if not content or not fields.text("segment_index").isdecimal():
            raise _invalid("$.media and $.segment_index: are required")
        upload.content += content
        return answer_json({"data": {"expires_at": int(self._context.now()) + MEDIA_LIFE_S}})

    async def _finalize(self, call: Call) -> Response:
        upload = self._of(call)
        if len(upload.content) != upload.total:
            raise _invalid(f"The media has {len(upload.content)} bytes, {upload.total} were announced.")
        upload.ready = True
        return answer_json({"data": _described(upload)})

    def _begin(self, call: Call, *, total: int) -> Upload:
        media_id = str(self._context.next_id(FIRST_ID))
        upload = Upload(id=media_id, account=call.account, total=total, content=bytearray())
        self._uploads[media_id] = upload
        return upload

    def _of(self, call: Call) -> Upload:
        upload = self._uploads.get(call.path("media_id"))
        if upload is None or upload.account != call.account or upload.ready:
            raise _invalid("The media ID is invalid.")
        return upload


def _described(upload: Upload) -> dict[str, object]:
    described: dict[str, object] = {"id": upload.id, "media_key": f"3_{upload.id}"}
    if upload.ready:
        described["size"] = len(upload.content)
    return described | {"expires_after_secs": MEDIA_LIFE_S}


def _problem(status: int, detail: str, *, kind: str) -> Response:
    body = {"title": TITLES.get(status, "Error"), "detail": detail, "type": kind, "status": status}
    return answer_json(body, status=status, headers={"content-type": "application/problem+json"})


def _invalid(message: str) -> RefusedError:
    body = {
        "errors": [{"message": message}],
        "title": TITLES[400],
        "detail": "One or more parameters to your request was invalid.",
        "type": INVALID_REQUEST,
        "status": 400,
    }
    return RefusedError(answer_json(body, status=400, headers={"content-type": "application/problem+json"}))


def _weight(text: str) -> int:
    links = WEB_URL.findall(text)
    rest = WEB_URL.sub("", text)
    light = sum(any(low <= ord(char) <= high for low, high in LIGHT_RANGES) for char in rest)
    return URL_WEIGHT * len(links) + light + 2 * (len(rest) - light)
