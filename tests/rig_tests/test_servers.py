"""Servers of the rig are real: they lose what a real one loses, keep what it keeps, and leave nothing behind."""

import errno
import os
import socket
import sys
from pathlib import Path

import pytest
import redis
from rig.backends import Backend, FakeBackend
from rig.fixtures import StartServer
from rig.servers import KINDS, Kind, Server, ServerOptions, find_binary, missing_servers

SHORT_S = 0.2  # how long a client waits for a server that cannot answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("appendonly", ["everysec", "always"])
def test_acknowledged_writes_survive_a_kill_with_a_file(
    start_server: StartServer, kind: Kind, appendonly: str
) -> None:
    """A process that is killed leaves its writes with the system: nothing acknowledged is lost."""
    server = start_server(kind, ServerOptions(appendonly="always" if appendonly == "always" else "everysec"))
    client = server.client()
    for number in range(200):
        client.rpush("list", number)
    first_pid, port = server.pid, server.port

    server.kill()
    server.restart()

    assert [int(item) for item in client.lrange("list", 0, -1)] == list(range(200))
    assert server.pid != first_pid
    assert server.port == port


@pytest.mark.parametrize("kind", KINDS)
def test_memory_only_server_is_empty_after_a_kill(start_server: StartServer, kind: Kind) -> None:
    """The default keeps no files, so tests are quick and begin empty."""
    server = start_server(kind)
    server.client().set("a", 1)

    server.kill()
    assert not server.alive
    server.restart()

    assert server.alive
    assert server.client().dbsize() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_server_answers_what_it_was_sent_once_it_goes_on(
    start_server: StartServer, kind: Kind
) -> None:
    """A client's timeout says nothing about whether its command is still going to run."""
    server = start_server(kind)
    server.client().ping()
    server.pause()
    impatient = server.client(timeout_s=SHORT_S)
    with pytest.raises(redis.TimeoutError):
        impatient.ping()

    server.resume()

    assert server.client().ping() is True


@pytest.mark.parametrize("kind", KINDS)
def test_full_server_refuses_writes(start_server: StartServer, kind: Kind) -> None:
    """Limits reach the server, and it refuses rather than evicts."""
    server = start_server(kind, ServerOptions(maxmemory="1"))
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        server.client().set("a", 1)


def test_options_reach_the_server(start_server: StartServer) -> None:
    """A test of an evicting server must get one."""
    options = ServerOptions(maxmemory="50mb", maxmemory_policy="allkeys-lru", extra=("--databases", "3"))
    config = start_server(None, options).client().config_get("maxmemory", "maxmemory-policy", "databases")
    assert config == {"maxmemory": str(50 << 20), "maxmemory-policy": "allkeys-lru", "databases": "3"}


def test_stopped_server_leaves_no_process_and_no_listener(start_server: StartServer) -> None:
    """A run of many tests must not end in a machine full of servers."""
    server = start_server()
    pid, port = server.pid, server.port

    server.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5.0)
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be held for another process")
def test_killed_servers_port_is_kept_for_its_restart(start_server: StartServer) -> None:
    """A test beside this one, or a reconnecting client itself, could take the port in between."""
    server = start_server()
    server.kill()
    with socket.socket() as stranger:
        with pytest.raises(OSError) as refusal:
            stranger.bind(("127.0.0.1", server.port))
        assert refusal.value.errno == errno.EADDRINUSE

    server.restart()

    assert server.client().ping() is True


def test_server_that_cannot_start_says_why(tmp_path: Path, start_server: StartServer) -> None:
    """A wrong option must not look like a slow machine."""
    with pytest.raises(Exception, match="no-such-option"):
        start_server(None, ServerOptions(extra=("--no-such-option", "1")))


@pytest.mark.parametrize("kind", KINDS)
def test_server_is_there_or_the_reason_is_told(kind: Kind) -> None:
    """A skipped test says what to install."""
    if reason := missing_servers().get(kind):
        assert "install" in reason
    else:
        assert os.access(find_binary(kind), os.X_OK)


@pytest.mark.parametrize("turn", [1, 2])
def test_shared_store_is_empty_at_each_tests_start(server: Backend, turn: int) -> None:
    """Tests take turns on one server and must not see each other's keys."""
    with server.client() as client:
        assert client.dbsize() == 0
        client.set(f"left by {turn}", 1)


async def test_clients_of_one_backend_see_the_same_store(server: Backend) -> None:
    """A test enqueues with one client and looks with another, blocking or not."""
    with server.client() as client:
        async with server.async_client() as other:
            await other.set("a", 1)
            assert client.get("a") == b"1"
            assert await other.eval("return redis.call('INCR', KEYS[1])", 1, "a") == 2
    assert isinstance(server, FakeBackend) == (server.url is None)


def test_shared_server_killed_by_a_test_is_started_again(
    real_server: Server, request: pytest.FixtureRequest
) -> None:
    """One careless test must not fail all that follow."""
    shared = request.getfixturevalue("shared_server")
    real_server.kill()
    kind: Kind = "valkey" if "valkey" in request.node.name else "redis"

    again = shared(kind)

    assert again is real_server
    assert again.client().ping() is True
