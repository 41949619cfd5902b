"""Carries a client over a fork that Python does not hear of, as web servers in C make them.

    python carried.py URL page|number blocking|async

Run in a process of its own, with one thread: the child has only the one that forked, and would wait for the others' locks
for ever. Ends with 0 where the child was refused, its own client worked, and the parent's still does.
"""

import asyncio
import ctypes
import os
import sys
import threading
import time

from jobrunner.errors import ClosedClientError
from jobrunner.store import calls, forks
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store

PING = calls.command("PING")


def carried(use, url):
    """Whether `use` is refused in a child, and whether a client that is made there is not."""
    while threading.active_count() > 1:  # whoever watched over the connecting is about to end
        time.sleep(0.01)
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        try:
            own = open_sync_store(url)
            assert own.run(PING) == b"PONG"
            use()
        except ClosedClientError:
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def blocking(url):
    store = open_sync_store(url)
    store.run(PING)
    assert carried(lambda: store.run(PING), url)
    assert store.run(PING) == b"PONG"


async def awaiting(url):
    store = open_store(url)
    await store.run(PING)
    assert carried(lambda: store.run(PING).send(None), url)
    assert await store.run(PING) == b"PONG"
    await store.close()


if __name__ == "__main__":
    address, mark, kind = parse_url(sys.argv[1]), sys.argv[2], sys.argv[3]
    if mark == "number":
        forks._page = lambda: None
    else:
        assert forks._page() is not None, "Linux has them"
    if kind == "blocking":
        blocking(address)
    else:
        asyncio.run(awaiting(address))
