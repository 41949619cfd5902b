"""Draw `docs/images/demo.svg`: a real run of the demo, as a terminal shows it half-way and at its end.

uv run python docs/build_picture.py
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from rich.console import Console

from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.cast import cast
from jobrunner_sandbox.demo import play
from jobrunner_sandbox.parts import NAMES, choose
from jobrunner_sandbox.screen import Screen, Sight, headline
from jobrunner_sandbox.stage import stage
from jobrunner_sandbox.summary import verdict


class Recorder(Screen):
    """A screen that keeps what it is shown."""

    def __init__(self, console: Console) -> None:
        super().__init__(quiet=True, console=console)
        self.sights: list[Sight] = []

    def show(self, sight: Sight) -> None:
        """Keep how things stand."""
        self.sights.append(sight)


def main() -> None:
    """Run the demo and draw it."""
    console = Console(record=True, width=84, force_terminal=True, color_system="truecolor")
    screen = Recorder(console)
    companies = cast(60)
    behaviour = Behaviour(fail_rate=0.05, latency=0.01, publish_delay=0.3, seed=1)
    with stage(behaviour, processes=1, companies=companies, parts=choose(NAMES)) as here:
        summary = asyncio.run(play(here, screen))
    console.print("[bold green]$[/] jobrunner demo", highlight=False)
    console.print(headline(companies), highlight=False)
    console.print(screen.picture(screen.sights[len(screen.sights) // 2]))
    screen.conclude(summary, verdict(summary))
    path = Path(__file__).parent / "images" / "demo.svg"
    # The reader's own fixed-width font: a picture should fetch nothing.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="jobrunner demo"), flags=re.DOTALL)
    path.write_text(drawn, "utf-8")


if __name__ == "__main__":
    main()
