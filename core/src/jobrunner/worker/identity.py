"""The name of a worker."""

from __future__ import annotations

import os
import secrets
import socket


def worker_id(index: int | None = None) -> str:
    """A name for this process that no other has: host, process id, four random characters."""
    host = (
        "".join(char if char.isalnum() or char in ".-" else "-" for char in socket.gethostname())[:40]
        or "host"
    )
    number = "" if index is None else f".{index}"
    return f"{host}-{os.getpid()}{number}-{secrets.token_hex(2)}"
