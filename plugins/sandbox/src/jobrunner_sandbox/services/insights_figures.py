"""The figures that stand-ins give of posts: made from the post's id, and growing while time goes by.

Pure: the same post at the same time has the same figures on every machine.
"""

from __future__ import annotations

import hashlib

from jobrunner_sandbox.ledger import Published

HOUR_S = 3600.0


def figure(post: Published, name: str, *, now: float) -> int:
    """Return a post's figure: 1 to 400 when it is published, and up to 9 more each hour.

    Args:
        post: The post.
        name: The figure's name.
        now: Unix time in seconds.
    """
    digest = hashlib.sha256(f"{post.platform}/{post.post_id}/{name}".encode()).digest()
    hours = int(max(0.0, now - post.at) // HOUR_S)
    return 1 + int.from_bytes(digest[:2], "big") % 400 + hours * (digest[2] % 10)
