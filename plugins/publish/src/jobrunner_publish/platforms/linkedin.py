"""LinkedIn members and organisations: images uploaded by their bytes, then one post that holds them.

LinkedIn refuses a post that the same author has made before and names that one, so sending again after a lost
answer is safe, and the refusal counts as posted. Only pictures are published.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx
import msgspec

from jobrunner_publish.adapter import NOTE_EARLIER, NOTE_OURS, Account, Context, Post, Published
from jobrunner_publish.api import Api, Dialect, json_object, text_of, wait_named
from jobrunner_publish.failures import AnswerLostError, DuplicateError, RefusedError
from jobrunner_publish.verdicts import Problem, Verdict, rule

RESERVED = re.compile(r"[\\|{}@\[\]()<>#*_~]")
"""What LinkedIn's "little text" takes for notation: not escaped, it cuts the post off there without a word."""

AUTHOR = re.compile(r"urn:li:(person|organization):[^\s,()]+")
POST_URN = re.compile(r"urn:li:(?:share|ugcPost|activity):\d+")

RULES = (
    rule(Verdict.DUPLICATE, status=422, text="duplicate"),
    rule(Verdict.DUPLICATE, code="DUPLICATE_POST"),
    rule(
        Verdict.RETRY,
        status=426,
        advice="LinkedIn no longer serves this version; set JOBRUNNER_PUBLISH_LINKEDIN_VERSION to a newer one",
    ),
    rule(Verdict.RETRY, code="MEDIA_ASSET_WAITING_UPLOAD MEDIA_ASSET_PROCESSING"),
    rule(Verdict.RETRY, status=409),
)


class _Upload(msgspec.Struct, frozen=True, rename="camel"):
    upload_url: str
    image: str


class _Initialized(msgspec.Struct, frozen=True):
    value: _Upload


def read(answer: httpx.Response) -> Problem:
    """Read a refusal of LinkedIn, in either of its two forms."""
    body = json_object(answer)
    match body.get("errorDetails"):
        case {"inputErrors": [{"code": str(code)}, *_]}:
            pass
        case _:
            code = str(body.get("code") or "")
    return Problem(
        status=answer.status_code,
        code=code,
        message=str(body.get("message") or text_of(answer)),
        retry_after=wait_named(answer),
    )


DIALECT = Dialect(name="LinkedIn", read=read, rules=RULES)


async def publish(post: Post, account: Account, context: Context) -> Published:
    """Publish as the credential `authorUrn`, or as the organisation whose id is the account's."""
    author = _author(account)
    headers = {
        "LinkedIn-Version": context.settings.linkedin_version,
        "X-Restli-Protocol-Version": "2.0.0",
    }
    api = context.api(account, DIALECT, context.settings.linkedin_url, headers=headers)

    async def upload(url: str) -> str:
        return await _upload(api, url, author=author, context=context)

    images = await context.uploaded(post.media_urls, upload)
    effect = await context.effect()

    async def send() -> str:
        answer = await api.post("/rest/posts", json=_body(post, author, images))
        if urn := answer.headers.get("x-restli-id", ""):
            return str(urn)
        # A proxy's page, say. It is sent again, and LinkedIn refuses what is there already.
        raise AnswerLostError(f"LinkedIn answered {answer.status_code} without the id of a post")

    try:
        urn = await effect.make(send)
    except DuplicateError as error:
        named = POST_URN.search(str(error))
        note = NOTE_OURS if effect.lost_at is not None else NOTE_EARLIER
        urn = named.group() if named else ""
        return Published(post_id=urn, url=_url(urn), already=True, note=note)
    return Published(post_id=urn, url=_url(urn))


async def _upload(api: Api, url: str, *, author: str, context: Context) -> str:
    media = await context.fetcher.fetch(url)
    if not media.is_image:
        raise RefusedError(
            f"LinkedIn: {media.content_type} is not published there by this plugin, pictures only"
        )
    asked = {"initializeUploadRequest": {"owner": author}}
    answer = await api.post("/rest/images", params={"action": "initializeUpload"}, json=asked)
    place = api.decode(answer, _Initialized).value
    _check_place(place.upload_url, context)
    await api.send(
        "PUT", place.upload_url, content=media.content, headers={"Content-Type": media.content_type}
    )
    return place.image


def _check_place(url: str, context: Context) -> None:
    """The token goes along with an upload, so it goes to LinkedIn's own hosts only."""
    own, asked = urlsplit(context.settings.linkedin_url), urlsplit(url)
    same = (asked.scheme, asked.netloc) == (own.scheme, own.netloc)
    host = asked.hostname or ""
    if not same and not (
        asked.scheme == "https" and (host == "linkedin.com" or host.endswith(".linkedin.com"))
    ):
        raise RefusedError(f"LinkedIn asks for an upload to {host[:80]}, which is not its own")


def _author(account: Account) -> str:
    author = account.credential("authorUrn") or account.id
    if not author.startswith("urn:"):
        author = f"urn:li:organization:{author}"
    if not AUTHOR.fullmatch(author):
        raise RefusedError(f"LinkedIn: {author[:80]!r} is no author; give the credential authorUrn")
    return author


def _body(post: Post, author: str, images: list[str]) -> dict[str, object]:
    body: dict[str, object] = {
        "author": author,
        "commentary": post.compose(text=_escaped, hashtag=_hashtag),
        "visibility": "PUBLIC",
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": False,
    }
    if len(images) == 1:
        body["content"] = {"media": {"id": images[0]}}
    elif images:
        body["content"] = {"multiImage": {"images": [{"id": image} for image in images]}}
    return body


def _escaped(text: str) -> str:
    return RESERVED.sub(r"\\\g<0>", text)


def _hashtag(tag: str) -> str:
    return "{hashtag|\\#|" + _escaped(tag) + "}"


def _url(urn: str) -> str:
    return f"https://www.linkedin.com/feed/update/{urn}" if urn else ""
