"""Phone numbers in E.164: `+`, the country code, and the number, 15 digits at most.

The shape is checked and nothing more. Which ranges a country hands out changes every month, and a library's copy
of them would let a producer and a worker of different versions disagree; WhatsApp alone knows who is reachable.
"""

from __future__ import annotations

import re

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""Source: ITU-T E.164 for the 15 digits; it names no least, and no country has numbers of under 7 in all."""

SEPARATORS = re.compile(r"[\s().\-\u2010-\u2015\u2212\u200e\u200f\u202a-\u202e\u2060]")
"""What people write between digits: blanks, brackets, dots, dashes of any width, and the invisible marks of
direction that come along when a number is copied from a contact."""

TRUNK_ZERO = re.compile(r"\(0\)")
"""The 0 of `+49 (0)151 ...`, which is dialled within the country only."""


def normalise(text: str) -> str:
    """Return a phone number in E.164.

    Args:
        text: As people write it, such as `+49 (0)151 234-567 89` or `0049 151 23456789`.

    Returns:
        `+4915123456789`. What is in E.164 already comes back as it is.

    Raises:
        ValueError: It has no country code, or is no number. One without `+` or `00` is refused and not guessed
            at: WhatsApp would put the sender's own country code in front of it, and reach a stranger.
    """
    plain = SEPARATORS.sub("", TRUNK_ZERO.sub("", text))
    if plain.startswith("00"):
        plain = f"+{plain[2:]}"
    if E164.fullmatch(plain) is None:
        raise ValueError(
            "write the number with + and the country code, such as +49 151 23456789, and 15 digits at most"
        )
    return plain
