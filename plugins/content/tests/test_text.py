"""A post's text and what platforms take of it."""

from __future__ import annotations

import pytest

from jobrunner_content import PostText, limits_of
from jobrunner_content.text import clean_hashtags, tidy


def make_text(**changes: object) -> PostText:
    return PostText(**{"hook": "Hook", "body": "Body", "hashtags": ("a", "b"), **changes})


def test_parts_stand_with_a_blank_line_between_them() -> None:
    """As they are published; a part that is empty leaves no gap."""
    assert make_text().whole == "Hook\n\nBody\n\n#a #b"
    assert make_text(body="", hashtags=()).whole == "Hook"


def test_hashtags_are_kept_bare_and_once() -> None:
    """However they were typed."""
    typed = ["#New In", "newin", "##東京", " ", "#", "Caf\u00e9\u200b", "caf\u00e9"]

    assert clean_hashtags(typed) == ("NewIn", "東京", "Caf\u00e9")


def test_hook_is_one_line() -> None:
    """The rest of the post keeps its lines."""
    text = tidy(make_text(hook=" two\nlines ", body="\n a\n\nb "))

    assert (text.hook, text.body) == ("two lines", "a\n\nb")


@pytest.mark.parametrize(
    ("hook", "length"),
    [
        ("a" * 10, 10),
        ("東" * 10, 20),
        ("\u2615", 2),
        ("see https://example.com/" + "a" * 300, 27),
    ],
)
def test_x_counts_in_its_own_way(hook: str, length: int) -> None:
    """Or a text of Japanese would be refused there, after it was kept here."""
    assert limits_of("X").length(hook) == length
    assert limits_of("mastodon").length(hook) == len(hook)


def test_problem_says_what_is_too_much() -> None:
    """In words that a person reads in the job's reason."""
    assert limits_of("x").problem(make_text(body="b" * 280)) == "293 characters where 280 are the most"
    assert limits_of("threads").problem(make_text()) == "2 hashtags where 1 are the most"
    assert limits_of("x").problem(make_text()) == ""
    assert limits_of("somewhere-new").problem(make_text()) == ""
