"""How long a post may be, by platform.

Measures and says what is wrong. Never cuts a text: that is the writer's, who knows what can go.
"""

from __future__ import annotations

import re

import msgspec

from jobrunner_content.text import PostText

WEB_URL = re.compile(r"https?://\S+")
URL_WEIGHT = 23
# Source: the twitter-text configuration, version 3: these ranges weigh one, everything else two.
LIGHT_RANGES = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform takes.

    Args:
        characters: The longest post, hashtags and all.
        hashtags: The most hashtags that it takes, or that make sense there.
        weighted: Whether characters count as X counts them: most of Asia's and emoji two, an address 23.
    """

    characters: int
    hashtags: int
    weighted: bool = False

    def length(self, text: str) -> int:
        """Return how long a text is for this platform."""
        return _weight(text) if self.weighted else len(text)

    def problem(self, text: PostText) -> str:
        """Say in one line what keeps a text from fitting, empty if nothing does."""
        length = self.length(text.whole)
        if length > self.characters:
            return f"{length} characters where {self.characters} are the most"
        if len(text.hashtags) > self.hashtags:
            return f"{len(text.hashtags)} hashtags where {self.hashtags} are the most"
        return ""


X = Limits(characters=280, hashtags=5, weighted=True)
LIMITS = {
    "bluesky": Limits(characters=300, hashtags=5),
    "facebook": Limits(characters=5000, hashtags=10),
    # Source: the content publishing reference of the Instagram platform, caption.
    "instagram": Limits(characters=2200, hashtags=30),
    "linkedin": Limits(characters=3000, hashtags=10),
    # Source: an instance's default, `configuration.statuses.max_characters`.
    "mastodon": Limits(characters=500, hashtags=10),
    "pinterest": Limits(characters=500, hashtags=20),
    "threads": Limits(characters=500, hashtags=1),
    "tiktok": Limits(characters=2200, hashtags=10),
    "twitter": X,
    "x": X,
}
"""By name, in lower case. Facebook takes 63,206 characters, and nobody reads a post of ten pages."""

OTHERS = Limits(characters=2000, hashtags=10)
"""A platform that is not in the table."""


def limits_of(platform: str) -> Limits:
    """Return the limits of a platform in any spelling of its name."""
    return LIMITS.get(platform.lower(), OTHERS)


def _weight(text: str) -> int:
    links = WEB_URL.findall(text)
    rest = WEB_URL.sub("", text)
    light = sum(any(low <= ord(char) <= high for low, high in LIGHT_RANGES) for char in rest)
    return URL_WEIGHT * len(links) + light + 2 * (len(rest) - light)
