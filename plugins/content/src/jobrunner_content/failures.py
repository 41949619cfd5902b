"""What can go wrong with a writer, sorted by what is to be done about it.

Writers raise these; the handlers alone decide what they mean for the job. Texts never hold a key.
"""

from __future__ import annotations

MOST_TEXT = 300
"""Characters of a service's own message that are passed on."""


class WriterError(Exception):
    """The base of what a writer raises; the text is one line for people."""


class TransientError(WriterError):
    """It did not work this time and may the next: no answer, or one that does not fit.

    Args:
        message: What happened.
        retry_after: Seconds that the service asks to wait before any further call, None if it says nothing.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedError(WriterError):
    """This text will never be written; another one may."""


class UnusableError(WriterError):
    """No text will be written until somebody changes something, such as a key; the message says what."""


def clip(text: str) -> str:
    """Return a service's message as one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_TEXT else f"{line[: MOST_TEXT - 3]}..."
