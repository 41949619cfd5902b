"""What can go wrong with one platform, sorted by what is to be done about it.

Adapters raise these; the handler alone decides what they mean for the job. Texts never hold credentials.
"""

from __future__ import annotations

MOST_TEXT = 300
"""Characters of a platform's own message that are passed on."""


class PublishError(Exception):
    """The base of what an adapter raises; the text is one line for people."""


class TransientError(PublishError):
    """It did not work this time and may the next; the job is tried again.

    Args:
        message: What happened.
        retry_after: Seconds that the platform asks to wait, or None if it says nothing.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AnswerLostError(TransientError):
    """The call was sent and nobody knows whether it had its effect: no answer, or one that does not say."""


class RefusedError(PublishError):
    """The platform will never take this post from this account as it is; nothing was published.

    Args:
        message: What happened.
        code: The platform's own code, empty where the refusal is not the platform's.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class DuplicateError(RefusedError):
    """The platform refused the post because the same one is there already."""


class UnknownOutcomeError(PublishError):
    """An earlier attempt's answer was lost, nothing tells whether the post is there, and it is not sent again."""


def clip(text: str) -> str:
    """Return a platform's message as one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_TEXT else f"{line[: MOST_TEXT - 3]}..."
