"""A reader's terminal: the blocks of a page are typed into it as they stand there.

Commands run in bash, in one folder, with one set of variables; what they print is kept. What runs until it is stopped
goes on in a terminal of its own and is ended by Ctrl-C, as a reader ends it.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rig.fixtures import StartProcess
from rig.processes import Process

TIMEOUT_S = 600.0  # of what takes half a minute on a machine that does nothing else


class Terminal:
    """Types blocks in a folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str], start_process: StartProcess) -> None:
        """Open it.

        Args:
            folder: where commands run.
            environ: all variables that they see; may be changed later by `environ`.
            start_process: starts what runs on, and ends it with the test.
        """
        self.folder, self.environ = folder, dict(environ)
        self._start_process = start_process

    def type(self, text: str, *, status: int = 0) -> str:
        """Run commands, which have to end with a status; what they printed, errors too, in order."""
        log = self.folder / ".typed.log"
        with log.open("w", encoding="utf-8") as output:  # a file: nobody can hold its end open
            ended = subprocess.run(
                ["bash", "-eu", "-c", text],
                env=self.environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
            )
        printed = log.read_text("utf-8")
        assert ended.returncode == status, f"{text}\n{printed}"
        return printed

    def write(self, name: str, text: str) -> None:
        """Write a file, and the folders above it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def leave_running(self, text: str) -> Process:
        """Run commands whose last one, or each one, goes on until `interrupt`."""
        unset = [word for name in os.environ if name not in self.environ for word in ("-u", name)]
        command = ["env", *unset, "bash", "-eu", "-c", text]  # values would stand in every error message
        return self._start_process(command, env=self.environ, cwd=self.folder)

    def interrupt(self, running: Process) -> None:
        """Press Ctrl-C: what runs now ends, and the command after it begins."""
        running.signal(signal.SIGINT, group=True)

    def end(self, running: Process) -> str:
        """Press Ctrl-C on the last command, which has to end well; what was printed."""
        self.interrupt(running)
        assert running.wait(timeout_s=60) == 0, running.output()
        return running.output()
