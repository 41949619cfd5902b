"""A private server for one measurement: no persistence, a free port on loopback."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import redis

OPTIONS = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]


class Server:
    """A server's address, process and client."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = redis.Redis(port=port)

    @property
    def cpu_s(self) -> float:
        """CPU seconds that the server has used; Linux's clock of a process is (~pid << 3) | 2."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def used(self) -> int:
        """Bytes in use, once what other clients held is given back."""
        time.sleep(0.3)
        return int(self.client.info("memory")["used_memory"])  # type: ignore[index]  # blocking client

    def script_us(self) -> tuple[int, float]:
        """Calls of scripts so far, and microseconds in them."""
        stats = self.client.info("commandstats").get("cmdstat_evalsha", {})  # type: ignore[union-attr]  # as above
        return int(stats.get("calls", 0)), float(stats.get("usec", 0))

    @property
    def title(self) -> str:
        """Such as `redis 7.0.15`."""
        facts = self.client.info("server")
        kind = "valkey" if "valkey_version" in facts else "redis"  # type: ignore[operator]  # as above
        return f"{kind} {facts[f'{kind}_version']}"  # type: ignore[index]  # as above


def binaries() -> dict[str, str]:
    """The servers that this machine has: name -> program."""
    found = {}
    if path := shutil.which("redis-server"):
        found["redis"] = path
    with contextlib.suppress(ImportError):
        from jobrunner.store.valkey import find_program

        found["valkey"] = str(find_program())
    return found


@contextlib.contextmanager
def server(program: str) -> Iterator[Server]:
    """A fresh server."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [program, "--port", str(port), "--dir", folder, *OPTIONS],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            one = Server(process, port)
            for _ in range(200):
                with contextlib.suppress(redis.exceptions.ConnectionError):
                    one.client.ping()
                    break
                time.sleep(0.02)
            yield one
        finally:
            process.terminate()
            process.wait()
