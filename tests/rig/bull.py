"""The real BullMQ from npm, in a process of node that does what it is told."""

import json
import select
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

VERSIONS = {"bullmq4": "4.18.3", "bullmq5": "5.81.5", "bullmq6": "6.7.0"}
"""Package as it is installed here -> version: the last of each line that there was when this was written."""

OTHERS = ("ioredis@5.11.1",)
"""What version 6 leaves to its users to install."""

ANSWER_S = 60
"""Seconds that an answer may take on a busy machine."""


class MissingError(Exception):
    """BullMQ cannot be had here; the text says why."""


def install(cache: Path) -> Path:
    """The folder with BullMQ's versions in it, installed by npm if it is not there yet."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise MissingError("node and npm are not installed")
    folder = cache / "-".join(VERSIONS.values())
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        (Path(scratch) / "package.json").write_text('{"private": true}')
        packages = [f"{name}@npm:bullmq@{version}" for name, version in VERSIONS.items()]
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            done = subprocess.run(
                [*command, *packages, *OTHERS], cwd=scratch, capture_output=True, text=True, timeout=180
            )
        except subprocess.TimeoutExpired:
            raise MissingError("npm took more than three minutes to install BullMQ") from None
        if done.returncode:
            raise MissingError(f"npm cannot install BullMQ: {done.stderr.strip().splitlines()[:1]}")
        try:
            Path(scratch).rename(folder)  # whole or not at all: other test processes install too
        except OSError:
            if not folder.is_dir():
                raise
        else:
            Path(scratch).mkdir()  # for the one that cleans it up
    return folder


class Bull:
    """A process with BullMQ's queues of one server."""

    def __init__(self, folder: Path, package: str, port: int, prefix: str = "bull") -> None:
        """Start it.

        Args:
            folder: what `install` gave.
            package: one of `VERSIONS`.
            port: where the server listens.
            prefix: what BullMQ's keys begin with.
        """
        driver = Path(__file__).with_name("bull.cjs")
        self._process = subprocess.Popen(
            ["node", driver, folder, package, str(port), prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()

    def ask(self, act: str, queue: str = "mail", **more: object) -> Any:
        """Do something and return its answer.

        Args:
            act: what: one of the functions of `bull.cjs`.
            queue: BullMQ's queue.
            more: what the function takes.
        """
        self._in.write(json.dumps({"act": act, "queue": queue, **more}) + "\n")
        self._in.flush()
        ready, _, _ = select.select([self._out], [], [], ANSWER_S)
        assert ready, "BullMQ does not answer"
        line = self._out.readline()
        assert line, f"node ended with {self._process.wait()}"
        found = json.loads(line)
        assert "error" not in found, found
        return found["answer"]

    def add(self, *jobs: Sequence[object], queue: str = "mail") -> list[str]:
        """Add jobs, each `(name, data)` or `(name, data, options)`, and return their ids."""
        named = [dict(zip(("name", "data", "opts"), job, strict=False)) for job in jobs]
        added: list[str] = self.ask("add", queue, jobs=named)
        return added

    def ids(self, *states: str, queue: str = "mail") -> set[str]:
        """The ids of the jobs that are in some of BullMQ's states."""
        return {job["id"] for job in self.ask("jobs", queue, states=list(states))}
