"""Which parts of the story can be told with the plugins that are installed.

Says what is left out and which distribution would tell it. Loads no plugin.
"""

from __future__ import annotations

from collections.abc import Collection

import click
import msgspec

NAMES = ("content", "image", "approval", "whatsapp", "publish", "analytics")
"""The plugins that have a part, in the order of the story."""

REWRITING = "rewriting"
"""The second part of `content`, whose queues are two; every other part is called as its plugin."""

QUEUES = {
    "content": "content.generate.monthly",
    REWRITING: "content.regen.single",
    "image": "image.generate",
    "approval": "approval.notify",
    "whatsapp": "whatsapp-messages",
    "publish": "publish.dispatch",
    "analytics": "analytics.pull",
}


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, and what is not.

    Args:
        told: The parts that are told, in the order of the story.
        left_out: A line for each plugin that takes no part, with what would help.
    """

    told: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def __contains__(self, part: str) -> bool:
        return part in self.told

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins that take part."""
        return tuple(part for part in self.told if part != REWRITING)

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of the parts that are told."""
        return tuple(QUEUES[part] for part in self.told)


def choose(installed: Collection[str]) -> Parts:
    """Choose the parts.

    Args:
        installed: The names of the plugins that are installed.

    Raises:
        UsageError: Nothing is left to tell.
    """
    told = [name for name in NAMES if name in installed]
    left_out = [f"without {name}: `pip install jobrunner-{name}`" for name in NAMES if name not in installed]
    if "analytics" in told and "publish" not in told:
        told.remove("analytics")
        left_out.append("without analytics: there are no figures of posts that nobody publishes")
    if not told:
        names = " ".join(f"jobrunner-{name}" for name in NAMES)
        raise click.UsageError(f"the demo has nothing to show without a plugin: `pip install {names}`")
    if "content" in told:
        told.insert(told.index("content") + 1, REWRITING)
    return Parts(told=tuple(told), left_out=tuple(left_out))
