"""What no Redis says: answers of another shape, too long, too slow, or to nobody. It is named, and costs one call."""

import threading

import pytest
from redis.exceptions import ResponseError

from jobrunner.errors import (
    OutcomeUnknownError,
    StoreCorruptError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from jobrunner.model import State
from jobrunner.names import new_nonce
from jobrunner.store import calls, looks, server
from jobrunner.store.address import parse_url
from jobrunner.store.calls import Exchange, NewJob
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.keys import FleetKeys, QueueKeys
from jobrunner.store.routes import Routes
from jobrunner.store.sync_stream import SyncStream
from jobrunner.store.wire import reader

from .conftest import KINDS_OF_STORE, asked

KEYS = QueueKeys("jr", "q")
FLEET = FleetKeys("jr")
EXCHANGE = Exchange(consumer="w", serial=1, nonce=new_nonce(), want=1, lease_ms=1000)

CALLS = {
    "enqueue": calls.enqueue(KEYS, [NewJob("a", "0", b'10,"",1,{}]')]),
    "enqueue_one": calls.enqueue_one(KEYS, NewJob("a", "0", b'10,"",1,{}]')),
    "exchange": calls.exchange(KEYS, EXCHANGE),
    "extend": calls.extend(KEYS, 1000, [("a", new_nonce())]),
    "recover": calls.recover(KEYS, lease_ms=1, limit=1, max_crashes=3, seed=1, delays_ms=[1]),
    "note": calls.note(KEYS, [], max_steps=1, max_logs=1),
    "cancel": calls.cancel(KEYS, ["a"], reason="r", entry=b"{}"),
    "retry": calls.retry(KEYS, State.FAILED, ["a"], forgive=True),
    "remove": calls.remove(KEYS, ["a"]),
    "trim": calls.trim(KEYS, State.FAILED, keep=1, keep_ms=1, limit=1),
    "prune": calls.prune(KEYS, 1),
    "heads": calls.heads(KEYS, ["a"]),
    "causes": calls.causes(KEYS, ["a"]),
    "counts": calls.counts(KEYS),
    "limit": calls.limit(KEYS, {"paused": 1}),
    "repair": calls.repair(KEYS, ["a"]),
    "adjust": calls.adjust(KEYS, {"a|b": (1, 2)}),
    "turn": calls.turn(KEYS),
    "info": server.info(),
    "time": calls.server_ms(),
    "page": looks.page(KEYS, State.FAILED, start=0, limit=1),
    "place": looks.place(KEYS, State.WAITING, "a"),
    "held before": looks.held_before(KEYS, "t", 1, "a"),
    "remembered": looks.remembered_until(KEYS, "a"),
    "unique": looks.has_unique_key(KEYS, "a"),
    "before": looks.before(KEYS, State.FAILED, 1),
    "records": looks.records(KEYS, ["a"]),
    "field": looks.field(KEYS, "state", ["a"]),
    "some of": looks.some_of("k", ["a"]),
    "some fields": looks.some_fields("k", 1),
    "news": looks.news(KEYS, 0, 1, 1),
    "hash": looks.hash_of("k"),
    "tally": looks.tally(KEYS, "waiting|t"),
    "schemas": looks.schemas(FLEET, "q"),
}

ANSWERS = [
    b"+OK\r\n",
    b":7\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"$2\r\n\xff\xfe\r\n",
    b"*1\r\n$2\r\n\xff\xfe\r\n",
    b"*3\r\n:1\r\n:2\r\n:3\r\n",
    b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
    b"*2\r\n$-1\r\n$-1\r\n",
    b"*6\r\n*1\r\n$1\r\na\r\n*1\r\n:1\r\n*1\r\n:1\r\n*0\r\n:1\r\n:1\r\n",
    b"*6\r\n*1\r\n$2\r\n\xff\xfe\r\n*1\r\n$-1\r\n*1\r\n$-1\r\n*0\r\n:1\r\n:1\r\n",
    b"*2\r\n$2\r\nok\r\n*0\r\n",
    b"*2\r\n*0\r\n*0\r\n",
    b"*1\r\n$4\r\nfull\r\n",
    b",nan\r\n",
    b"#t\r\n",
    b"$5000\r\n" + b"9" * 5000 + b"\r\n",
]


@KINDS_OF_STORE
@pytest.mark.parametrize("name", CALLS)
async def test_answer_of_another_shape_is_an_error_of_ours(serve, kind, name):
    """A proxy that is out of step, another program at the port: one line names it, and no loop dies of a bug's error."""
    spoken = serve(*ANSWERS, b"+PONG\r\n")
    found = await asked(kind, spoken.url, [CALLS[name]] * len(ANSWERS) + [calls.command("PING")], timeout=10)
    assert [
        error for error in found if isinstance(error, Exception) and not isinstance(error, StoreError)
    ] == []
    assert found[-1] == b"PONG"


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"unique", "remembered", "schemas", "tally"}))
async def test_answer_of_another_shape_is_never_taken_for_one(serve, name):
    """The call is named, and a script's may be sent again. What a look may find missing is as if it were not there."""
    wrong = b"*2\r\n*1\r\n*1\r\n:1\r\n#t\r\n"
    (found,) = await asked("async", serve(wrong).url, [CALLS[name]], timeout=10)
    assert isinstance(found, OutcomeUnknownError if CALLS[name].script else StoreCorruptError)
    assert str(found).startswith(CALLS[name].script or CALLS[name].command[0])


@KINDS_OF_STORE
async def test_connection_whose_answer_was_none_is_left(serve, kind):
    """Where one reply is another's, so is the next."""
    spoken = serve(b"+OK\r\n", b"+PONG\r\n")
    wrong, found = await asked(kind, spoken.url, [CALLS["counts"], calls.command("PING")], timeout=10)
    assert isinstance(wrong, OutcomeUnknownError)
    assert found == b"PONG"
    assert spoken.connections == 2


@KINDS_OF_STORE
@pytest.mark.parametrize(
    "answer",
    [
        b"*4294967295\r\n",
        b"%1\r\n*1\r\n+a\r\n+b\r\n",
        b"*1\r\n" * 10_000,
        b"*-7\r\n",
        b"$99999999999999999999\r\n",
    ],
    ids=["an array of billions", "a map of lists", "nested", "negative", "a length beyond all numbers"],
)
async def test_reply_that_nothing_can_hold_is_lost(serve, kind, answer):
    """Neither memory nor an error that nobody expects."""
    spoken = serve(answer, b"+PONG\r\n")
    lost, found = await asked(kind, spoken.url, [calls.command("PING")] * 2, timeout=10)
    assert isinstance(lost, OutcomeUnknownError)
    assert found == b"PONG"


@KINDS_OF_STORE
async def test_reply_that_trickles_in_ends_with_the_deadline(serve, kind):
    """A byte now and then is no sign of life: the time is that of the whole reply."""
    spoken = serve([b"$100\r\n", *[b"x"] * 100, b"\r\n"], b"+PONG\r\n", pause=0.05)
    lost, found = await asked(kind, spoken.url, [calls.command("PING")] * 2, timeout=0.4)
    assert isinstance(lost, OutcomeUnknownError)
    assert found == b"PONG"


async def test_greeting_that_trickles_in_ends_too(serve, monkeypatch):
    """A password is asked for before anything else, by the driver, whose time begins again with each piece."""

    monkeypatch.setattr(SyncStream.over, "__defaults__", (0.4,))
    spoken = serve([b"+", *[b"O"] * 100, b"\r\n"], pause=0.05)
    (lost,) = await asked(
        "blocking", spoken.url.replace("//", "//:secret@"), [calls.command("PING")], timeout=10
    )
    assert isinstance(lost, StoreError)


@KINDS_OF_STORE
async def test_reply_that_nobody_asked_for_is_nobodys(serve, kind):
    """It came while the connection was idle, and would be the answer to what is asked next."""
    said = threading.Event()
    spoken = serve([b"+ONE\r\n", b"+TWO\r\n", said.set], b"+THREE\r\n", pause=0.05)
    first, second = await asked(
        kind, spoken.url, [calls.command("PING")] * 2, timeout=10, between=lambda: said.wait(10)
    )
    assert first == b"ONE" or isinstance(first, OutcomeUnknownError)
    assert second == b"THREE"


@KINDS_OF_STORE
async def test_half_a_reply_that_nobody_asked_for_is_nobodys(serve, kind):
    """Its other half would make it one."""
    spoken = serve(b"+ONE\r\n+TW", b"+THREE\r\n")
    first, second = await asked(kind, spoken.url, [calls.command("PING")] * 2, timeout=10)
    assert isinstance(first, OutcomeUnknownError)
    assert second == b"THREE"
    assert spoken.connections == 2


async def test_blocking_connection_that_ended_while_idle_is_not_used_again(start_server):
    """As one for those who await: an enqueue after a restart is not unknown."""
    running = start_server()
    store = open_sync_store(parse_url(running.url))
    store.run(calls.command("PING"))
    running.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.run(calls.command("PING")) == b"PONG"
    store.close()


@pytest.mark.parametrize("words", ["MOVED", "MOVED here", "ASK 7 nowhere", "MOVED x y:z"])
def test_redirection_to_nowhere_is_an_error_with_its_words(words):
    """Nothing can follow it, and nothing may break over it."""
    parser = reader()
    parser.feed(f"-{words}\r\n".encode())
    error = parser.gets()
    assert isinstance(error, ResponseError)
    assert words.split()[-1] in str(error)


async def test_store_keeps_working_for_others_after_nonsense(start_server):
    """A key that is not ours costs the call that meets it."""
    store = open_store(parse_url(start_server().url))
    await store.run(calls.command("SET", "k", "x"))
    with pytest.raises(StoreCorruptError, match="HGETALL"):
        await store.run(looks.hash_of("k"))
    assert await store.run(calls.command("GET", "k")) == b"x"
    await store.close()


SLOTS = [
    b"+OK\r\n",
    b"*1\r\n:5\r\n",
    b"*1\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n",
    b"*1\r\n*3\r\n:0\r\n:16383\r\n*1\r\n$1\r\n\xff\r\n",
    b"*1\r\n*3\r\n:9\r\n:2\r\n*2\r\n$1\r\na\r\n:1\r\n",
]


@KINDS_OF_STORE
async def test_node_that_does_not_tell_the_slots_is_away(serve, kind):
    """It may be a node tomorrow; who asks waits and tries again, as for any other that is away."""
    spoken = serve(*SLOTS)
    url = spoken.url.replace("redis://", "redis+cluster://").removesuffix("/0")
    found = await asked(kind, url, [calls.command("PING")] * len(SLOTS), timeout=10)
    assert [type(error) for error in found] == [StoreUnavailableError] * len(SLOTS)


def test_slots_that_no_cluster_has_are_not_remembered():
    """Whoever names billions of them would take all memory."""
    routes = Routes([("a", 1)])
    routes.learn([[-3, 20_000, [b"a", 1]]], ("a", 1))
    assert routes.owner(16_383) == ("a", 1)
    for beyond in (-1, 16_384):
        with pytest.raises(StoreUnavailableError):
            routes.owner(beyond)


@KINDS_OF_STORE
async def test_sentinel_that_names_nonsense_names_nobody(serve, kind):
    """Another Sentinel is asked, and without one it is said."""
    answers = [
        b"*2\r\n:1\r\n:2\r\n",
        b"*2\r\n$1\r\n\xff\r\n$1\r\n1\r\n",
        b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"+OK\r\n",
    ]
    spoken = serve(*answers)
    url = spoken.url.replace("redis://", "redis+sentinel://").removesuffix("/0") + "/main/0"
    found = await asked(kind, url, [calls.command("PING")] * len(answers), timeout=10)
    assert [type(error) for error in found] == [StoreRefusedError] * len(answers)
