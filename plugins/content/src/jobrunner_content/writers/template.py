"""The offline writer: posts built from phrases, the same for the same tenant, brand and post, and varied between posts.

For trying, for tests, and where no service may be asked. Opens nothing, and knows no clock.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import msgspec

from jobrunner_content.failures import RefusedError
from jobrunner_content.settings import ContentSettings
from jobrunner_content.text import PostText, clean_hashtags
from jobrunner_content.writer import Brief, Writer
from jobrunner_content.writers.phrases import PLAIN, SENTENCES, SUBJECTS, VOICES, Voice

CHOICE = re.compile(r"\[([^\[\]]*)\]")
SHORT_POST = 600
"""Characters of a platform where a post is two sentences."""

MOST_TOPIC = 60
"""Characters of a topic on such a platform: even with the longest opening, and counted double, it fits into 280."""

EXTRA_TAGS = 3


@asynccontextmanager
async def open_writer(settings: ContentSettings) -> AsyncIterator[Writer]:  # noqa: ARG001 - it has none
    """Open the writer."""
    yield TemplateWriter()


class TemplateWriter:
    """Writes by choosing phrases; the choice follows from tenant, brand, post and, for a rewriting, its edition."""

    async def write(self, brief: Brief) -> PostText:
        """Write a text that fits its platform; of a rewritten post, the part asked for differs from the former."""
        return _Draft(brief).text()


class _Draft:
    """One text in the making."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._chance = random.Random(_seed(brief))  # noqa: S311 - not for secrets
        self._voice = voice_of(brief.tone)
        style = f"{brief.tone} {brief.style}".lower()
        self._emoji = "emoji" in style and "no emoji" not in style
        self._sentences = _sentences_of(style, short=brief.limits.characters < SHORT_POST)
        topic = brief.topic or self._chance.choice(SUBJECTS)
        self._topic = shortened(topic, MOST_TOPIC) if brief.limits.characters < SHORT_POST else topic

    def text(self) -> PostText:
        text = self._composed()
        problem = self._brief.limits.problem(text)
        if problem:
            raise RefusedError(f"no phrase fits beside the rest of the post ({problem}); rewrite it in full")
        return text

    def _composed(self) -> PostText:
        former = self._brief.former
        if former is None or self._brief.part == "full":
            return self._new(former or PostText(hook="", body="", hashtags=()))
        match self._brief.part:
            case "hook":
                return self._with_hook(former, avoid=former.hook)
            case "body":
                return self._with_body(msgspec.structs.replace(former, body=""), avoid=former.body)
            case "hashtags":
                return self._with_tags(msgspec.structs.replace(former, hashtags=()), avoid=former.hashtags)

    def _new(self, former: PostText) -> PostText:
        text = self._with_hook(PostText(hook="", body="", hashtags=()), avoid=former.hook)
        text = self._with_wanted(text)
        text = self._with_body(text, avoid=former.body)
        return self._with_tags(text, avoid=former.hashtags)

    def _with_hook(self, text: PostText, *, avoid: str) -> PostText:
        hooks = [self._said(hook) for hook in self._shuffled(self._voice.hooks)]
        candidates = [msgspec.structs.replace(text, hook=hook) for hook in hooks if hook != avoid]
        shortest = min(candidates, key=lambda candidate: len(candidate.hook))
        return next((candidate for candidate in candidates if self._fits(candidate)), shortest)

    def _with_wanted(self, text: PostText) -> PostText:
        for tag in self._brief.hashtags:
            longer = msgspec.structs.replace(text, hashtags=(*text.hashtags, tag))
            text = longer if self._fits(longer) else text
        return text

    def _with_body(self, text: PostText, *, avoid: str) -> PostText:
        wanted, parts = self._sentences, list[str]()
        ending = next((one for one in self._spoken(self._voice.endings) if one not in avoid), "")
        for sentence in self._spoken((*self._voice.sentences, *SENTENCES)):
            if len(parts) == wanted:
                break
            if sentence in avoid or sentence in parts:
                continue
            if self._fits(msgspec.structs.replace(text, body=" ".join([*parts, sentence]))):
                parts.append(sentence)
        body = " ".join(parts)
        separator = " " if self._brief.limits.characters < SHORT_POST else "\n\n"
        closed = msgspec.structs.replace(text, body=separator.join(part for part in (body, ending) if part))
        return closed if self._fits(closed) else msgspec.structs.replace(text, body=body)

    def _with_tags(self, text: PostText, *, avoid: Iterable[str]) -> PostText:
        text = text if text.hashtags else self._with_wanted(text)
        most = len(text.hashtags) + EXTRA_TAGS
        known = {tag.lower() for tag in avoid}
        extra = clean_hashtags((_tag_of(self._topic), *self._shuffled(self._voice.hashtags)))
        # Those that the former text has come last, so that a rewriting shows.
        for tag in sorted(extra, key=lambda tag: tag.lower() in known):
            tags = clean_hashtags((*text.hashtags, tag))
            longer = msgspec.structs.replace(text, hashtags=tags)
            if len(tags) <= most and self._fits(longer):
                text = longer
        return text

    def _fits(self, text: PostText) -> bool:
        return not self._brief.limits.problem(text)

    def _spoken(self, phrases: Iterable[str]) -> Iterator[str]:
        for phrase in self._shuffled(phrases):
            yield self._said(phrase)

    def _said(self, phrase: str) -> str:
        chosen = CHOICE.sub(lambda found: self._chance.choice(found[1].split("|")), phrase)
        said = chosen.replace("{topic}", self._topic).replace("{Topic}", _capital(self._topic))
        is_hook = phrase in self._voice.hooks
        return f"{said} {self._chance.choice(self._voice.emoji)}" if is_hook and self._emoji else said

    def _shuffled(self, phrases: Iterable[str]) -> list[str]:
        ordered = list(phrases)
        self._chance.shuffle(ordered)
        return ordered


def voice_of(tone: str) -> Voice:
    """Return the voice that a tone asks for by its words; the plain one where it names none that is known."""
    words = re.findall(r"\w+", tone.lower())
    for word in words:
        for voice in VOICES:
            if any(word.startswith(known) for known in voice.words):
                return voice
    return PLAIN


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters, cut between words where there are some."""
    if len(text) <= most:
        return text
    head = text[: most - 1]
    return f"{head.rpartition(' ')[0] or head}\u2026"


def _sentences_of(style: str, *, short: bool) -> int:
    if re.search(r"\b(short|brief|concise|snappy)", style):
        return 1
    if re.search(r"\b(long|detailed|story|storytelling|in.depth)", style):
        return 3 if short else 6
    return 2 if short else 3


def _seed(brief: Brief) -> int:
    named = msgspec.json.encode([brief.tenant_id, brief.brand_id, brief.post_id, brief.edition])
    return int.from_bytes(hashlib.sha256(named).digest()[:8], "big")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tag_of(topic: str) -> str:
    """A topic as one hashtag, `WinterRoast`; empty if it is too long to be read as one."""
    words = re.findall(r"\w+", topic)
    tag = "".join(_capital(word) for word in words)
    return tag if len(tag) <= 30 else ""
