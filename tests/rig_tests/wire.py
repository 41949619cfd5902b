"""A bare RESP connection, for tests that care about what is on the wire and not what a client makes of it."""

import socket
from types import TracebackType
from typing import Self

from rig.resp import FrameSplitter


class Wire:
    """One blocking connection that sends commands and reads whole replies."""

    def __init__(self, port: int, *, timeout_s: float = 20.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._splitter = FrameSplitter()
        self._frames: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, *commands: str) -> None:
        """Send commands in one piece; their words are separated by blanks."""
        self._socket.sendall(b"".join(encode(*command.split()) for command in commands))

    def receive(self) -> bytes | None:
        """Read one reply; None if the other side closed the connection."""
        while not self._frames:
            data = self._socket.recv(65536)
            if not data:
                return None
            self._frames += self._splitter.feed(data)
        return self._frames.pop(0)

    def ask(self, command: str) -> bytes | None:
        """Send one command and read its reply."""
        self.send(command)
        return self.receive()

    def be_patient_for(self, timeout_s: float) -> None:
        """Set the longest wait for a reply; `receive` raises TimeoutError past it."""
        self._socket.settimeout(timeout_s)


def encode(*words: str) -> bytes:
    """Write a command as a client does."""
    parts = [f"*{len(words)}\r\n".encode()]
    parts += [b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words]
    return b"".join(parts)
