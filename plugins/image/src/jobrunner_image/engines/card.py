"""The engine `card`: draws a branded card offline, with the prompt as its text.

Needs no network and no key. The same job gives the same pixels, with the same version of Pillow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner_image.card.drawing import draw_card
from jobrunner_image.engine import Drawn, Order, Workshop


class CardEngine:
    """Draws cards in the workshop's threads.

    Args:
        workshop: The threads.
    """

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    async def draw(self, order: Order) -> Drawn:
        """Draw a card; see `jobrunner_image.Engine`."""
        return await self._workshop.run(draw_card, order)


@asynccontextmanager
async def open_engine(workshop: Workshop) -> AsyncIterator[CardEngine]:
    """Open the engine; it holds nothing."""
    yield CardEngine(workshop)
