"""The fault proxy does to a connection what it says, to the command it says, on real servers."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from rig.faults import Answer, BlackHole, DelayReply, DropReply, DropRequest, Fault, Reset, Say, named, script
from rig.proxy import FaultProxy
from rig.servers import Server

from rig_tests.wire import Wire

StartProxy = Callable[[str], FaultProxy]
SHORT_S = 0.2  # how long a client waits for an answer that cannot come


@pytest.fixture
def proxy(real_server: Server, start_proxy: StartProxy) -> FaultProxy:
    return start_proxy(real_server.url)


@pytest.fixture
def direct(real_server: Server) -> redis.Redis:
    return real_server.client()


def connect(proxy: FaultProxy, *, timeout_s: float = 20.0) -> redis.Redis:
    return redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0), socket_timeout=timeout_s)


def test_everything_passes_unchanged_without_a_fault(proxy: FaultProxy) -> None:
    """What the proxy does not break, it must not touch: large values, nested replies, pipelines."""
    large = bytes(range(256)) * 8192
    with connect(proxy) as client:
        client.set("large", large)
        client.hset("hash", mapping={"a": "\r\n", "b": ""})
        pipeline = client.pipeline(transaction=True)
        for number in range(1000):
            pipeline.rpush("list", number)
        lengths = pipeline.execute()

        assert client.get("large") == large
        assert client.hgetall("hash") == {b"a": b"\r\n", b"b": b""}
        assert client.eval("return {1, {2, 'x'}, false}", 0) == [1, [2, b"x"], None]
        assert lengths == list(range(1, 1001))


def test_message_that_the_server_pushes_is_not_taken_for_a_reply(
    proxy: FaultProxy, direct: redis.Redis
) -> None:
    """RESP3 pushes come between replies; counting them would shift all faults by one."""
    with Wire(proxy.port) as wire:
        wire.ask("HELLO 3")
        wire.ask("CLIENT TRACKING ON BCAST")
        direct.set("a", 1)
        pushed = wire.receive()

        assert pushed is not None
        assert pushed.startswith(b">")
        assert wire.ask("GET a") == b"$1\r\n1\r\n"


def test_commands_are_seen_in_order_over_all_connections(proxy: FaultProxy) -> None:
    """A test that sweeps over all commands of a scenario first has to learn how many there are."""
    with Wire(proxy.port) as one, Wire(proxy.port) as other:
        one.ask("SET a 1")
        other.ask("get a")
        one.ask("DEL a")

    assert proxy.commands == ["SET", "GET", "DEL"]
    assert proxy.seen[0].arguments == (b"a", b"1")


@pytest.mark.parametrize(
    ("fault", "executed"),
    [(DropRequest(), 1), (DropReply(), 2), (Reset(), 1)],
    ids=lambda value: type(value).__name__,
)
def test_fault_strikes_the_kth_command_and_keeps_the_replies_before(
    proxy: FaultProxy, direct: redis.Redis, fault: Fault, executed: int
) -> None:
    """Three commands in one piece, the second is struck: what ran and what was answered is exact."""
    proxy.at(2, fault)
    with Wire(proxy.port) as wire:
        wire.send("INCR a", "INCR a", "INCR a")

        assert wire.receive() == b":1\r\n"
        if isinstance(fault, Reset):
            with pytest.raises(ConnectionResetError):
                wire.receive()
        else:
            assert wire.receive() is None
    assert direct.get("a") == str(executed).encode()


@pytest.mark.parametrize("fault", [DropRequest(), DropReply(), Reset()], ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("k", range(1, 6))
def test_sweep_strikes_each_command_once(
    proxy: FaultProxy, direct: redis.Redis, fault: Fault, k: int
) -> None:
    """The same scenario with the k-th command struck: a client that asks again sees one doubled command at most."""
    rule = proxy.at(k, fault)
    failures = 0
    for _ in range(5):
        with Wire(proxy.port) as wire:
            try:
                failures += wire.ask("INCR a") is None
            except ConnectionResetError:
                failures += 1

    assert failures == 1
    assert rule.hits == 1
    assert direct.get("a") == (b"5" if isinstance(fault, DropReply) else b"4")


def test_dropped_reply_is_an_error_to_a_client_and_the_command_ran(
    proxy: FaultProxy, direct: redis.Redis
) -> None:
    """The one failure that leaves a client in doubt, seen through a real client."""
    rule = proxy.at(1, DropReply(), only=named("incrby"))
    with connect(proxy) as client:
        with pytest.raises(redis.ConnectionError):
            client.incr("a")
        rule.wait()
        assert direct.get("a") == b"1"
        assert client.incr("a") == 2


async def test_asyncio_clients_are_served_too(proxy: FaultProxy) -> None:
    """The proxy has a thread of its own, so a client in the test's loop is not in its way."""
    proxy.at(2, DropReply(), only=named("INCRBY"))
    async with redis.asyncio.Redis.from_url(proxy.url, retry=AsyncRetry(NoBackoff(), 0)) as client:
        answers = await asyncio.gather(*(client.incr("a") for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(answer, redis.ConnectionError) for answer in answers) == 1


def test_every_nth_command_is_struck_until_healed(proxy: FaultProxy) -> None:
    """A connection that breaks again and again, then does not any more."""
    rule = proxy.every(3, DropReply(), only=named("PING"))

    def ping() -> bool:
        with Wire(proxy.port) as wire:
            return wire.ask("PING") is not None

    assert [ping() for _ in range(7)] == [True, True, False, True, True, False, True]
    assert rule.hits == 2
    proxy.heal()
    assert all(ping() for _ in range(4))


def test_script_is_struck_by_its_digest_only(proxy: FaultProxy, direct: redis.Redis) -> None:
    """One script of many is struck, as EVALSHA and as EVAL."""
    struck, spared = "return 1", "return 2"
    digest = str(direct.script_load(struck))
    proxy.every(1, Answer("ERR struck"), only=script(digest))
    with connect(proxy) as client:
        with pytest.raises(redis.ResponseError, match="struck"):
            client.evalsha(digest, 0)
        with pytest.raises(redis.ResponseError, match="struck"):
            client.eval(struck, 0)
        assert client.eval(spared, 0) == 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("LOADING Redis is loading the dataset in memory", redis.exceptions.BusyLoadingError),
        ("READONLY You can't write against a read only replica.", redis.exceptions.ReadOnlyError),
        ("OOM command not allowed when used memory > 'maxmemory'.", redis.exceptions.OutOfMemoryError),
        ("MISCONF Redis is configured to save RDB snapshots", redis.ResponseError),
    ],
)
def test_answered_error_comes_in_the_servers_place(
    proxy: FaultProxy, direct: redis.Redis, text: str, error: type[Exception]
) -> None:
    """A server's states that are hard to bring about are only a line of text to its clients."""
    proxy.at(1, Answer(text), only=named("INCRBY"))
    with connect(proxy) as client:
        with pytest.raises(error):
            client.incr("a")
        assert direct.get("a") is None
        assert client.incr("a") == 1


def test_bytes_are_said_in_the_replys_place_as_they_are(proxy: FaultProxy, direct: redis.Redis) -> None:
    """Also such as no server says; what comes behind is in its place again."""
    rule = proxy.at(1, Say(b"*2\r\n:1\r\n$-1\r\n"), only=named("INCR"))
    with connect(proxy) as client:
        assert client.execute_command("INCR", "n") == [1, None]
        assert client.incr("n") == 1
    assert (rule.hits, direct.get("n")) == (1, b"1")


def test_answered_error_keeps_its_place_in_a_pipeline(proxy: FaultProxy) -> None:
    """An answer made by the proxy must not overtake the server's."""
    proxy.at(2, Answer("ERR no"))
    with Wire(proxy.port) as wire:
        wire.send("INCR a", "INCR a", "INCR a")
        assert [wire.receive() for _ in range(3)] == [b":1\r\n", b"-ERR no\r\n", b":2\r\n"]


def test_late_reply_is_lost_to_a_client_that_gave_up(proxy: FaultProxy, direct: redis.Redis) -> None:
    """The client times out, the command ran, and its answer never meets a later question."""
    rule = proxy.at(1, DelayReply(60), only=named("INCRBY"))
    with connect(proxy, timeout_s=SHORT_S) as client:
        with pytest.raises(redis.TimeoutError):
            client.incr("a")
        rule.wait()
        assert direct.get("a") == b"1"
    with connect(proxy) as client:
        assert client.get("a") == b"1"


def test_delayed_reply_arrives_in_the_end(proxy: FaultProxy, direct: redis.Redis) -> None:
    """Late is not lost: a client that waits gets its answer, and those behind it, in order."""
    rule = proxy.at(1, DelayReply(60))
    with Wire(proxy.port) as wire:
        wire.send("INCR a", "INCR a")
        rule.wait()
        assert direct.get("a") in {b"1", b"2"}
        proxy.heal()
        assert [wire.receive(), wire.receive()] == [b":1\r\n", b":2\r\n"]


def test_black_hole_swallows_everything_until_healed(proxy: FaultProxy, direct: redis.Redis) -> None:
    """No reset and no end tells a client: it only ever times out, on old connections and on new ones."""
    with ExitStack() as wires:
        struck, silent = (wires.enter_context(Wire(proxy.port)) for _ in range(2))
        assert silent.ask("PING") == struck.ask("PING") == b"+PONG\r\n"
        rule = proxy.at(1, BlackHole(), only=named("SET"))
        struck.send("SET a 1")
        rule.wait()
        late = wires.enter_context(Wire(proxy.port))
        for wire in (struck, late):
            wire.be_patient_for(SHORT_S)
            with pytest.raises(TimeoutError):
                wire.ask("SET a 2")
            wire.be_patient_for(20.0)
        assert direct.get("a") is None

        proxy.heal()

        for wire in (struck, late):
            with pytest.raises(ConnectionResetError):
                wire.receive()
        assert silent.ask("PING") == b"+PONG\r\n"
        fresh = wires.enter_context(Wire(proxy.port))
        assert fresh.ask("SET a 3") == b"+OK\r\n"


def test_server_keeps_the_ghost_of_a_client_in_a_black_hole(proxy: FaultProxy, direct: redis.Redis) -> None:
    """A blocked call of a client that is gone is still served: why wake-ups must carry no data."""
    with Wire(proxy.port) as wire:
        ghost = wire.ask("CLIENT ID")
        blocked = proxy.watch(only=named("BLPOP"))
        wire.send("BLPOP wake 0")
        blocked.wait()
        proxy.black_hole()

    assert ghost is not None
    assert str(int(ghost[1:])) in {client["id"] for client in direct.client_list()}
    direct.rpush("wake", "item")
    assert direct.llen("wake") == 0
    proxy.heal()


def test_reset_all_breaks_idle_connections(proxy: FaultProxy) -> None:
    """A firewall that forgets its connections."""
    with Wire(proxy.port) as wire:
        wire.ask("PING")
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            wire.receive()


def test_killed_server_ends_its_clients_and_serves_them_again_after_a_restart(
    start_server: Callable[[], Server], start_proxy: StartProxy
) -> None:
    """The proxy stays while servers come and go behind it."""
    server = start_server()
    proxy = start_proxy(server.url)
    with Wire(proxy.port) as wire:
        wire.ask("PING")
        server.kill()
        assert wire.receive() is None
    with Wire(proxy.port) as wire:
        assert wire.receive() is None
    server.restart()
    with Wire(proxy.port) as wire:
        assert wire.ask("PING") == b"+PONG\r\n"


def test_nothing_listens_after_close(real_server: Server, start_proxy: StartProxy) -> None:
    """Tests that run beside each other must not inherit each other's faults."""
    proxy = start_proxy(real_server.url)
    with Wire(proxy.port) as wire:
        wire.ask("PING")
        proxy.close()
        with pytest.raises(ConnectionResetError):
            wire.receive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 5.0)
    proxy.close()


def test_rule_that_never_strikes_says_so(proxy: FaultProxy) -> None:
    """A test that waits for a fault which cannot come must fail with a reason."""
    rule = proxy.at(100, DropReply())
    with pytest.raises(TimeoutError, match="took place 0 times"):
        rule.wait(timeout_s=SHORT_S)
    with pytest.raises(ValueError, match="counted from 1"):
        proxy.at(0, DropReply())


def test_many_connections_at_once_are_counted_exactly(proxy: FaultProxy, direct: redis.Redis) -> None:
    """Faults are counted over all connections, whatever their order."""
    rule = proxy.every(10, Answer("ERR no"))

    def work(_: int) -> int:
        with Wire(proxy.port) as wire:
            return sum((wire.ask("INCR a") or b"").startswith(b"-") for _ in range(25))

    with ThreadPoolExecutor(8) as pool:
        refused = sum(pool.map(work, range(8)))

    assert refused == rule.hits == 20
    assert direct.get("a") == b"180"
