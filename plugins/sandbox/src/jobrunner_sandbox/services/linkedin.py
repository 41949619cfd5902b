"""A stand-in for LinkedIn's versioned REST API: posts and images.

Faithful in headers, statuses, bodies and the refusal of duplicates; checks no permission of an author.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.fields import Fields, read_fields
from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.pictures import fingerprint, recognise
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.insights_linkedin import LinkedInInsights
from jobrunner_sandbox.services.little_text import shown

FIRST_ID = 7_300_000_000_000_000_000
MOST_CHARACTERS = 3000
MOST_IMAGES = 20
UPLOAD_LIFE_MS = 24 * 3600 * 1000
OLDEST_VERSION = "202401"
"""The oldest version still served here; the real one retires a version about a year after it came."""

VERSION = re.compile(r"20\d{2}(0[1-9]|1[0-2])")
AUTHOR = re.compile(r"urn:li:(person|organization):[^\s,()]+")
CODES = {
    400: (100, "INVALID_REQUEST"),
    403: (100, "ACCESS_DENIED"),
    404: (0, "RESOURCE_NOT_FOUND"),
    422: (100, "UNPROCESSABLE_ENTITY"),
    426: (100, "NONEXISTENT_VERSION"),
    429: (101, "TOO_MANY_REQUESTS"),
    500: (0, "INTERNAL_SERVER_ERROR"),
    503: (0, "SERVICE_UNAVAILABLE"),
}


class Image(msgspec.Struct, kw_only=True):
    """An image that was announced, and its bytes once they came."""

    urn: str
    owner: str
    content: bytes = b""


class LinkedInService:
    """The endpoints of LinkedIn, its images, and what every author posted."""

    name = "linkedin"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._images: dict[str, Image] = {}
        self._posts: dict[str, dict[str, object]] = {}
        self._said: dict[tuple[str, str], str] = {}
        self._insights = LinkedInInsights(context, check_version=self._check_version, refuse=self.refuse)

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (
            Endpoint(method="POST", path="/rest/images", handler=self._announce),
            Endpoint(method="GET", path="/rest/images/{urn}", handler=self._show_image),
            # The address itself is the right to upload, as a signed one is; a token is not looked at.
            Endpoint(method="PUT", path="/dms-uploads/{upload}", handler=self._upload, public=True),
            Endpoint(method="POST", path="/rest/posts", handler=self._post),
            Endpoint(method="GET", path="/rest/posts/{urn}", handler=self._show_post),
            *self._insights.endpoints(),
        )

    def refuse(self, status: int, message: str) -> Response:
        """Word any error in LinkedIn's four fields."""
        number, code = CODES.get(status, (0, "ERROR"))
        return _error(status, number, code, message)

    def refuse_token(self, *, missing: bool) -> Response:
        """Word a token that is missing or not valid."""
        if missing:
            return _error(401, 65604, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token")
        return _error(
            401, 65601, "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user"
        )

    def refuse_path(self, method: str, path: str) -> Response:
        """Word a path or method that does not exist."""
        return self.refuse(404, f"No virtual resource found for {method} {path}")

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests, with a Retry-After header in seconds."""
        answer = self.refuse(429, "Resource level throttle limit for calls to this resource is reached.")
        answer.headers["Retry-After"] = f"{retry_after:g}"
        return answer

    def finish(self, call: Call, answer: Response) -> None:
        """Add nothing."""

    def clear(self) -> None:
        """Forget all that was uploaded and published."""
        self._images.clear()
        self._posts.clear()
        self._said.clear()

    async def _announce(self, call: Call) -> Response:
        self._check_version(call)
        if call.request.query_params.get("action") != "initializeUpload":
            raise self._refused(400, "Invalid query parameters passed to request")
        owner = (await read_fields(call.request)).mapping("initializeUploadRequest").get("owner", "")
        if not isinstance(owner, str) or not AUTHOR.fullmatch(owner):
            raise self._field_error("/initializeUploadRequest/owner", str(owner))
        serial = str(self._context.next_id(FIRST_ID))
        image = Image(urn=f"urn:li:image:C{serial}", owner=owner)
        self._images[image.urn] = image
        value = {
            "uploadUrlExpiresAt": int(self._context.now() * 1000) + UPLOAD_LIFE_MS,
            "uploadUrl": f"{call.base}/dms-uploads/C{serial}",
            "image": image.urn,
        }
        return answer_json({"value": value})

    async def _upload(self, call: Call) -> Response:
        image = self._images.get(f"urn:li:image:{call.path('upload')}")
        content = await call.request.body()
        if image is None:
            raise self._refused(404, "The upload does not exist or has expired")
        if recognise(content) is None:
            raise self._refused(400, "The media is not a JPEG, PNG or GIF image")
        image.content = content
        return Response(status_code=201)

    async def _show_image(self, call: Call) -> Response:
        self._check_version(call)
        image = self._images.get(call.path("urn"))
        if image is None:
            raise self._refused(404, "Image not found")
        status = "AVAILABLE" if image.content else "WAITING_UPLOAD"
        return answer_json({"id": image.urn, "owner": image.owner, "status": status})

    async def _post(self, call: Call) -> Response:
        self._check_version(call)
        fields = await read_fields(call.request)
        author, commentary = fields.text("author"), fields.text("commentary")
        self._check_fields(fields)
        images = self._attached(fields, author)
        if (author, commentary) in self._said:
            raise _duplicate(self._said[author, commentary])
        urn = f"urn:li:share:{self._context.next_id(FIRST_ID)}"
        self._said[author, commentary] = urn
        self._posts[urn] = {
            "id": urn,
            "author": author,
            "commentary": commentary,
            "visibility": fields.text("visibility"),
            "lifecycleState": "PUBLISHED",
            "createdAt": int(self._context.now() * 1000),
        }
        self._context.ledger.publish(
            Published(
                platform="linkedin",
                account=author,
                post_id=urn,
                url=f"https://www.linkedin.com/feed/update/{urn}",
                text=shown(commentary),
                media=tuple(fingerprint(image.content) for image in images),
                at=self._context.now(),
            )
        )
        location = f"/rest/posts/{quote(urn, safe='')}"
        return Response(status_code=201, headers={"x-restli-id": urn, "location": location})

    async def _show_post(self, call: Call) -> Response:
        self._check_version(call)
        post = self._posts.get(call.path("urn"))
        if post is None:
            raise self._refused(404, "Post not found")
        return answer_json(post)

    def _check_version(self, call: Call) -> None:
        version = call.request.headers.get("linkedin-version", "")
        if not version:
            message = (
                "A version must be present. Please specify a version by adding the LinkedIn-Version header."
            )
            raise RefusedError(_error(400, 100, "VERSION_MISSING", message))
        if not VERSION.fullmatch(version):
            message = f"Invalid version format: {version}, the format is YYYYMM"
            raise RefusedError(_error(400, 100, "ILLEGAL_ARGUMENT", message))
        if version < OLDEST_VERSION:
            raise self._refused(426, f"Requested version {version}01 is not active")

    def _check_fields(self, fields: Fields) -> None:
        author = fields.text("author")
        if not AUTHOR.fullmatch(author):
            raise self._field_error("/author", author)
        if fields.text("visibility") not in ("PUBLIC", "CONNECTIONS", "LOGGED_IN"):
            raise self._field_error("/visibility", fields.text("visibility"))
        if fields.text("lifecycleState") != "PUBLISHED":
            raise self._field_error("/lifecycleState", fields.text("lifecycleState"))
        feed = fields.mapping("distribution").get("feedDistribution", "")
        if feed not in ("MAIN_FEED", "NONE"):
            raise self._field_error("/distribution/feedDistribution", str(feed))
        commentary = fields.text("commentary")
        if not commentary.strip() and not fields.mapping("content"):
            raise self._field_error("/commentary", commentary)
        if len(shown(commentary)) > MOST_CHARACTERS:
            raise RefusedError(
                _error(
                    400,
                    100,
                    "FIELD_LENGTH_TOO_LONG",
                    f"/commentary has more than {MOST_CHARACTERS} characters",
                )
            )

    def _attached(self, fields: Fields, author: str) -> list[Image]:
        content = fields.mapping("content")
        if not content:
            return []
        match content:
            case {"media": {"id": str(urn)}}:
                urns = [urn]
            case {"multiImage": {"images": list(items)}} if 2 <= len(items) <= MOST_IMAGES:
                urns = [str(item.get("id", "")) if isinstance(item, dict) else "" for item in items]
            case _:
                raise self._field_error("/content", ", ".join(content))
        images = [self._images.get(urn) for urn in urns]
        owned = [image for image in images if image is not None and image.owner == author]
        if len(owned) < len(images):
            raise self._field_error("/content", ", ".join(urns))
        if not all(image.content for image in owned):
            raise RefusedError(
                _error(400, 100, "MEDIA_ASSET_WAITING_UPLOAD", "A media asset waits for its upload")
            )
        return owned

    def _refused(self, status: int, message: str) -> RefusedError:
        return RefusedError(self.refuse(status, message))

    def _field_error(self, field: str, value: str) -> RefusedError:
        problem = (
            f'"{value}" is not valid' if value else "field is required but not found and has no default value"
        )
        return self._refused(422, f"ERROR :: {field} :: {problem}")


def _error(status: int, number: int, code: str, message: str) -> Response:
    body = {"status": status, "serviceErrorCode": number, "code": code, "message": message}
    return answer_json(body, status=status)


def _duplicate(urn: str) -> RefusedError:
    # The one error with details of its own; the post that was there before is named in the message alone.
    message = f"Content is a duplicate of {urn}"
    inputs = [{"description": "Duplicate post is detected", "input": {}, "code": "DUPLICATE_POST"}]
    body = {
        "errorDetailType": "com.linkedin.common.error.BadRequest",
        "message": f"com.linkedin.content.common.exception.BadRequestResponseException: {message}",
        "errorDetails": {"inputErrors": inputs},
        "status": 422,
    }
    return RefusedError(answer_json(body, status=422))
