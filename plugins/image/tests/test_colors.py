"""Colours: contrast as WCAG counts it, and palettes of whatever colours a brand has."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobrunner_image.card.colors import BLACK, WHITE, contrast, make_palette, parse_color, readable

COLORS = st.tuples(*[st.integers(0, 255)] * 3)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000", "#fff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
        ("#abc", "#aabbcc", 1.0),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, expected: float) -> None:
    """The values are those that WCAG's own tools give."""
    assert contrast(parse_color(one), parse_color(other)) == pytest.approx(expected, abs=0.01)


@given(COLORS, COLORS)
def test_readable_colour_has_the_contrast_that_text_needs(
    wanted: tuple[int, int, int], ground: tuple[int, int, int]
) -> None:
    """A brand whose two colours are alike gets a card that can be read all the same."""
    assert contrast(readable(wanted, ground), ground) >= 4.5


def test_colour_that_can_be_read_stays_as_it_is() -> None:
    """A brand's colour is changed only where it has to be."""
    assert readable((15, 118, 110), WHITE) == (15, 118, 110)


@given(st.lists(COLORS, max_size=8))
@example([(234, 235, 235)])  # a grey
@example([(0, 0, 0), (255, 255, 255)])
def test_palette_has_enough_colours_whatever_is_given(colors: list[tuple[int, int, int]]) -> None:
    """Black and white are a brand, too."""
    named = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colors)

    palette = make_palette(named, "brand-1")

    assert len(palette.colors) >= 4
    assert set(colors) <= set(palette.colors)
    assert contrast(palette.dark, palette.light) >= 7


def test_brand_without_colours_always_has_the_same_ones() -> None:
    """A month of cards must look like one brand's."""
    assert make_palette((), "brand-1") == make_palette((), "brand-1")
    assert make_palette((), "brand-1") != make_palette((), "brand-2")


def test_first_tone_leads_before_black_and_white() -> None:
    """A card drawn in white alone would be empty."""
    palette = make_palette(("#fff", "#000", "#0f766e"), "b")

    assert palette.primary == (15, 118, 110)
    assert {WHITE, BLACK} <= set(palette.colors)
