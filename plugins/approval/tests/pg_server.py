"""A PostgreSQL of a test run's own, on a Unix socket only, where its programs are installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

START_S = 60


@contextlib.contextmanager
def postgresql() -> Iterator[str | None]:
    """Give the address of a server that is empty; None where PostgreSQL is not installed."""
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        yield None
        return
    # A short name: a socket's path has a hundred bytes.
    folder = Path(tempfile.mkdtemp(prefix="jr-pg-", dir="/tmp"))
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.getuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        subprocess.run(
            [initdb, "-D", str(data), "-U", "jobrunner", "-A", "trust", "-E", "UTF8", "--no-sync"],
            user=user,
            check=True,
            capture_output=True,
            timeout=START_S,
        )
        with subprocess.Popen(
            [server, "-D", str(data), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"],
            user=user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            try:
                said = next((line for line in process.stderr if "ready to accept connections" in line), None)
                assert said is not None, "the server ended before it was ready"
                yield f"postgresql://jobrunner@/postgres?host={quote(str(folder))}"
            finally:
                process.terminate()
                process.stderr.read()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
