"""What the services received and published: the proof that every post arrived exactly once.

Records and counts. Never holds a token or a query string, and of a request's body only what a model was asked.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Literal

import msgspec

KEPT_REQUESTS = 100_000
"""The oldest requests are forgotten past so many, so a sandbox left running keeps its size; posts never are."""


KEPT_GENERATED = 10_000
"""The same for what models made, since each of them holds a prompt."""


class Published(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One post or message as people would see it.

    Args:
        platform: `facebook`, `instagram`, `linkedin`, `x`, `mastodon`, `whatsapp` or `mail`.
        account: Whose post: the page, the author's URN, or a name made from the token where a platform
            knows the account by that alone. Of a message or a mail: who gets it.
        post_id: The id that the platform gave it.
        url: Where people would see it.
        text: Its text.
        media: Its pictures in order: the URL where the platform fetched it itself, else a fingerprint of
            the bytes that were uploaded.
        idempotency: The client's idempotency key, or the reference that it gave a message, where it sent one.
        at: Unix time in seconds.
    """

    platform: str
    account: str
    post_id: str
    url: str
    text: str
    media: tuple[str, ...] = ()
    idempotency: str | None = None
    at: float


class Received(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One request as a service saw it.

    Args:
        service: The service's name.
        method: The HTTP method.
        path: The path inside the service, without its query.
        status: The status of the answer, sent or lost.
        lost: Whether the effect happened and the answer was withheld.
        at: Unix time in seconds.
    """

    service: str
    method: str
    path: str
    status: int
    lost: bool = False
    at: float


class Generated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that a model made on request.

    Args:
        service: The service's name.
        kind: `text` or `image`.
        model: The model's name, as it was asked for.
        prompt: What it was asked; of a conversation, the last message.
        made: The text, or a fingerprint of the picture.
        at: Unix time in seconds.
    """

    service: str
    kind: Literal["text", "image"]
    model: str
    prompt: str
    made: str
    at: float


class Ledger:
    """Everything published and received, in the order in which it happened; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._posts: list[Published] = []
        self._requests: deque[Received] = deque(maxlen=KEPT_REQUESTS)
        self._generated: deque[Generated] = deque(maxlen=KEPT_GENERATED)

    def publish(self, post: Published) -> None:
        """Record a post at the moment at which people can see it."""
        with self._lock:
            self._posts.append(post)

    def receive(self, request: Received) -> None:
        """Record a request with its answer."""
        with self._lock:
            self._requests.append(request)

    def generate(self, generated: Generated) -> None:
        """Record what a model made."""
        with self._lock:
            self._generated.append(generated)

    def generated(self, service: str | None = None) -> list[Generated]:
        """Return what the models of one service made, or of all, oldest first, at most the last 10,000."""
        with self._lock:
            return [made for made in self._generated if service in (None, made.service)]

    def posts(self, platform: str | None = None) -> list[Published]:
        """Return the posts of one platform, or of all, oldest first."""
        with self._lock:
            return [post for post in self._posts if platform in (None, post.platform)]

    def requests(self, service: str | None = None) -> list[Received]:
        """Return the requests to one service, or to all, oldest first, at most the last 100,000."""
        with self._lock:
            return [request for request in self._requests if service in (None, request.service)]

    def lost(self, service: str | None = None) -> list[Received]:
        """Return the requests that had their effect and got no answer, oldest first."""
        return [request for request in self.requests(service) if request.lost]

    def counts(self) -> dict[str, int]:
        """Return the number of posts by platform; a platform without one is not in it."""
        return dict(Counter(post.platform for post in self.posts()))

    def duplicates(self) -> list[list[Published]]:
        """Return the posts that people see more than once: groups of the same platform, account and text.

        Returns:
            A list of groups of two posts or more, each oldest first, empty if every post is there once.
        """
        groups: dict[tuple[str, str, str], list[Published]] = {}
        for post in self.posts():
            groups.setdefault((post.platform, post.account, post.text), []).append(post)
        return [group for group in groups.values() if len(group) > 1]

    def clear(self) -> None:
        """Forget all posts, requests, and what was made."""
        with self._lock:
            self._posts.clear()
            self._requests.clear()
            self._generated.clear()
