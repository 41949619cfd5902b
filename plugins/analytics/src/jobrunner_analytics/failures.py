"""What can go wrong with one account, sorted by what is to be done about it.

Platforms raise these; the handler alone decides what they mean for the job. Texts never hold credentials.
"""

from __future__ import annotations

MOST_TEXT = 300
"""Characters of a platform's own message that are passed on."""


class PlatformError(Exception):
    """The base of what a platform raises; the text is one line for people."""


class TransientError(PlatformError):
    """It did not work this time and may the next; the job is tried again.

    Args:
        message: What happened.
        retry_after: Seconds that the platform asks to wait, or None if it says nothing.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedError(PlatformError):
    """The platform will not tell this account, or not this post; asking again does not help.

    Args:
        message: What happened.
        status: The HTTP status, 0 where nothing was asked.
        code: The platform's own code, empty if it gave none.
        subcode: Its code below that.
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "", subcode: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.subcode = subcode


def clip(text: str) -> str:
    """Return a platform's message as one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_TEXT else f"{line[: MOST_TEXT - 3]}..."
