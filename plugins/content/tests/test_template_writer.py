"""The offline writer: the same again, never twice the same, and always fitting."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner_content import Brief, PostText, limits_of
from jobrunner_content.limits import LIMITS
from jobrunner_content.writers.phrases import PLAIN, VOICES
from jobrunner_content.writers.template import TemplateWriter, voice_of

WRITER = TemplateWriter()


def make_brief(platform: str = "instagram", **changes: object) -> Brief:
    fields = {
        "tenant_id": "acme",
        "brand_id": "brand-123",
        "post_id": "december-001",
        "platform": platform,
        "limits": limits_of(platform),
        "day": date(2024, 12, 1),
        "number": 1,
        "tone": "friendly",
        "topic": "winter coffee",
        "hashtags": ("newin", "coffee"),
        **changes,
    }
    return Brief(**fields)


async def test_same_post_gets_the_same_text() -> None:
    """A retry, another worker, another year: the post is what it was."""
    assert await WRITER.write(make_brief()) == await TemplateWriter().write(make_brief())


@pytest.mark.parametrize("field", ["tenant_id", "brand_id", "post_id"])
async def test_other_tenant_brand_or_post_gets_another(field: str) -> None:
    """Two shops must not find their posts in each other's feed."""
    texts = {(await WRITER.write(make_brief(**{field: f"other-{number}"}))).whole for number in range(20)}

    assert len(texts) == 20


@pytest.mark.parametrize("platform", ["x", "linkedin"])
async def test_two_hundred_posts_on_one_topic_differ(platform: str) -> None:
    """Platforms refuse a post that they have had."""
    posts = [
        await WRITER.write(make_brief(platform, post_id=f"june-{number:03d}", tone="bold"))
        for number in range(200)
    ]

    assert len({post.whole for post in posts}) == 200
    assert len({post.hook for post in posts}) >= 20


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: voice.words[0])
async def test_tone_chooses_the_words(voice: object) -> None:
    """Each has openings of its own, and its own hashtags beside those asked for."""
    text = await WRITER.write(make_brief(tone=voice.words[0]))

    assert set(text.hashtags) & set(voice.hashtags)


def test_tone_is_found_among_other_words() -> None:
    """People write sentences."""
    assert "luxur" in voice_of("Quietly luxurious, please").words
    assert "playful" in voice_of("FUNNY but polite").words
    assert voice_of("xyzzy") is voice_of("") is PLAIN


async def test_topic_and_hashtags_are_in_the_post() -> None:
    """What was asked for, and the topic as a hashtag."""
    text = await WRITER.write(make_brief())

    assert "winter coffee" in text.whole.lower()
    assert text.hashtags[:3] == ("newin", "coffee", "WinterCoffee")


async def test_emoji_come_where_they_are_asked_for() -> None:
    """And nowhere else."""
    plain, lively, none = [
        (await WRITER.write(make_brief(tone=tone))).hook
        for tone in ("playful", "playful, with emoji", "playful, no emoji")
    ]

    assert plain.isascii()
    assert not lively.isascii()
    assert none.isascii()


async def test_style_makes_it_shorter_or_longer() -> None:
    """Counted in sentences, by their words."""
    short, usual, long = [
        len((await WRITER.write(make_brief(style=style))).body.split())
        for style in ("short and crisp", "", "long, storytelling")
    ]

    assert short < usual < long


@given(
    platform=st.sampled_from([*sorted(LIMITS), "elsewhere"]),
    tone=st.sampled_from([voice.words[0] for voice in VOICES]),
    topic=st.one_of(
        st.text(max_size=200), st.text(alphabet="東京コーヒー冬", max_size=200), st.just("word " * 40)
    ),
    hashtags=st.lists(
        st.text(alphabet="ab東☕", min_size=1, max_size=140), max_size=30, unique_by=str.lower
    ).map(tuple),
    post_id=st.text(min_size=1, max_size=20),
    style=st.sampled_from(["", "short", "long", "emoji"]),
)
async def test_whatever_is_asked_for_fits(
    platform: str, tone: str, topic: str, hashtags: tuple[str, ...], post_id: str, style: str
) -> None:
    """A text that does not fit is thrown away, and the next one from here would be the same."""
    brief = make_brief(platform, tone=tone, topic=topic, hashtags=hashtags, post_id=post_id, style=style)

    text = await WRITER.write(brief)

    assert brief.limits.problem(text) == ""
    assert text.hook.strip()
    assert "[" not in text.hook.replace(topic, "") or "[" in topic


@pytest.mark.parametrize("platform", ["x", "instagram"])
@pytest.mark.parametrize("part", ["hook", "body", "hashtags"])
async def test_part_is_rewritten_and_fits_beside_the_rest(platform: str, part: str) -> None:
    """The rest stays, so there is less room."""
    former = await WRITER.write(make_brief(platform))

    text = await WRITER.write(make_brief(platform, part=part, former=former, edition="again-1"))

    assert getattr(text, part) != getattr(former, part)
    assert limits_of(platform).problem(text) == ""


async def test_part_that_has_no_room_is_refused() -> None:
    """There is nothing that a further attempt could do."""
    from jobrunner_content import RefusedError

    former = PostText(hook="a", body="b" * 275, hashtags=())

    with pytest.raises(RefusedError, match="rewrite it in full"):
        await WRITER.write(make_brief("x", part="hook", former=former))
