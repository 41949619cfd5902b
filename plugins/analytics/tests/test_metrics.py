"""The table: one row a tenant, platform, post, metric and day, in a real SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.dialects import postgresql

from jobrunner import PluginError
from jobrunner_analytics import MetricRow, MetricStore
from jobrunner_analytics.metrics import MetricStoreError, upsert_statement

ROW = MetricRow(
    tenant="acme",
    platform="x",
    post="1",
    metric="likes",
    day=date(2026, 11, 24),
    value=7,
    source="like_count",
    brand=None,
    account="me",
    published_at=None,
    pulled_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
)


def change(**changes: object) -> MetricRow:
    return msgspec.structs.replace(ROW, **changes)


def read(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            "select tenant, platform, post, metric, day, value from metrics order by 1, 2, 3, 4, 5"
        ).fetchall()
    finally:
        connection.close()


async def test_same_key_is_one_row_with_the_last_value(tmp_path: Path) -> None:
    """A retry, or a second pull of the day, doubles nothing."""
    store = MetricStore(f"sqlite:///{tmp_path}/m.db")

    await store.upsert([ROW, change(value=8)])
    await store.upsert([change(value=9)])
    await store.close()

    assert read(tmp_path / "m.db") == [("acme", "x", "1", "likes", "2026-11-24", 9.0)]


@pytest.mark.parametrize(
    "changes",
    [{"tenant": "b"}, {"platform": "y"}, {"post": "2"}, {"metric": "views"}, {"day": date(2026, 11, 25)}],
)
async def test_each_part_of_the_key_tells_rows_apart(tmp_path: Path, changes: dict[str, object]) -> None:
    """The next day is a new row: that is how a curve comes about."""
    store = MetricStore(f"sqlite:///{tmp_path}/m.db")

    await store.upsert([ROW, change(**changes)])
    await store.close()

    assert len(read(tmp_path / "m.db")) == 2


async def test_many_rows_are_written_at_once(tmp_path: Path) -> None:
    """More than a statement takes."""
    store = MetricStore(f"sqlite+aiosqlite:///{tmp_path}/m.db")

    await store.upsert([change(post=str(number)) for number in range(1203)])
    await store.upsert([])
    await store.close()

    assert len(read(tmp_path / "m.db")) == 1203


async def test_two_workers_make_one_table_and_write_side_by_side(tmp_path: Path) -> None:
    """Each has its own connections; a SQLite file lets one write at a time, and the other waits."""
    stores = [MetricStore(f"sqlite:///{tmp_path}/m.db") for _ in range(4)]

    await asyncio.gather(
        *(
            store.upsert([change(post=f"{number}-{n}") for n in range(300)])
            for number, store in enumerate(stores)
        )
    )
    for store in stores:
        await store.close()

    assert len(read(tmp_path / "m.db")) == 1200


def test_file_that_cannot_be_opened_leaves_no_thread_that_outlives_the_loop(tmp_path: Path) -> None:
    """Such a thread writes a traceback over whatever comes next."""

    async def refused() -> None:
        store = MetricStore(f"sqlite:///{tmp_path}/nowhere/m.db")
        with pytest.raises(MetricStoreError):
            await store.upsert([ROW])
        await store.close()

    for _ in range(30):
        with asyncio.Runner() as runner:
            runner.run(refused())
            assert [one.name for one in threading.enumerate() if "_connection_worker" in one.name] == []


async def test_database_that_cannot_be_opened_is_an_error_that_passes(tmp_path: Path) -> None:
    """A volume that is not mounted comes back, so the job is tried again; no value is in the text."""
    store = MetricStore(f"sqlite:///{tmp_path}/nowhere/m.db")

    with pytest.raises(MetricStoreError, match="JOBRUNNER_ANALYTICS_DATABASE_URL") as caught:
        await store.upsert([ROW])
    assert "like_count" not in str(caught.value)

    (tmp_path / "nowhere").mkdir()
    await store.upsert([ROW])
    await store.close()
    assert len(read(tmp_path / "nowhere/m.db")) == 1


@pytest.mark.parametrize(
    "url",
    ["metrics.db", "mysql://root:secret-pw@host/db", "postgresql://u:secret-pw@host:port/db", "sqlite+x://"],
)
def test_address_that_cannot_be_used_stops_the_worker_without_its_password(url: str) -> None:
    """The message goes to a log."""
    with pytest.raises(PluginError, match="JOBRUNNER_ANALYTICS_DATABASE_URL") as caught:
        MetricStore(url)

    assert "secret-pw" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_statement_for_postgresql_writes_over_the_same_key() -> None:
    """The other database has a dialect of its own."""
    text = str(upsert_statement("postgresql").compile(dialect=postgresql.dialect()))

    assert "ON CONFLICT (tenant, platform, post, metric, day) DO UPDATE SET value = excluded.value" in text
