"""Cut a byte stream into whole RESP2 and RESP3 values, and read a command's name out of a request.

It finds where values end and never decodes what is in them. Streamed values (`$?`), which no server sends, are
refused.
"""

import hashlib

import msgspec

MAX_FRAME_BYTES = 64 * 1024 * 1024  # more than any test sends; a proxy must not eat the machine
MAX_KEPT_ARGUMENT_BYTES = 128  # enough for a key, an id or a script's digest

_LINES = b"+-:_#,("
_STRINGS = b"$=!"
_AGGREGATES = b"*~>"
_PAIRS = b"%|"


class RespError(Exception):
    """The stream is not RESP, or a value is too large to hold."""


class FrameSplitter:
    """Collects bytes and hands out whole values, each as the bytes that it came in."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0  # what lies before was looked at
        self._missing = 1  # values that the current frame still lacks

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they arrive.

        Args:
            data: what was read, cut anywhere.

        Returns:
            The values that are now whole, in order; empty if none is.

        Raises:
            RespError: an unknown type, a broken length, or a value above `MAX_FRAME_BYTES`.
        """
        self._buffer += data
        frames: list[bytes] = []
        while self._step():
            if self._missing == 0:
                frames.append(bytes(self._buffer[: self._position]))
                del self._buffer[: self._position]
                self._position, self._missing = 0, 1
        if len(self._buffer) > MAX_FRAME_BYTES:
            raise RespError(f"a value of more than {MAX_FRAME_BYTES} bytes")
        return frames

    def _step(self) -> bool:
        """Go past one value, or one aggregate's head; False if more bytes are needed."""
        line_end = self._buffer.find(b"\r\n", self._position)
        if line_end < 0:
            return False
        kind, end = self._buffer[self._position : self._position + 1], line_end + 2
        inner = 0
        if kind in _LINES:
            pass
        elif kind in _STRINGS:
            length = self._length(line_end)
            if length >= 0:
                end += length + 2
            if end > len(self._buffer):
                return False
        elif kind in _AGGREGATES:
            inner = max(self._length(line_end), 0)
        elif kind in _PAIRS:
            inner = 2 * self._length(line_end)
            if kind == b"|":  # attributes stand before a value and are none themselves
                inner += 1
        elif self._position > 0 or not kind.isalpha():  # letters begin an inline command
            raise RespError(f"no RESP type begins with {bytes(kind)!r}")
        self._position = end
        self._missing += inner - 1
        return True

    def _length(self, line_end: int) -> int:
        digits = bytes(self._buffer[self._position + 1 : line_end])
        try:
            return int(digits)
        except ValueError:
            raise RespError(f"no length: {digits[:32]!r}") from None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as far as a test may want to tell it from others."""

    name: str
    """In capitals."""
    arguments: tuple[bytes, ...] = ()
    """The first four, each cut at `MAX_KEPT_ARGUMENT_BYTES`."""
    script: str = ""
    """The digest of the script that EVALSHA or EVAL runs, in lower case; empty for other commands."""


def parse_command(frame: bytes) -> Command:
    """Read the head of a request.

    Args:
        frame: a whole request from a `FrameSplitter`, an array of bulk strings or an inline command.

    Returns:
        The command, its long arguments cut.

    Raises:
        RespError: the frame is no request.
    """
    words = _inline_words(frame) if frame[:1] != b"*" else _array_words(frame)
    if not words:
        return Command(name="")
    name = words[0].decode(errors="replace").upper()
    script = ""
    if len(words) > 1 and name.startswith("EVALSHA"):
        script = words[1].decode(errors="replace").lower()
    elif len(words) > 1 and name.startswith("EVAL"):
        script = hashlib.sha1(words[1]).hexdigest()  # the server's own name of the script
    arguments = tuple(word[:MAX_KEPT_ARGUMENT_BYTES] for word in words[1:])
    return Command(name=name, arguments=arguments, script=script)


def _inline_words(frame: bytes) -> list[bytes]:
    return frame.split()[:5]


def _array_words(frame: bytes) -> list[bytes]:
    """Return the first five strings of a request."""
    words: list[bytes] = []
    position = frame.index(b"\r\n") + 2
    while position < len(frame) and len(words) < 5:
        if frame[position : position + 1] != b"$":
            raise RespError("a request holds something else than bulk strings")
        line_end = frame.index(b"\r\n", position)
        length = int(frame[position + 1 : line_end])
        words.append(frame[line_end + 2 : line_end + 2 + length])
        position = line_end + 2 + length + 2
    return words
