"""Which parts of the story can be told with the plugins that are installed.

Says what is left out and which distribution would tell it. Loads no plugin.
"""

from __future__ import annotations

from collections.abc import Collection

import click
import msgspec

NAMES = ("content", "image", "approval", "whatsapp", "publish", "analytics")
"""The plugins that have a part, in the order of the story."""

QUEUES = {
    "content": "content.generate.monthly",
    "image": "image.generate",
    "approval": "approval.notify",
    "whatsapp": "whatsapp-messages",
    "publish": "publish.dispatch",
    "analytics": "analytics.pull",
}


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, and what is not.

    Args:
        told: Plugins that take part, in the order of the story.
        left_out: A line for each of the others, with what would help.
    """

    told: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def __contains__(self, plugin: str) -> bool:
        return plugin in self.told

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of the plugins that take part."""
        return tuple(QUEUES[plugin] for plugin in self.told)


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
    return Parts(told=tuple(told), left_out=tuple(left_out))
