"""A queue as the tests see it: the real scripts on a real server, with a clock that only the test moves."""

import asyncio
import contextlib
import socket
import threading
import time

import msgspec
import pytest
from rig.backends import BACKENDS
from rig.fixtures import ON_CLUSTER, emptied
from rig.servers import KINDS

from jobrunner.model import State
from jobrunner.names import new_nonce
from jobrunner.record import decode_counts, decode_journal, encode_record
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.calls import Exchange, NewJob, NoteLine, Settlement
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.keys import LISTS, PERMANENT
from jobrunner.store.store import SyncStore
from jobrunner.store.sync_link import SyncClientLink

CLOCK = "{call('GET', '{q}clock:s'), call('GET', '{q}clock:us')}"
"""Beside the queue's keys, in the same slot of a cluster."""

LEASE = 1000
START_MS = 1_800_000_000_000


class Bench:
    """One queue with verbs that read like what happens."""

    def __init__(self, server, *, clock=CLOCK):
        self.redis = server.client()
        self.store = SyncStore(link_to(server), clock=clock)
        self.keys = self.store.keys("q")
        self.now = START_MS
        self.serials = {}
        self.tick(0)

    def run(self, call):
        return self.store.run(call)

    def tick(self, ms):
        self.now += ms
        self.redis.mset({"{q}clock:s": self.now // 1000, "{q}clock:us": self.now % 1000 * 1000})

    def lapse(self):
        """Let every lease run out while somebody calls often enough, so that no outage is seen."""
        for _ in range(4):
            self.tick(LEASE // 3)
            self.extend()

    # ---- producers

    def enqueue(self, *jobs, max_waiting=0, max_bytes=0):
        return self.run(calls.enqueue(self.keys, jobs, max_waiting, max_bytes))

    def enqueue_alone(self, one):
        return self.run(calls.enqueue_one(self.keys, one))

    def put(self, *ids, **more):
        answer = self.enqueue(*[job(name, **more) for name in ids])
        assert (answer.status, answer.ids) == ("ok", [])

    # ---- workers

    def request(self, want=0, *, plain=(), settle=(), worker="w1", keep=1000, **more):
        self.serials[worker] = serial = self.serials.get(worker, 0) + 1
        flat = [part for pair in plain for part in pair]
        return Exchange(
            consumer=worker,
            serial=serial,
            nonce=new_nonce(),
            want=want,
            lease_ms=LEASE,
            keep=keep,
            plain=flat,
            settlements=[Settlement(*one) for one in settle],
            **more,
        )

    def send(self, request):
        return self.run(calls.exchange(self.keys, request))

    def take(self, want=1, **more):
        """Reserve: the nonce, and the ids."""
        request = self.request(want, **more)
        return request.nonce, [one.id for one in self.send(request).jobs]

    def settle(self, *settlements, worker="w1", **more):
        """Settle (id, nonce[, outcome, delay_ms, entry]); what was refused."""
        plain = [one for one in settlements if len(one) == 2]
        mixed = [one for one in settlements if len(one) > 2]
        return self.send(self.request(0, plain=plain, settle=mixed, worker=worker, **more)).refused

    def extend(self, *leases):
        return self.run(calls.extend(self.keys, LEASE, leases))

    def recover(self, limit=100, *, max_crashes=3, delays=(10, 40), seed=1):
        return self.run(
            calls.recover(
                self.keys, lease_ms=LEASE, limit=limit, max_crashes=max_crashes, seed=seed, delays_ms=delays
            )
        )

    def note(self, *notes, max_steps=1000, max_logs=1000):
        lines = [NoteLine(*one) for one in notes]
        return self.run(calls.note(self.keys, lines, max_steps=max_steps, max_logs=max_logs))

    # ---- people

    def cancel(self, *ids, reason="enough"):
        entry = b'{"kind":"note","what":"cancelled","reason":"' + reason.encode() + b'"}'
        return self.run(calls.cancel(self.keys, ids, reason=reason, entry=entry))

    def retry(self, state, *ids, forgive=True):
        return self.run(calls.retry(self.keys, state, ids, forgive=forgive))

    def counts(self):
        return self.run(calls.counts(self.keys))

    # ---- looking

    def ids(self, part):
        return [name.decode() for name in self.redis.zrange(self.keys[part], 0, -1)]

    def where(self):
        """Every job that is in a list -> its state; a job in two is an error."""
        found = {}
        for state, part in LISTS.items():
            for name in self.ids(part):
                assert name not in found, f"{name} is in {found[name]} and in {part}"
                found[name] = state.value
        return found

    def scores(self, part):
        found = self.redis.zrange(self.keys[part], 0, -1, withscores=True)
        return {name.decode(): int(score) for name, score in found}

    def hashes(self, *parts):
        """Several hashes in one round trip."""
        pipe = self.redis.pipeline(transaction=False)
        for part in parts:
            pipe.hgetall(self.keys[part])
        found = zip(parts, pipe.execute(), strict=True)
        return {part: {name.decode(): raw for name, raw in one.items()} for part, one in found}

    def attempts(self, name):
        counts = decode_counts(self.redis.hget(self.keys["attempts"], name))
        return counts.runs, counts.unspent, counts.crashes

    def journal(self, name):
        return [dated.entry for dated in decode_journal(self.redis.hget(self.keys["state"], name))]

    def tally(self):
        return {key.decode(): int(value) for key, value in self.redis.hgetall(self.keys["tally"]).items()}

    def stats(self):
        return {key.decode(): value.decode() for key, value in self.redis.hgetall(self.keys["stats"]).items()}

    def recount(self):
        """The tally as it should be: by the records of the jobs in each list."""
        counted = {}
        for name, state in self.where().items():
            record = msgspec.json.decode(self.redis.hget(self.keys["jobs"], name))
            if record[2]:
                field = f"{state}|{record[2]}"
                counted[field] = counted.get(field, 0) + 1
        return counted

    def snapshot(self):
        """The whole queue, for comparing before and after."""
        found = {}
        for key in sorted(self.redis.keys("jr:{q}:*")):
            kind = self.redis.type(key).decode()
            read = {
                "zset": lambda key=key: self.redis.zrange(key, 0, -1, withscores=True),
                "hash": lambda key=key: self.redis.hgetall(key),
                "list": lambda key=key: self.redis.lrange(key, 0, -1),
                "stream": lambda key=key: self.redis.xlen(key),
            }[kind]
            found[key.decode()] = read()
        return found


def link_to(server):
    """A way to a server by a client of the driver; to a cluster by the link that producers have."""
    if getattr(server, "name", "") == "cluster":
        return open_sync_store(parse_url(server.url)).link
    sender = server.client()
    return SyncClientLink(execute(sender), sender.close)


def execute(client):
    """The client's `execute_command`, with replies as the wire has them."""
    client.response_callbacks.clear()
    return client.execute_command


def record(payload=b"{}", *, tenant="t1", priority=10, fingerprint=""):
    return encode_record(priority, tenant, 1, payload, None, fingerprint)


def job(name, when="0", payload=b"{}", **more):
    return NewJob(name, str(when), record(payload, **more))


@pytest.fixture(params=[*BACKENDS, ON_CLUSTER])
def server(request):
    """As the rig's, and on a cluster where that is asked for."""
    return emptied(request.param, request)


@pytest.fixture(params=[*KINDS, ON_CLUSTER])
def real_server(request):
    """As the rig's, and on a cluster where that is asked for."""
    return emptied(request.param, request)


@pytest.fixture
def queue(server):
    """A queue on each kind of server; when its jobs are gone, no key may be left but the permanent ones."""
    bench = Bench(server)
    yield bench
    assert bench.tally() == bench.recount(), "the tally is off"
    names = list(bench.where())
    for start in range(0, len(names), 100):
        bench.run(calls.remove(bench.keys, names[start : start + 100]))
    active = bench.ids("active")
    if not active:
        bench.take(0)
        left = {
            key.decode().rpartition(":")[2] for key in bench.redis.keys("jr:{q}:*") if b":memory:" not in key
        }
        assert left <= {*PERMANENT, "wake"}, f"keys are left: {left}"


@pytest.fixture
def real_queue(real_server):
    """A queue on real servers only: for what an in-memory one cannot do."""
    return Bench(real_server)


WAITING, DELAYED, ACTIVE, COMPLETED, FAILED, CANCELLED, PARKED = [
    state.value
    for state in (
        State.WAITING,
        State.DELAYED,
        State.ACTIVE,
        State.COMPLETED,
        State.FAILED,
        State.CANCELLED,
        State.PARKED,
    )
]


class Talker:
    """Answers each read with the next of its lines, whole or in parts; None closes, and so does the end of the list.

    A part that can be called is called. Between parts it rests for `pause` seconds.
    """

    def __init__(self, *answers, pause=0.0):
        self.answers = list(answers)
        self._pause = pause
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self.connections += 1
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with peer:
                    self._serve(peer)

    def _serve(self, peer):
        with contextlib.suppress(OSError):
            while peer.recv(65536):
                answer = self.answers.pop(0) if self.answers else None
                if answer is None:
                    return
                for part in answer if isinstance(answer, list) else [answer]:
                    if callable(part):
                        part()
                    else:
                        peer.sendall(part)
                    time.sleep(self._pause)

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def serve():
    """Starts servers that say what they are told to say."""
    servers = []

    def start(*answers, pause=0.0):
        servers.append(Talker(*answers, pause=pause))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


KINDS_OF_STORE = pytest.mark.parametrize("kind", ["async", "blocking"])


async def asked(kind, url, questions, *, timeout, between=lambda: None):
    """What each of some calls brings, by an async or a blocking store: an answer, or the error."""
    found = []
    if kind == "async":
        store = open_store(parse_url(url))
        for question in questions:
            try:
                found.append(await store.run(question, timeout))
            except Exception as error:
                found.append(error)
            await asyncio.to_thread(between)
        await store.close()
        return found

    def block():
        store = open_sync_store(parse_url(url), timeout=timeout)
        for question in questions:
            try:
                found.append(store.run(question))
            except Exception as error:
                found.append(error)
            between()
        store.close()

    await asyncio.to_thread(block)
    return found
