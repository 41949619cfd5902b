"""X accounts: pictures uploaded by their bytes, then one post that holds them.

X refuses a post whose text the account posted lately, so sending again after a lost answer is safe while it
remembers, and the refusal counts as posted; it does not say which post it was. A text that is too long is
refused, never cut: half a sentence under a brand's name is worse than a job that says what is wrong.
"""

from __future__ import annotations

import re
import unicodedata

import httpx
import msgspec

from jobrunner_publish.adapter import NOTE_EARLIER, NOTE_OURS, Account, Context, Post, Published
from jobrunner_publish.api import Api, Dialect, json_object, server_time, text_of, wait_named
from jobrunner_publish.failures import DuplicateError, RefusedError
from jobrunner_publish.verdicts import Problem, Verdict, rule

MOST_MEDIA = 4
IMAGES = frozenset({"image/jpeg", "image/png", "image/webp"})
"""What one upload takes; GIFs and videos go through another procedure of X's, which is not built here."""

URL = re.compile(r"https?://\S+")
URL_WEIGHT = 23
_PICTOGRAM = "[\u2190-\u2bff\U0001f000-\U0001faff][\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*"
EMOJI = re.compile(f"[\U0001f1e6-\U0001f1ff]{{2}}|{_PICTOGRAM}(?:\u200d{_PICTOGRAM})*")
EMOJI_WEIGHT = 2
LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""Code points that weigh one, all others two. Source: twitter-text, configuration version 3."""

RULES = (
    rule(Verdict.DUPLICATE, status=403, text="duplicate content"),
    rule(Verdict.REFUSED, status=401, advice="connect the account again"),
    rule(Verdict.REFUSED, status=402, advice="the app's plan with X has no posts left"),
    rule(Verdict.REFUSED, status=403, advice="the app or the account may not post this"),
)


class _Named(msgspec.Struct, frozen=True):
    id: str


class _Answer(msgspec.Struct, frozen=True):
    data: _Named


def read(answer: httpx.Response) -> Problem:
    """Read a problem document of X."""
    body = json_object(answer)
    message = str(body.get("detail") or body.get("title") or text_of(answer))
    match body.get("errors"):
        case [{"message": str(more)}, *_] if more not in message:
            message = f"{message} {more}"
        case _:
            pass
    return Problem(status=answer.status_code, message=message, retry_after=_wait(answer))


DIALECT = Dialect(name="X", read=read, rules=RULES)


async def publish(post: Post, account: Account, context: Context) -> Published:
    """Publish as the account of the token; the account's id only names it."""
    most = context.settings.x_length
    length = weight(post.text)
    if length > most:
        raise RefusedError(f"X: the text has a weighted length of {length}, and X takes {most}; shorten it")
    if len(post.media_urls) > MOST_MEDIA:
        raise RefusedError(f"X takes {MOST_MEDIA} pictures a post, not {len(post.media_urls)}")
    api = context.api(account, DIALECT, context.settings.x_url)

    async def upload(url: str) -> str:
        return await _upload(api, url, context)

    media = await context.uploaded(post.media_urls, upload)
    body: dict[str, object] = {"text": post.text}
    if media:
        body["media"] = {"media_ids": media}
    effect = await context.effect()

    async def send() -> _Named:
        return api.decode(await api.post("/2/tweets", json=body), _Answer).data

    try:
        created = await effect.make(send)
    except DuplicateError:
        return Published(already=True, note=NOTE_OURS if effect.lost_at is not None else NOTE_EARLIER)
    return Published(post_id=created.id, url=f"https://x.com/i/web/status/{created.id}")


def weight(text: str) -> int:
    """Return a text's length as X counts it, or a little less: what this lets through X itself judges.

    A web address weighs 23, an emoji 2 however many code points it has, a character of the Latin, Greek,
    Cyrillic and neighbouring scripts 1, any other 2.

    Source: X's "Counting characters" and twitter-text, configuration version 3.
    """
    rest, links = URL.subn("", unicodedata.normalize("NFC", text))
    rest, emoji = EMOJI.subn("", rest)
    light = sum(any(low <= ord(char) <= high for low, high in LIGHT) for char in rest)
    return links * URL_WEIGHT + emoji * EMOJI_WEIGHT + light + 2 * (len(rest) - light)


async def _upload(api: Api, url: str, context: Context) -> str:
    media = await context.fetcher.fetch(url)
    if media.content_type not in IMAGES:
        raise RefusedError(
            f"X: {media.content_type} is not published there by this plugin, still pictures only"
        )
    answer = await api.post(
        "/2/media/upload",
        data={"media_category": "tweet_image", "media_type": media.content_type},
        files={"media": (media.file_name, media.content, media.content_type)},
    )
    return api.decode(answer, _Answer).data.id


def _wait(answer: httpx.Response) -> float | None:
    """Seconds until X takes requests again: the latest of the windows that are used up."""
    waits = [wait_named(answer)]
    for window in ("x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour"):
        reset, left = (
            answer.headers.get(f"{window}-reset", ""),
            answer.headers.get(f"{window}-remaining", "0"),
        )
        if reset.isdecimal() and left == "0":
            waits.append(max(0.0, float(reset) - server_time(answer)))
    return max((wait for wait in waits if wait is not None), default=None)
