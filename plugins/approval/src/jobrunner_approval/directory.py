"""The approvers' table: who approves for which tenant, and how they are reached.

SQLAlchemy Core over SQLite or PostgreSQL. The table is made when it is first used. Always asked within one tenant,
but by the operator who lists all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateTable

from jobrunner import SettingsError
from jobrunner_approval.approver import Approver
from jobrunner_approval.settings import DATABASE_VARIABLE as VARIABLE
from jobrunner_approval.settings import ApprovalSettings

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}

LOCK_WAIT_S = 30.0
"""Seconds that SQLite waits for another process that writes, such as an import."""

BATCH = 500
"""Rows of one statement: SQLite takes 32,766 parameters, and PostgreSQL as many."""

TABLE = sa.Table(
    "jobrunner_approvers",
    sa.MetaData(),
    sa.Column("tenant_id", sa.String(128), primary_key=True),
    sa.Column("approver_id", sa.String(128), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, server_default=""),
    sa.Column("email", sa.String(254), nullable=False, server_default=""),
    sa.Column("phone", sa.String(16), nullable=False, server_default=""),
)
KEY = ("tenant_id", "approver_id")
VALUES = ("name", "email", "phone")


class DirectoryError(Exception):
    """The table cannot be read or written at the moment; the text is one line."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What an import does: approvers that are new, that change, and that are there already as they are."""

    created: int
    updated: int
    unchanged: int


class Directory:
    """The approvers' table.

    Args:
        engine: Where it is.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._is_made = False

    async def find(self, tenant_id: str, approver_ids: Sequence[str]) -> dict[str, Approver]:
        """Look up approvers of one tenant.

        Args:
            tenant_id: The tenant.
            approver_ids: At most a few hundred.

        Returns:
            Id -> approver; those that the tenant does not have are not in it.

        Raises:
            DirectoryError: The table cannot be read at the moment.
        """
        wanted = sa.and_(TABLE.c.tenant_id == tenant_id, TABLE.c.approver_id.in_(approver_ids))
        async with self._connected() as connection:
            rows = await connection.execute(sa.select(TABLE).where(wanted))
            return {row.approver_id: _approver(row) for row in rows}

    async def all(self, tenant_id: str | None = None) -> list[Approver]:
        """Return the approvers of a tenant, or of all, by tenant and id.

        Raises:
            DirectoryError: The table cannot be read at the moment.
        """
        query = sa.select(TABLE).order_by(TABLE.c.tenant_id, TABLE.c.approver_id)
        async with self._connected() as connection:
            rows = await connection.execute(
                query if tenant_id is None else query.where(TABLE.c.tenant_id == tenant_id)
            )
            return [_approver(row) for row in rows]

    async def save(self, approvers: Iterable[Approver], *, dry_run: bool = False) -> Saved:
        """Write approvers, all or none: new ones are added, those that are there are changed.

        Args:
            approvers: Each tenant and id once.
            dry_run: Only count.

        Raises:
            DirectoryError: The table cannot be written at the moment; it is as it was.
        """
        created = updated = unchanged = 0
        waiting = iter(approvers)
        async with self._connected() as connection:
            while batch := list(islice(waiting, BATCH)):
                known = await self._known(connection, batch)
                changed = [one for one in batch if known.get((one.tenant_id, one.approver_id)) != one]
                there = sum((one.tenant_id, one.approver_id) in known for one in changed)
                created, updated = created + len(changed) - there, updated + there
                unchanged += len(batch) - len(changed)
                if changed and not dry_run:
                    await connection.execute(self._upsert(changed))
        return Saved(created=created, updated=updated, unchanged=unchanged)

    async def remove(self, tenant_id: str, approver_ids: Sequence[str]) -> int:
        """Delete approvers of one tenant, and return how many were there.

        Raises:
            DirectoryError: The table cannot be written at the moment.
        """
        gone = sa.and_(TABLE.c.tenant_id == tenant_id, TABLE.c.approver_id.in_(approver_ids))
        async with self._connected() as connection:
            return int((await connection.execute(sa.delete(TABLE).where(gone))).rowcount)

    async def _known(
        self, connection: AsyncConnection, batch: Sequence[Approver]
    ) -> dict[tuple[str, str], Approver]:
        keys = [(one.tenant_id, one.approver_id) for one in batch]
        rows = await connection.execute(
            sa.select(TABLE).where(sa.tuple_(TABLE.c.tenant_id, TABLE.c.approver_id).in_(keys))
        )
        return {(row.tenant_id, row.approver_id): _approver(row) for row in rows}

    def _upsert(self, approvers: Sequence[Approver]) -> sa.sql.dml.Insert:
        rows = [msgspec.structs.asdict(one) for one in approvers]
        if self._engine.dialect.name == "postgresql":
            to_postgresql = postgresql.insert(TABLE).values(rows)
            return to_postgresql.on_conflict_do_update(
                index_elements=KEY, set_={name: to_postgresql.excluded[name] for name in VALUES}
            )
        to_sqlite = sqlite.insert(TABLE).values(rows)
        return to_sqlite.on_conflict_do_update(
            index_elements=KEY, set_={name: to_sqlite.excluded[name] for name in VALUES}
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction, which is committed at the end and rolled back on an error."""
        try:
            if not self._is_made:
                await self._make()
            async with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            text = " ".join(f"{type(cause).__name__}: {cause}".split())[:300]
            raise DirectoryError(f"the approvers' table cannot be used ({VARIABLE}): {text}") from None

    async def _make(self) -> None:
        try:
            await self._create()
        except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
            # PostgreSQL: two processes made it at the same moment, and the other one was first with the table or its type.
            await self._create()
        self._is_made = True

    async def _create(self) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(CreateTable(TABLE, if_not_exists=True))


@asynccontextmanager
async def open_directory(settings: ApprovalSettings) -> AsyncIterator[Directory]:
    """Open the table, and close its connections at the end. Nothing is connected before it is first used.

    Args:
        settings: The plugin's settings.

    Raises:
        SettingsError: The address cannot be read, or its driver is not installed.
    """
    try:
        url = sa.make_url(settings.database_url)
        driver = DRIVERS[url.drivername]
        more = {"timeout": LOCK_WAIT_S} if driver.startswith("sqlite") else {}
        engine = create_async_engine(
            url.set(drivername=driver), connect_args=more, hide_parameters=True, pool_pre_ping=True
        )
    except (ArgumentError, KeyError, ValueError):
        raise SettingsError(
            VARIABLE, "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from None
    except ModuleNotFoundError as error:
        raise SettingsError(
            VARIABLE, f"{error.name} is not installed: pip install 'jobrunner-approval[postgres]'"
        ) from None
    if driver == DRIVERS["sqlite"]:
        sa.event.listen(engine.sync_engine, "do_connect", _open_once)
    try:
        yield Directory(engine)
    finally:
        await engine.dispose()


def _open_once(_: object, __: object, args: Sequence[str], options: Mapping[str, object]) -> None:
    """Open the file first without aiosqlite, whose thread writes a traceback where it cannot be opened."""
    sqlite3.connect(*args, **options).close()  # type: ignore[call-overload]  # what the dialect has made of the address


def _approver(row: sa.Row[tuple[object, ...]]) -> Approver:
    return Approver(
        tenant_id=row.tenant_id, approver_id=row.approver_id, name=row.name, email=row.email, phone=row.phone
    )
