"""Pytest fixtures for tests that need a store, a server of their own, a fault proxy or real processes.

Servers of `server` are started once in each test process, when the first test asks, and emptied before each
test; what a test breaks on purpose it starts with `start_server`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from rig.backends import BACKENDS, Backend, BackendName, ClusterBackend, FakeBackend, RealBackend
from rig.bull import Bull, MissingError, install
from rig.processes import Process
from rig.proxy import FaultProxy
from rig.sentinels import SentinelSetup
from rig.servers import KINDS, Kind, Server, ServerMissingError, ServerOptions, find_binary, missing_servers
from rig.topologies import Cluster
from rig.wall_clock import ClockMissingError, WallClock


class StartServer(Protocol):
    """Starts a server that ends with the test."""

    def __call__(self, kind: Kind | None = None, options: ServerOptions | None = None) -> Server:
        """Start one, of the first kind that this machine has if none is named; skip the test if it has none."""


class StartProcess(Protocol):
    """Starts a process that ends with the test."""

    def __call__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start one; its output goes to a file in the test's folder."""


def pytest_report_header() -> list[str]:
    """Say at the start of a run which servers its tests will do without."""
    missing = missing_servers()
    found = [kind for kind in KINDS if kind not in missing]
    return [f"servers: {', '.join(found) or 'none'}", *(f"skipped: {reason}" for reason in missing.values())]


def _binary_or_skip(kind: Kind) -> Path:
    try:
        return find_binary(kind)
    except ServerMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Server]]:
    """Return a function that gives this test process's server of a kind, the same each time."""
    servers: dict[Kind, Server] = {}

    def get(kind: Kind) -> Server:
        if kind not in servers:
            servers[kind] = Server(_binary_or_skip(kind), folder=tmp_path_factory.mktemp(kind))
        elif not servers[kind].alive:
            servers[kind].restart()
        return servers[kind]

    yield get
    for server in servers.values():
        server.stop()


ON_CLUSTER = pytest.param("cluster", marks=[pytest.mark.cluster, pytest.mark.xdist_group("cluster")])
"""The parameter of what also runs on a cluster; one process does it, since each would start six servers."""


def emptied_cluster(request: pytest.FixtureRequest) -> ClusterBackend:
    """Give this test process's cluster, empty."""
    cluster: Cluster = request.getfixturevalue("shared_cluster")
    cluster.empty()
    return ClusterBackend(cluster)


def emptied(name: BackendName, request: pytest.FixtureRequest) -> Backend:
    """Give a backend, empty: in memory, this test process's server of a kind, or its cluster."""
    if name == "fakeredis":
        return FakeBackend()
    if name == "cluster":
        return emptied_cluster(request)
    real: Server = request.getfixturevalue("shared_server")(name)
    with real.client() as client:
        client.flushall()
        client.script_flush()
    return RealBackend(name, real)


@pytest.fixture(params=BACKENDS)
def server(request: pytest.FixtureRequest) -> Backend:
    """Run the test on fakeredis and on each real server, empty at its start."""
    return emptied(request.param, request)


@pytest.fixture(params=KINDS)
def real_server(request: pytest.FixtureRequest) -> Server:
    """Run the test on each real server, empty at its start."""
    backend = emptied(request.param, request)
    assert isinstance(backend, RealBackend)
    return backend.server


@pytest.fixture(params=["valkey", ON_CLUSTER])
def store_server(
    request: pytest.FixtureRequest, shared_server: Callable[[Kind], Server]
) -> Server | ClusterBackend:
    """Run the test on one kind of server, empty at its start; on a cluster where that is asked for."""
    if request.param == "cluster":
        return emptied_cluster(request)
    server = shared_server("valkey")
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Return a function that starts a server for this test alone."""
    with ExitStack() as started:
        count = 0

        def start(kind: Kind | None = None, options: ServerOptions | None = None) -> Server:
            nonlocal count
            count += 1
            here = [name for name in KINDS if name not in missing_servers()]
            binary = _binary_or_skip(kind or (here or KINDS)[0])
            return started.enter_context(Server(binary, folder=tmp_path / f"server-{count}", options=options))

        yield start


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Return a function that starts a cluster for this test alone; it takes `Cluster`'s options and a kind."""
    with ExitStack() as started:

        def start(kind: Kind = "valkey", **options: Any) -> Cluster:
            return started.enter_context(
                Cluster(_binary_or_skip(kind), folder=tmp_path / "cluster", **options)
            )

        yield start


@pytest.fixture
def start_sentinels(tmp_path: Path) -> Iterator[Callable[..., SentinelSetup]]:
    """Return a function that starts a primary, a replica and Sentinels for this test alone."""
    with ExitStack() as started:

        def start(kind: Kind = "valkey", **options: Any) -> SentinelSetup:
            folder = tmp_path / "sentinels"
            return started.enter_context(SentinelSetup(_binary_or_skip(kind), folder=folder, **options))

        yield start


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start this test process's cluster of three primaries with a replica each, when the first test asks."""
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster(_binary_or_skip("valkey"), folder=folder, replicas=1) as cluster:
        yield cluster


@pytest.fixture
def start_proxy() -> Iterator[Callable[[str], FaultProxy]]:
    """Return a function that puts a fault proxy before a server's URL."""
    with ExitStack() as started:
        yield lambda url: started.enter_context(FaultProxy(url))


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[StartProcess]:
    """Return a function that starts a real process, which is killed at the test's end if it still runs."""
    with ExitStack() as started:
        count = 0

        def start(
            command: Sequence[str | Path],
            *,
            env: Mapping[str, str] | None = None,
            cwd: Path | None = None,
        ) -> Process:
            nonlocal count
            count += 1
            log = tmp_path / f"process-{count}.log"
            return started.enter_context(Process(command, log=log, env=env, cwd=cwd))

        yield start


@pytest.fixture(scope="session")
def bullmq_folder(request: pytest.FixtureRequest) -> Path:
    """Where npm put BullMQ, kept between runs in pytest's cache; skip the test where it cannot be had."""
    assert request.config.cache is not None
    try:
        return install(request.config.cache.mkdir("bullmq"))
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def start_bull(bullmq_folder: Path) -> Iterator[Callable[..., Bull]]:
    """Return a function that starts a process with a version of BullMQ on a server."""
    with ExitStack() as started:

        def start(server: Server, package: str = "bullmq5", prefix: str = "bull") -> Bull:
            return started.enter_context(Bull(bullmq_folder, package, server.port, prefix))

        yield start


@pytest.fixture
def wall_clock(tmp_path: Path) -> WallClock:
    """A wall clock for the servers that are started with its `environ`; skip the test where none can be put wrong."""
    try:
        return WallClock(tmp_path)
    except ClockMissingError as error:
        pytest.skip(str(error))
