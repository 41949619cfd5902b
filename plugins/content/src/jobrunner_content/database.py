"""Opens the database of the post store: SQLite in a file, or PostgreSQL, with the tables made on first use.

Connections and their setting-up only. Error texts name the place and never a password.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from jobrunner import SettingsError
from jobrunner_content.settings import DATABASE_VARIABLE as VARIABLE
from jobrunner_content.tables import METADATA

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}

BUSY_S = 30.0
"""Seconds that a SQLite connection waits for another one's transaction; ours take milliseconds."""

CONNECT_S = 10
WAL_TRIES = 50
WAL_PAUSE_S = 0.1

TABLES_LOCK = 0x6A6F_6263_6F6E_7465
"""The number of PostgreSQL's advisory lock under which tables are made; it spells "jobconte"."""


class PostStoreError(Exception):
    """The post store cannot be used at the moment; the text says where it is and what it answered."""


@asynccontextmanager
async def open_database(address: str) -> AsyncIterator[AsyncEngine]:
    """Open the database and make the tables that are not there; safe with any number of workers at once.

    Args:
        address: The setting `database_url`.

    Returns:
        An engine, closed at the end.

    Raises:
        SettingsError: The address cannot be used, or its driver is not installed.
        PostStoreError: The database cannot be reached, or refuses.
    """
    url = _read(address)
    engine = _engine(url)
    try:
        async with blaming(url):
            if url.get_backend_name() == "sqlite":
                await _use_wal(url)
            async with engine.begin() as connection:
                await connection.run_sync(_make_tables)
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def blaming(url: URL) -> AsyncIterator[None]:
    """Turn what the database raises into one line that names it.

    Raises:
        PostStoreError: In place of the driver's error.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        told = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        line = " ".join(told.splitlines()[0].split())
        if url.password:
            line = line.replace(str(url.password), "***")
        raise PostStoreError(
            f"the post store {_place(url)} cannot be used ({VARIABLE}): {line[:300]}"
        ) from None


def _read(address: str) -> URL:
    try:
        url = make_url(address)
        port = url.port
    except (ArgumentError, ValueError):
        raise SettingsError(VARIABLE, "it is no address; give sqlite:///FILE or postgresql://...") from None
    if port is not None and not 0 < port < 65_536:
        raise SettingsError(VARIABLE, "its port is none")
    return url.set(drivername=DRIVERS.get(url.get_backend_name(), url.drivername))


def _engine(url: URL) -> AsyncEngine:
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_async_engine(
            url,
            connect_args={"timeout": BUSY_S} if is_sqlite else {"connect_timeout": CONNECT_S},
            pool_pre_ping=not is_sqlite,
            hide_parameters=True,  # a post's text has no place in an error
        )
    except ModuleNotFoundError as error:
        raise SettingsError(
            VARIABLE, f"{error.name} is not installed; run: pip install 'jobrunner-content[postgres]'"
        ) from None
    except (ArgumentError, NoSuchModuleError, TypeError, ValueError):
        raise SettingsError(VARIABLE, "it cannot be used as an address") from None
    if is_sqlite:
        event.listen(engine.sync_engine, "do_connect", _open_once)
        event.listen(engine.sync_engine, "connect", _take_transactions)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _open_once(_: object, __: object, args: Sequence[str], options: Mapping[str, object]) -> None:
    # First without aiosqlite, whose thread writes a traceback where the file cannot be opened.
    sqlite3.connect(*args, **options).close()  # type: ignore[call-overload]  # what the dialect has made of the address


def _take_transactions(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by itself, and late: at the first write, when it can no longer wait.
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def _use_wal(url: URL) -> None:
    """Let readers and a writer of a SQLite file go on side by side; it is a property of the file.

    `synchronous` stays FULL: what a job's step calls written must survive a loss of power.
    """
    for left in reversed(range(WAL_TRIES)):
        try:
            await asyncio.to_thread(_set_wal, str(url.database))
        except sqlite3.OperationalError as error:
            # Changing the mode does not wait for others who do the same, whatever the timeout.
            if "locked" not in str(error) or not left:
                raise
            await asyncio.sleep(WAL_PAUSE_S)
        else:
            return


def _set_wal(file: str) -> None:
    with contextlib.closing(sqlite3.connect(file, timeout=BUSY_S)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _make_tables(connection: Connection) -> None:
    # Looking and making must be one, or two workers that start together both make them. SQLite's transaction
    # holds the file's lock by now.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": TABLES_LOCK})
    METADATA.create_all(connection)


def _place(url: URL) -> str:
    # Without user and query, which can hold a password, too.
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = f"{url.host or 'localhost'}:{url.port}" if url.port else url.host or "localhost"
    return f"{host}/{url.database or ''}"
