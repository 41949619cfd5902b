"""What can go wrong with one notice, sorted by what is to be done about it.

The handler alone decides what they mean for the job. Texts never hold the password.
"""

from __future__ import annotations

MOST_TEXT = 300
"""Characters of a server's own words that are passed on."""


class NoticeError(Exception):
    """The base; the text is one line for people."""


class TransientError(NoticeError):
    """It did not work this time and may the next; nothing was sent."""


class RefusedError(NoticeError):
    """This approver will never be reached this way; nothing was sent."""


class LostError(NoticeError):
    """The mail was handed over and nobody knows whether the server took it."""


class BlockedError(NoticeError):
    """No approver can be reached this way before a person has mended something; nothing was sent.

    Args:
        message: What happened.
        setting: The environment variable at fault, empty where it is not a setting's.
    """

    def __init__(self, message: str, *, setting: str = "") -> None:
        super().__init__(f"{setting}: {message}" if setting else message)
        self.setting = setting


def clip(text: str) -> str:
    """Return a text from outside as one line of at most 300 characters."""
    line = " ".join(text.encode(errors="replace").decode().split())
    return line if len(line) <= MOST_TEXT else f"{line[: MOST_TEXT - 3]}..."
