"""Connections as they are used: what a server sends is a reply, too much, nothing, or nonsense."""

import asyncio
import contextlib
import signal
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from redis.exceptions import AskError, InvalidResponse, MovedError, ResponseError

from jobrunner.errors import OutcomeUnknownError, StoreError
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.calls import NewJob
from jobrunner.store.connect import open_store
from jobrunner.store.keys import QueueKeys
from jobrunner.store.store import SyncStore
from jobrunner.store.sync_stream import BareStream, SyncStream
from jobrunner.store.wire import pack, pack_many, reader

from .conftest import KINDS_OF_STORE
from .conftest import asked as asked_for

STORE = SyncStore(link=None)
PING = calls.command("PING")


async def asked(kind, url, timeout=0.3, times=1):
    """What each of some PINGs brings, by an async or a blocking store: an answer, or the error."""
    return await asked_for(kind, url, [PING] * times, timeout=timeout)


@KINDS_OF_STORE
async def test_reply_that_comes_in_pieces_is_one_reply(serve, kind):
    """Networks cut where they like."""
    server = serve([b"$1", b"0\r\n01234", b"56789\r", b"\n"], b"+PONG\r\n")
    assert await asked(kind, server.url, times=2, timeout=5) == [b"0123456789", b"PONG"]
    assert server.connections == 1


@KINDS_OF_STORE
async def test_reply_that_does_not_come_is_unknown_and_its_connection_is_left(serve, kind):
    """A late reply must find nobody who could take it for his own."""
    server = serve(b"", b"+PONG\r\n")
    lost, found = await asked(kind, server.url, times=2)
    assert isinstance(lost, OutcomeUnknownError)
    assert "no answer in time" in str(lost)
    assert found == b"PONG"
    assert server.connections == 2


@KINDS_OF_STORE
async def test_bytes_that_are_no_reply_end_the_connection(serve, kind):
    """Whatever answers there is no Redis, or the stream is out of step."""
    server = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+PONG\r\n")
    lost, found = await asked(kind, server.url, times=2, timeout=5)
    assert isinstance(lost, OutcomeUnknownError)
    assert found == b"PONG"
    assert server.connections == 2


@KINDS_OF_STORE
async def test_more_replies_than_requests_end_the_connection(serve, kind):
    """The second one would be the answer to what is asked next."""
    server = serve(b"+ONE\r\n+TWO\r\n", b"+PONG\r\n")
    lost, found = await asked(kind, server.url, times=2, timeout=5)
    assert isinstance(lost, OutcomeUnknownError)
    assert found == b"PONG"


@KINDS_OF_STORE
async def test_server_that_closes_in_the_middle_of_a_reply_is_said_to_have(serve, kind):
    """Half an answer is none."""
    server = serve([b"$10\r\n01234"], None)
    (lost,) = await asked(kind, server.url)
    assert isinstance(lost, OutcomeUnknownError)


@KINDS_OF_STORE
async def test_error_that_is_no_utf8_is_an_error_all_the_same(serve, kind):
    """What Redis says may quote what somebody else wrote."""
    server = serve(b"-ERR \xff\xfe broken\r\n", b"+PONG\r\n")
    said, found = await asked(kind, server.url, times=2, timeout=5)
    assert isinstance(said, StoreError)
    assert "broken" in str(said)
    assert found == b"PONG"
    assert server.connections == 1


async def test_connection_that_ended_while_idle_is_not_used_again(start_server):
    """A server that was restarted between two enqueues costs a new connection, and leaves nothing unknown."""
    server = start_server()
    store = open_store(parse_url(server.url))
    assert await store.run(PING) == b"PONG"
    gone = asyncio.Event()
    (stream,) = store.link._idle
    stream._ended.add_done_callback(lambda _: gone.set())
    other = open_store(parse_url(server.url))
    await other.run(calls.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
    await other.close()
    async with asyncio.timeout(10):
        await gone.wait()
    assert await store.run(PING) == b"PONG"
    await store.close()


async def test_one_timer_watches_over_all_requests_of_a_connection(start_server):
    """A timer for each would leave thousands in the loop's heap, each holding its answer."""
    store = open_store(parse_url(start_server().url))
    await store.run(PING)
    before = len(asyncio.get_running_loop()._scheduled)
    for _ in range(200):
        await store.run(PING)
    assert len(asyncio.get_running_loop()._scheduled) <= before + 1
    await store.close()


async def test_shorter_deadline_after_a_longer_one_is_kept(serve):
    """A blocking wait may take long; what follows on its connection may not."""
    server = serve(b"+PONG\r\n", b"")
    store = open_store(parse_url(server.url))
    assert await store.run(PING, 3600) == b"PONG"
    async with asyncio.timeout(30):
        with pytest.raises(OutcomeUnknownError, match="no answer"):
            await store.run(PING, 0.05)
    await store.close()


def test_redirections_are_read_and_other_errors_keep_their_words():
    """Where a slot went stands in the error; what went wrong is told by its first word."""
    parser = reader()
    parser.feed(b"-MOVED 3999 127.0.0.1:6381\r\n-ASK 7 h:1\r\n-READONLY You can't write\r\n")
    moved, ask, other = parser.gets(), parser.gets(), parser.gets()
    assert isinstance(moved, MovedError)
    assert (moved.slot_id, moved.host, moved.port) == (3999, "127.0.0.1", 6381)
    assert isinstance(ask, AskError)
    assert not isinstance(ask, MovedError)
    assert type(other) is ResponseError
    assert str(other).startswith("READONLY ")


def test_call_that_is_packed_already_says_what_its_parts_say():
    """The bytes are put together from remembered ones; the parts are what a cluster and a driver's client look at."""
    keys = QueueKeys("jr", "q")
    for _ in range(2):
        call = calls.enqueue_one(keys, NewJob("an-id", "0", '10,"é",1,{}]'.encode()))
        command = STORE._command(call)
        assert pack(command) == pack(tuple(command))
        assert [command[at] for at in range(len(command))] == list(command)
        assert command[3] == keys["jobs"]
        assert list(command)[2] == len(list(command)) - 5


class OwnSocket(socket.socket):
    """As TLS has it, or a library that replaces what blocks."""

    def recv(self, *args):
        return super().recv(*args)


@pytest.fixture(params=[socket.socket, OwnSocket])
def pair(request, monkeypatch):
    """A stream over a socket of each kind with 0.3 s for an answer, and the other end."""
    monkeypatch.setattr(socket, "SocketType", request.param)  # as a library that replaces sockets does
    near, far = socket.socketpair()
    with request.param(near.family, near.type, fileno=near.detach()) as own, far:
        own.settimeout(0.3)
        stream = SyncStream.over(SimpleNamespace(_sock=own, connect=lambda: None))
        assert own.gettimeout() == (0.3 if request.param is OwnSocket else None)
        yield stream, far


REQUEST = b"*1\r\n$4\r\nPING\r\n"


def until_no_answer(stream, data=REQUEST):
    """Seconds until the stream gives up."""
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="no answer in time"):
        stream.ask(data, 1)
    return time.monotonic() - begun


def test_deadline_is_kept_by_whoever_reads(pair):
    """A socket with a way of its own goes by Python's timeout, or would wait for ever."""
    stream, far = pair
    assert until_no_answer(stream) < 10
    far.sendall(b"+PONG\r\n")
    assert stream.ask(REQUEST, 1) == [b"PONG"]


def test_deadline_is_kept_though_signals_come(pair):
    """A sampler's timer, say: each of them interrupts a read, which goes on with the time that is left."""
    stream, _ = pair
    came = []
    before = signal.signal(signal.SIGALRM, lambda *_: came.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        assert until_no_answer(stream) < 10
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came


def test_deadline_is_kept_though_the_answer_trickles(pair):
    """A byte every time that somebody looks: however many come, there is one time for all of them."""
    stream, far = pair
    stop = threading.Event()

    def trickle():
        far.sendall(b"$1000000\r\n")
        with contextlib.suppress(OSError):
            while not stop.wait(0.0001):
                far.sendall(b"x")

    sending = threading.Thread(target=trickle)
    sending.start()
    assert until_no_answer(stream) < 10
    stop.set()
    sending.join(10)


def test_more_than_was_asked_for_is_no_answer(pair):
    """What comes behind the answer would be taken for that of the next request."""
    stream, far = pair
    far.sendall(b"+PONG\r\n+PO")
    with pytest.raises(InvalidResponse, match="not asked"):
        stream.ask(REQUEST, 1)


def test_deadline_is_kept_though_the_server_reads_slowly(pair):
    """What is large goes out as the other side takes it in; all of it has one time."""
    stream, far = pair
    stop = threading.Event()

    def read_slowly():
        with contextlib.suppress(OSError):
            while not stop.wait(0.1):
                far.recv(50_000)

    reading = threading.Thread(target=read_slowly)
    reading.start()
    assert until_no_answer(stream, b"x" * 20_000_000) < 10
    stop.set()
    reading.join(10)


def test_large_request_goes_out_whole(pair):
    """Though the system takes only a part of it at once."""
    stream, far = pair
    got = []

    def answer():
        while sum(map(len, got)) < 8_000_000:
            got.append(far.recv(1 << 20))
        far.sendall(b"+PONG\r\n")

    stream._timeout, stream._timeout_ms = 30, 30_000
    stream._socket.settimeout(None if isinstance(stream, BareStream) else 30)
    reading = threading.Thread(target=answer)
    reading.start()
    data = bytes(range(250)) * 32_000
    assert stream.ask(data, 1) == [b"PONG"]
    reading.join(10)
    assert b"".join(got) == data


def test_commands_sent_together_are_their_bytes_in_a_row():
    """One write, in the order asked for."""
    assert pack_many([("GET", "a"), ("SET", "b", 1)]) == pack(("GET", "a")) + pack(("SET", "b", 1))
