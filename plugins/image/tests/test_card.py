"""Cards as they come out: their size, their sameness, their styles, and text that can be read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from jobrunner_image import FONTS, Order
from jobrunner_image.card.canvas import darken_until_readable
from jobrunner_image.card.colors import contrast
from jobrunner_image.card.drawing import STYLES, draw_card
from jobrunner_image.card.typesetting import choose_family, fit, split_copy

LONG = "Forty hours to build one chair. " * 100


def order(**changes: object) -> Order:
    values: dict[str, object] = {
        "seed": "acme/job-1",
        "tenant_id": "acme",
        "brand_id": "brand-123",
        "prompt": "Cold brew season starts Friday",
        "style": "minimalist",
        "width": 320,
        "height": 320,
        "colors": ("#0f766e", "#f59e0b"),
        **changes,
    }
    return Order(**values)  # type: ignore[arg-type]  # as the test names them


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(64, 64), (64, 1200), (1200, 64), (628, 314), (270, 480)])
@pytest.mark.parametrize("prompt", ["Hi", LONG, "Donaudampfschifffahrtsgesellschaft" * 9])
def test_card_has_the_wanted_size_in_any_shape(style: str, size: tuple[int, int], prompt: str) -> None:
    """Banners, stories and tiny previews, with much text and little."""
    drawn = draw_card(order(style=style, width=size[0], height=size[1], prompt=prompt))

    assert (drawn.image.size, drawn.image.mode) == (size, "RGB")


@pytest.mark.parametrize("style", STYLES)
def test_same_job_gives_the_same_pixels(style: str) -> None:
    """A retry must not replace an approved picture by another one."""
    first, again, other = (
        draw_card(order(style=style, seed=seed)).image for seed in ("acme/job-1", "acme/job-1", "acme/job-2")
    )

    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_styles_look_different() -> None:
    """A style is what somebody chose; two that look alike would be none."""
    cards = [draw_card(order(style=style)).image for style in STYLES]

    for one, other in itertools.combinations(cards, 2):
        assert ImageStat.Stat(ImageChops.difference(one, other).convert("L")).mean[0] > 20


@pytest.mark.parametrize("style", STYLES)
def test_brand_colours_are_in_the_card(style: str) -> None:
    """Another brand's card is another one, with everything else the same."""
    teal = draw_card(order(style=style, colors=("#0f766e", "#0ea5a0"))).image
    red = draw_card(order(style=style, colors=("#b91c1c", "#ef4444"))).image

    assert _redness(red) > _redness(teal) + 10


def _redness(image: Image.Image) -> float:
    red, green, _ = ImageStat.Stat(image).mean
    return red - green


@pytest.mark.parametrize("font", FONTS)
def test_every_bundled_font_sets_a_card(font: str) -> None:
    """The list that producers choose from is the list that is there."""
    cards = [draw_card(order(fonts=fonts)).image.tobytes() for fonts in ((font,), ())]

    assert (cards[0] == cards[1]) == (font == "Source Serif Pro")  # this style's own


@pytest.mark.parametrize("ground", ["#ffffff", "#ffcc66", "#888888", "#101010"])
def test_ground_is_darkened_until_light_text_can_be_read(ground: str) -> None:
    """On a bright sky white text is not there."""
    picture = Image.new("RGB", (300, 200), ground)
    ink = (250, 250, 250)

    darken_until_readable(picture, (20, 100, 280, 180), ink, below=True)

    lightest = max(picture.crop((20, 100, 280, 180)).get_flattened_data(), key=sum)
    assert contrast(lightest, ink) >= 4.5


def test_ground_that_is_dark_enough_stays_as_it_is() -> None:
    """Nothing is hidden without need."""
    picture = Image.new("RGB", (300, 200), "#202020")

    darken_until_readable(picture, (20, 100, 280, 180), (250, 250, 250), below=True)

    assert picture.getcolors() == [(60_000, (32, 32, 32))]


def test_characters_that_no_font_has_are_left_out_and_told() -> None:
    """A box in place of an emoji looks broken; nothing, with a note, does not."""
    drawn = draw_card(order(prompt="Launch day \U0001f680\U0001f389 at nine"))
    plain = draw_card(order(prompt="Launch day at nine"))

    assert drawn.notes == ("2 characters that no bundled font has were left out",)
    assert drawn.image.tobytes() == plain.image.tobytes()


def test_prompt_that_no_font_has_gives_a_card_without_text() -> None:
    """The picture is still the brand's."""
    drawn = draw_card(order(prompt="\u6771\u4eac\u6771\u4eac"))

    assert drawn.notes == ("4 characters that no bundled font has were left out",)
    assert drawn.image.size == (320, 320)


def test_another_font_steps_in_where_the_wanted_one_has_no_letters() -> None:
    """Cyrillic is in one of the three."""
    family, text, lost = choose_family("Открытие в пятницу", ("Fredoka One",))

    assert (text, lost) == ("Открытие в пятницу", 0)
    assert family != "Fredoka One"


def test_long_text_is_split_behind_a_sentence() -> None:
    """A headline of 4,000 characters is none."""
    head, rest = split_copy("One chair. Forty hours. " + "And every minute of it is on film. " * 5)

    assert head.endswith(".")
    assert len(head) <= 110
    assert rest.startswith("And every")
    assert split_copy("Short") == ("Short", "")


@given(
    st.lists(st.text("abcdefgh\u00e9", min_size=1, max_size=30), min_size=1, max_size=60),
    st.integers(20, 600),
    st.integers(20, 400),
)
@settings(max_examples=60, deadline=None)
def test_set_text_keeps_to_its_box(words: list[str], width: int, height: int) -> None:
    """Text that runs over the edge is the first thing that people see."""
    block = fit(
        " ".join(words), family="Manrope", bold=True, width=width, height=height, largest=60, smallest=6
    )

    assert block.width <= width + 1
    assert block.height <= max(height, block.leading + 10)
    shown = " ".join(block.lines)
    assert shown.endswith("\u2026") or shown.replace(" ", "") == "".join(words)
