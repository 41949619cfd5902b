"""A post store in the test's folder, a sandbox for the chat endpoint, and PostgreSQL where this machine has it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jobrunner_content import PostStore, open_poststore
from jobrunner_sandbox import SandboxServer

# Test files are imported by their path, so the modules that they share are found only if their folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from content_desk import Desk
from content_postgres import Postgres, PostgresMissingError


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'posts.db'}"


@pytest.fixture
async def posts(database: str) -> AsyncIterator[PostStore]:
    async with open_poststore(database) as store:
        yield store


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer.in_thread() as server:
        yield server


@pytest.fixture
def desk(database: str, sandbox: SandboxServer) -> Desk:
    return Desk(database=database, openai_url=sandbox.services()["openai"])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres()
    except PostgresMissingError as error:
        pytest.skip(str(error))
    with server:
        yield server
