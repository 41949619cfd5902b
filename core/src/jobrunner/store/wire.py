"""Commands as bytes and bytes as replies, by hiredis: the driver's own way takes a third of a worker's time at high rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import hiredis
import msgspec
import redis.exceptions as driver

from jobrunner.store.answers import AS_IT_WAS

NO_ANSWER = "no answer in time"
CLOSED = "the server closed the connection"
UNASKED = "the server said something that it was not asked"

_REDIRECTIONS = {"MOVED": driver.MovedError, "ASK": driver.AskError}


PART = b"$%d\r\n%s\r\n"
"""A part of a command as it goes over the wire: its length in bytes, and itself."""


class Prepared(msgspec.Struct, frozen=True):
    """A command that is packed already, and its parts for whoever looks at one of them.

    Packing costs a producer as much as the making of a job, and most of what it sends is the same each time. Nobody checks
    that the bytes say what the parts say.
    """

    opening: tuple[object, ...]
    rest: Sequence[object]
    data: bytes

    def __iter__(self) -> Iterator[object]:
        yield from self.opening
        yield from self.rest

    def __len__(self) -> int:
        return len(self.opening) + len(self.rest)

    def __getitem__(self, at: int) -> object:
        ahead = len(self.opening)
        return self.opening[at] if at < ahead else self.rest[at - ahead]


Command: TypeAlias = Sequence[object] | Prepared


def pack(command: Command) -> bytes:
    """One command as it goes over the wire.

    Raises:
        hiredis.HiredisError: A part is neither text, bytes nor a number.
        UnicodeEncodeError: A text cannot be written as UTF-8.
    """
    if type(command) is Prepared:
        return command.data
    try:
        return _packed(command)
    except UnicodeEncodeError:  # the name of something that somebody else wrote among our keys
        return _packed([part.encode(errors=AS_IT_WAS) if isinstance(part, str) else part for part in command])


def _packed(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # hiredis checks each part itself
    return packed


def pack_many(commands: Sequence[Command]) -> bytes:
    """Commands that are sent together; raises as `pack`."""
    return pack(commands[0]) if len(commands) == 1 else b"".join(map(pack, commands))


def reader() -> hiredis.Reader:
    """What turns bytes into replies: bytes, numbers, None, lists; a server's error is an exception in its place.

    It raises `redis.exceptions.InvalidResponse` where the bytes are no reply.
    """
    return hiredis.Reader(protocolError=driver.InvalidResponse, replyError=_answered_error)


def read_on(parser: hiredis.Reader, data: bytes, replies: list[object], number: int) -> bool:
    """Take in some bytes that came.

    Args:
        parser: What came before them.
        data: The bytes.
        replies: Those that are whole, in order; more are added here.
        number: How many were asked for.

    Returns:
        Whether all are there.

    Raises:
        redis.exceptions.ConnectionError: There are no bytes: the other side has closed.
        redis.exceptions.InvalidResponse: They are no reply, or one that nothing can hold, or more than was asked for.
    """
    if not data:
        raise driver.ConnectionError(CLOSED)
    try:
        parser.feed(data)
        while len(replies) < number:
            reply = parser.gets()
            if reply is False:
                return False
            replies.append(reply)
    except (MemoryError, TypeError, ValueError) as error:  # an array of billions; a map whose keys are lists
        raise driver.InvalidResponse(f"a reply that cannot be held ({type(error).__name__})") from error
    if parser.has_data():
        raise driver.InvalidResponse(UNASKED)
    return True


def _answered_error(text: str) -> driver.ResponseError:
    """A server's error with its words as they came; a redirection with where it leads."""
    word, _, rest = text.partition(" ")
    kind = _REDIRECTIONS.get(word)
    try:
        return kind(rest) if kind is not None else driver.ResponseError(text)
    except ValueError:  # it does not say where to
        return driver.ResponseError(text)
