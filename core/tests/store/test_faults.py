"""What each answer of the server means, as the driver really raises it."""

import pytest
from redis.exceptions import ResponseError
from rig.faults import Answer

from jobrunner.errors import (
    OutcomeUnknownError,
    StoreCorruptError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.faults import translate

ANSWERS = {
    "LOADING Redis is loading the dataset in memory": StoreUnavailableError,
    "READONLY You can't write against a read only replica.": StoreUnavailableError,
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL.": StoreUnavailableError,
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": StoreUnavailableError,
    "MISCONF Redis is configured to save RDB snapshots": StoreUnavailableError,
    "NOREPLICAS Not enough good replicas to write.": StoreUnavailableError,
    "CLUSTERDOWN The cluster is down": StoreUnavailableError,
    "TRYAGAIN Multiple keys request during rehashing of slot": StoreUnavailableError,
    "UNBLOCKED force unblock from blocking operation, instance state changed": StoreUnavailableError,
    "ERR max number of clients reached": StoreUnavailableError,
    "OOM command not allowed when used memory > 'maxmemory'.": StoreFullError,
    "NOAUTH Authentication required.": StoreRefusedError,
    "NOPERM User default has no permissions to run the 'evalsha' command": StoreRefusedError,
    "WRONGPASS invalid username-password pair or user is disabled.": StoreRefusedError,
    "ERR unknown command 'EVALSHA'": StoreRefusedError,
    "WRONGTYPE Operation against a key holding the wrong kind of value": StoreCorruptError,
}


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda text: text.split()[0] + "-" + text.split()[1])
async def test_answer_is_sorted_by_what_it_means(start_server, start_proxy, answer):
    """Not done and try again, not done and never, or a bug: a caller must not have to know Redis's words."""
    proxy = start_proxy(start_server("valkey").url)
    store, blocking = open_store(parse_url(proxy.url)), open_sync_store(parse_url(proxy.url))
    call = calls.counts(store.keys("q"))
    await store.run(call)
    blocking.run(call)
    proxy.every(1, Answer(answer))

    with pytest.raises(ANSWERS[answer]):
        await store.run(call)
    with pytest.raises(ANSWERS[answer]):
        blocking.run(call)
    await store.close()
    blocking.close()


async def test_server_that_is_away_is_told_from_an_answer_that_is_lost(start_server):
    """One is safe to send again for anybody, the other only by its id."""
    server = start_server("valkey")
    store = open_store(parse_url(server.url))
    call = calls.counts(store.keys("q"))
    await store.run(call)
    server.kill()

    with pytest.raises(OutcomeUnknownError):
        await store.run(call)
    with pytest.raises(StoreUnavailableError):
        await store.run(call)
    server.restart()
    assert (await store.run(call)).total == 0
    await store.close()


@pytest.mark.parametrize("name", ["ASK", "TASK-1", "BUSY", "OOM-9", "NOAUTH", "READONLY.x", "LOADING"])
def test_id_in_an_answer_is_not_read_as_the_servers_word(queue, name):
    """A job may be called BUSY; an error that quotes it must not be tried again for ever."""
    with pytest.raises(StoreCorruptError, match="RECORD of"):
        queue.enqueue(calls.NewJob(name, "0", b"nonsense"))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("-OOM command not allowed when used memory > 'maxmemory'.", StoreFullError),
        ("-READONLY You can't write against a read only replica.", StoreUnavailableError),
        ("-NOPERM this user has no permissions to run the 'hset' command", StoreRefusedError),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", StoreCorruptError),
    ],
)
def test_answer_inside_a_scripts_error_is_found(word, kind):
    """Servers before 7 wrap what a script met in an error of their own."""
    wrapped = f"Error running script (call to f_{'a' * 40}): @user_script:47: @user_script: 47: {word}"
    assert type(translate(ResponseError(wrapped), "exchange", sent=True)) is kind
