"""LinkedIn's "little text": what a post's commentary looks like to people.

Reads the format only. Never refuses a text: what LinkedIn cuts off is cut off here, too.
"""

from __future__ import annotations

import re

RESERVED = r"|{}@[]()<>#\*_~"
"""What must stand behind a backslash. Source: LinkedIn's documentation of the little text format."""

TOKEN = re.compile(
    r"\\(?P<escaped>.)"
    r"|\{hashtag\|\\?#\|(?P<hashtag>[^}]*)\}"
    r"|@\[(?P<name>(?:\\.|[^\]])*)\]\(urn:li:[^)]+\)"
    r"|(?P<opening>[|{}@\[\]()<>])"
    r"|(?P<plain>.)",
    re.DOTALL,
)


def shown(commentary: str) -> str:
    """Return the text that people see.

    Args:
        commentary: The text as it was sent, in little text.

    Returns:
        The text with escapes, hashtags and mentions resolved. It ends before the first reserved character
        that is neither escaped nor part of an element, as LinkedIn cuts a post there without an error; a
        bare `#`, `*`, `_` or `~` is left as it is.
    """
    parts: list[str] = []
    for token in TOKEN.finditer(commentary):
        if token["opening"] is not None:
            break
        if token["escaped"] is not None:
            escaped = token["escaped"]
            parts.append(escaped if escaped in RESERVED else token[0])
        elif token["hashtag"] is not None:
            parts.append(f"#{shown(token['hashtag'])}")
        elif token["name"] is not None:
            parts.append(shown(token["name"]))
        else:
            parts.append(token["plain"])
    return "".join(parts)
