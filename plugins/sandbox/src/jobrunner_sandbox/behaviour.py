"""How the stand-ins behave: slow, failing, losing answers, limiting.

Pure data, checked when made: nothing here draws a random number or waits.
"""

from __future__ import annotations

import msgspec


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What the services do besides answering well.

    Args:
        latency: Seconds that every request waits before anything is done, 0 to 60.
        fail_rate: Share of the requests, 0 to 1, that are answered 500 or 503 before they had an effect.
        lost_rate: Share of the requests that change something, 0 to 1, whose effect happens and whose
            connection is then closed without an answer.
        rate_limit_rate: Share of the requests, 0 to 1, that are refused as too many, before any effect.
        retry_after: Seconds that such a refusal asks the client to wait, 0 to 3,600.
        publish_delay: Seconds until an Instagram container, or media uploaded to Mastodon, is processed.
            It is compared when somebody asks, so a change holds for what was uploaded before, too.
        seed: Where the random source begins; the same seed gives a service the same fates in the order in
            which its requests arrive.

    Raises:
        ValueError: A value is out of its range.
    """

    latency: float = 0.0
    fail_rate: float = 0.0
    lost_rate: float = 0.0
    rate_limit_rate: float = 0.0
    retry_after: float = 1.0
    publish_delay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("fail_rate", "lost_rate", "rate_limit_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Behaviour: {name} is a share from 0 to 1, not {getattr(self, name)}")
        for name, most in (("latency", 60), ("retry_after", 3600), ("publish_delay", 86_400)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"Behaviour: {name} is 0 to {most} seconds, not {getattr(self, name)}")
