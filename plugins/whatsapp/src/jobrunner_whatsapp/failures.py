"""What can go wrong with a message, sorted by what is to be done about it.

The handler alone decides what they mean for the job. Texts never hold the access token.
"""

from __future__ import annotations

MOST_TEXT = 300
"""Characters of WhatsApp's own message that are passed on."""


class MessageError(Exception):
    """The base; the text is one line for people."""


class TransientError(MessageError):
    """It did not work this time and may the next; nothing was sent.

    Args:
        message: What happened.
        retry_after: Seconds to wait, or None where the queue's own backoff is right.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedError(MessageError):
    """WhatsApp will never take this message as it is; nothing was sent.

    Args:
        message: What happened.
        setting: The environment variable whose value is to be mended, empty where it is not a setting's fault.
    """

    def __init__(self, message: str, *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class UnknownOutcomeError(MessageError):
    """The message was handed over and nobody knows whether WhatsApp took it."""


def clip(text: str) -> str:
    """Return a text from outside as one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_TEXT else f"{line[: MOST_TEXT - 3]}..."
