"""The table `metrics`: one row a tenant, platform, post, metric and day, written again as often as it is pulled.

Writes figures and makes its table. Never reads a figure, and never deletes one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy import Column, Date, DateTime, Double, Index, MetaData, String, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from jobrunner import PluginError
from jobrunner_analytics.failures import clip
from jobrunner_analytics.settings import DATABASE_VARIABLE as VARIABLE

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
BATCH = 500
"""Rows a statement: far below the parameters that either database takes."""

BUSY_S = 30.0
"""Seconds that a writer waits for another one's transaction on a SQLite file."""

METADATA = MetaData()
TABLE = Table(
    "metrics",
    METADATA,
    Column("tenant", String(128), primary_key=True),
    Column("platform", String(32), primary_key=True),
    Column("post", String(300), primary_key=True),
    Column("metric", String(200), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("value", Double, nullable=False),
    Column("source", String(200), nullable=False),
    Column("brand", String(200)),
    Column("account", String(200), nullable=False),
    Column("published_at", DateTime(timezone=True)),
    Column("pulled_at", DateTime(timezone=True), nullable=False),
)
INDEX = Index("metrics_by_day", TABLE.c.tenant, TABLE.c.day)
KEY = tuple(column.name for column in TABLE.primary_key.columns)


class MetricRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one post on one day.

    Args:
        tenant: Whose post it is.
        platform: The platform's name in lower case.
        post: The platform's id of the post.
        metric: The metric's name as it was asked for.
        day: The day of the pull, in UTC.
        value: The value at the time of the pull.
        source: What the platform calls the metric.
        brand: The account's brand, None for none.
        account: The account.
        published_at: When the post was published, None where nobody told.
        pulled_at: When the value was read.
    """

    tenant: str
    platform: str
    post: str
    metric: str
    day: date
    value: float
    source: str
    brand: str | None
    account: str
    published_at: datetime | None
    pulled_at: datetime


class MetricStoreError(Exception):
    """The table cannot be written at the moment; the text names the database's complaint, and no value."""


class MetricStore:
    """The table, in a SQLite file or in PostgreSQL.

    Args:
        url: The database's address.

    Raises:
        PluginError: The address cannot be used, or its driver is not installed. The text never shows it.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._ready = False
        self._making = asyncio.Lock()

    async def upsert(self, rows: Sequence[MetricRow]) -> None:
        """Write rows in one transaction, over those of the same key.

        Args:
            rows: Any number; of two with the same key the later one counts.

        Raises:
            MetricStoreError: The database cannot be reached, or refuses; nothing was written.
        """
        unique = {tuple(getattr(row, name) for name in KEY): row for row in rows}
        # In the order of the key: two writers that lock the same rows in one order never wait for each other.
        values = [msgspec.structs.asdict(unique[key]) for key in sorted(unique)]
        if not values:
            return
        statement = upsert_statement(self._engine.dialect.name)
        try:
            await self._make()
            async with self._engine.begin() as connection:
                for start in range(0, len(values), BATCH):
                    await connection.execute(statement, values[start : start + BATCH])
        except (SQLAlchemyError, OSError) as error:
            # The driver's own words: SQLAlchemy's hold the statement and its values.
            cause = error.orig if isinstance(error, DBAPIError) else error
            described = f"{type(cause).__name__}: {clip(str(cause))}"
            raise MetricStoreError(f"the table metrics cannot be written ({VARIABLE}): {described}") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    async def _make(self) -> None:
        """Make the table where it is not there; several workers may do so at once."""
        async with self._making:
            if self._ready:
                return
            try:
                await self._create()
            except (IntegrityError, ProgrammingError):
                # PostgreSQL's IF NOT EXISTS does not keep two sessions from making one name at the same moment.
                await self._create()
            self._ready = True

    async def _create(self) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(CreateTable(TABLE, if_not_exists=True))
            await connection.execute(CreateIndex(INDEX, if_not_exists=True))


def upsert_statement(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Return the statement that writes rows over those of the same key, for `sqlite` or `postgresql`."""
    insert = postgresql.insert(TABLE) if dialect == "postgresql" else sqlite.insert(TABLE)
    changing = {
        column.name: insert.excluded[column.name] for column in TABLE.columns if column.name not in KEY
    }
    return insert.on_conflict_do_update(index_elements=list(KEY), set_=changing)


def _engine(url: str) -> AsyncEngine:
    address = _address(url)
    options = {"timeout": BUSY_S} if address.get_backend_name() == "sqlite" else {}
    try:
        engine = create_async_engine(address, connect_args=options, pool_pre_ping=bool(address.host))
    except ImportError:
        raise PluginError(f"{VARIABLE} names PostgreSQL: install jobrunner-analytics[postgres]") from None
    if options:
        event.listen(engine.sync_engine, "do_connect", _open_once)
    return engine


def _open_once(_: object, __: object, args: Sequence[str], options: Mapping[str, object]) -> None:
    """Open the file first without aiosqlite, whose thread writes a traceback where it cannot be opened."""
    sqlite3.connect(*args, **options).close()  # type: ignore[call-overload]  # what the dialect has made of the address


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        # Not the text itself, nor SQLAlchemy's: either could show a password.
        raise PluginError(f"{VARIABLE} is not an address such as sqlite:///metrics.db") from None
    driver = DRIVERS.get(address.drivername, address.drivername)
    if driver not in DRIVERS.values():
        raise PluginError(f"{VARIABLE} must begin with sqlite:// or postgresql://")
    return address.set(drivername=driver)
