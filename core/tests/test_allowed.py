"""What a wrong value may be, told at whatever depth it lies."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from jobrunner import Secret
from jobrunner.codec import PayloadCodec
from jobrunner.errors import PayloadError, SettingsError
from jobrunner.settings import plugin_settings

Color = Annotated[str, Meta(pattern="^#[0-9a-f]{6}$", description="a colour such as #0f766e")]


class Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    main_color: Color = "#000000"
    mood: Literal["warm", "formal"] | None = None
    numbers: tuple[Literal[1, 2], ...] = ()
    due_at: datetime | None = None
    bare: Annotated[str, Meta(pattern="^[a-z]*$")] = ""


class Whole(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    parts: list[Part] = []
    by_name: dict[str, Part] = {}
    more: Part | None = None
    other_colors: list[Color] | None = None


CODEC = PayloadCodec("q", Whole, 4096)


@pytest.mark.parametrize(
    ("part", "field", "said"),
    [
        ({"mainColor": "red"}, "mainColor", "it must be a colour such as #0f766e"),
        ({"mood": "sour"}, "mood", "invalid enum value 'sour': it is one of warm, formal"),
        ({"numbers": [1, 3]}, "numbers[1]", "invalid enum value 3: it is one of 1, 2"),
        (
            {"dueAt": "tomorrow"},
            "dueAt",
            "invalid RFC3339 encoded datetime: write it as 2026-12-24T18:00:00Z",
        ),
        ({"bare": "A"}, "bare", "expected `str` matching regex '^[a-z]*$'"),
    ],
)
@pytest.mark.parametrize(
    ("place", "path"),
    [("parts", "parts[0]"), ("byName", "byName[...]"), ("more", "more")],
)
def test_wrong_value_says_what_it_may_be(part, field, said, place, path):
    """Whoever reads the line needs no manual; where nothing is known, msgspec's own words stand."""
    payload = {place: {"parts": [part], "byName": {"x": part}, "more": part}[place]}
    with pytest.raises(PayloadError) as caught:
        CODEC.encode(payload)
    assert caught.value.field == f"{path}.{field}"
    assert caught.value.problem == said


def test_wrong_value_of_a_list_says_what_it_may_be():
    """Lists of marked texts are the usual form."""
    with pytest.raises(PayloadError, match=r"otherColors\[1\]: it must be a colour such as #0f766e"):
        CODEC.encode({"otherColors": ["#000000", "red"]})


class Out(msgspec.Struct, frozen=True):
    version: Annotated[str, Meta(pattern=r"^v[0-9]+$")] = "v25"
    colors: tuple[Color, ...] = ()
    patience: Annotated[float, Meta(ge=1)] = 30.0
    most: int = 5
    key: Annotated[str, Secret, Meta(pattern="^[!-~]*$", description="printable and without blanks")] = ""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VERSION", "25", "'25' cannot be used: it must look like v25, the default"),
        ("COLORS", "#000000,red", "'#000000,red' cannot be used: it must be a colour such as #0f766e"),
        ("PATIENCE", "soon", "'soon' cannot be used: it is a number"),
        ("PATIENCE", "0", "'0' cannot be used: expected `float` >= 1.0"),
        ("MOST", "1.5", "'1.5' cannot be used: it is a whole number"),
        ("KEY", "two words", "it must be printable and without blanks"),
    ],
)
def test_wrong_variable_is_told_in_words(name, value, said):
    """By the description of its pattern, else by its default; a secret is not shown."""
    with pytest.raises(SettingsError) as caught:
        plugin_settings("out", Out, {f"JOBRUNNER_OUT_{name}": value})
    assert str(caught.value) == f"JOBRUNNER_OUT_{name}: {said}"
