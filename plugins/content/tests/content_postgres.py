"""A PostgreSQL server of the test's own: on a Unix socket in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

USER = "postgres"


class PostgresMissingError(Exception):
    """This machine has no PostgreSQL that a test can start."""


class Postgres:
    """One server, running until the end of the `with` block."""

    def __init__(self) -> None:
        programs = _programs()
        # Next to other temporary folders and not in pytest's, which another user may not enter; the server refuses
        # to run as root.
        self.folder = Path(tempfile.mkdtemp(prefix="jr-pg-"))
        self._user = USER if os.geteuid() == 0 else None
        if self._user:
            try:
                shutil.chown(self.folder, self._user)
            except LookupError:
                self.folder.rmdir()
                raise PostgresMissingError(f"no user {USER} to run PostgreSQL as") from None
        data = self.folder / "data"
        self._run(programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self._server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses=", "-F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            user=self._user,
            cwd=self.folder,
        )
        assert self._server.stderr is not None
        for line in self._server.stderr:
            if "ready to accept connections" in line:
                break
        self._count = 0
        self._programs = programs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.send_signal(signal.SIGINT)
        assert self._server.stderr is not None
        self._server.stderr.read()
        self._server.stderr.close()
        self._server.wait()
        shutil.rmtree(self.folder)

    def database(self) -> str:
        """Make an empty database and return its address."""
        self._count += 1
        name = f"test_{self._count}"
        self._run(self._programs / "createdb", "-h", self.folder, "-U", USER, name)
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd=self.folder)


def _programs() -> Path:
    found = shutil.which("initdb") or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
    )
    if found is None:
        raise PostgresMissingError("no PostgreSQL on this machine: install it to run this test")
    return Path(found).resolve().parent
