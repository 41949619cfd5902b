"""The approvers' table, in a real SQLite file and, where it is installed, in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from pg_server import postgresql

from jobrunner import SettingsError
from jobrunner_approval import ApprovalSettings, Approver, Directory, open_directory
from jobrunner_approval.directory import DirectoryError


def make(approver_id: str, tenant_id: str = "acme", **more: str) -> Approver:
    return Approver(tenant_id=tenant_id, approver_id=approver_id, **{"email": "a@b.example", **more})


async def test_approvers_are_found_within_their_tenant(directory: Directory) -> None:
    """The same id is another person elsewhere."""
    found = await directory.find("acme", ["ana", "bo", "stranger"])
    other = await directory.find("other", ["ana", "bo"])

    assert set(found) == {"ana", "bo"}
    assert found["ana"].phone == "+4915123456789"
    assert {one.email for one in other.values()} == {"ana@other.example"}


async def test_save_adds_changes_and_leaves_alone(directory: Directory) -> None:
    """An import can be run again and again, and removes nobody."""
    before = await directory.all("acme")
    news = [before[0], make("bo", name="Bo B."), make("new")]

    dry = await directory.save(news, dry_run=True)
    untouched = await directory.all("acme")
    saved = await directory.save(news)

    assert dry == saved
    assert (saved.created, saved.updated, saved.unchanged) == (1, 1, 1)
    assert untouched == before
    after = {one.approver_id: one for one in await directory.all("acme")}
    assert (after["bo"].name, after["new"], len(after)) == ("Bo B.", make("new"), len(before) + 1)


async def test_save_of_many_is_all_or_none(directory: Directory) -> None:
    """The table refuses a row of the second batch, and the first one must not stay."""
    before = await directory.all()
    rows = [make(f"n{number}") for number in range(700)]
    rows[650] = make("n650", email=None)  # type: ignore[arg-type]  # what the table refuses

    with pytest.raises(DirectoryError):
        await directory.save(rows)

    assert await directory.all() == before
    saved = await directory.save(rows[:650])
    assert saved.created == 650


async def test_remove_takes_those_of_one_tenant(directory: Directory) -> None:
    """And says how many there were."""
    assert await directory.remove("acme", ["ana", "stranger"]) == 1

    assert await directory.find("acme", ["ana"]) == {}
    assert set(await directory.find("other", ["ana"])) == {"ana"}


async def test_names_of_any_form_are_data(directory: Directory) -> None:
    """Quotes, percents and colons are no SQL."""
    evil = make("x'; DROP TABLE jobrunner_approvers; --", name="%s :name {0} \"'")
    await directory.save([evil])

    assert (await directory.find("acme", [evil.approver_id])) == {evil.approver_id: evil}


async def test_workers_that_start_together_make_one_table(tmp_path: Path) -> None:
    """The first job of each finds no table."""
    settings = ApprovalSettings(database_url=f"sqlite:///{tmp_path / 'new.db'}")

    async def use(number: int) -> int:
        async with open_directory(settings) as directory:
            return (await directory.save([make(f"a{number}")])).created

    created = await asyncio.gather(*(use(number) for number in range(5)))

    assert created == [1] * 5


async def test_reader_waits_for_an_import_that_is_writing(
    directory: Directory, settings: dict[str, object]
) -> None:
    """SQLite locks the file for a moment; a job must not fail by it."""
    path = str(settings["database_url"]).removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    reading = asyncio.create_task(directory.find("acme", ["ana"]))
    done, _ = await asyncio.wait({reading}, timeout=0.2)
    other.execute("COMMIT")
    other.close()

    assert not done
    assert set(await reading) == {"ana"}


async def test_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    """It names the variable and not the rows."""
    path = tmp_path / "text.db"
    path.write_text("no database" * 1000)

    async with open_directory(ApprovalSettings(database_url=f"sqlite:///{path}")) as directory:
        with pytest.raises(DirectoryError, match="JOBRUNNER_APPROVAL_DATABASE_URL") as caught:
            await directory.find("acme", ["ana"])

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///a.db", "postgresql+pg8000://u:hunter2@host/db"])
async def test_address_that_cannot_be_used_is_named_and_not_shown(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(SettingsError, match="JOBRUNNER_APPROVAL_DATABASE_URL") as caught:
        async with open_directory(ApprovalSettings(database_url=url)):
            pass
    assert "hunter2" not in str(caught.value)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        if url is None:
            pytest.skip("PostgreSQL is not installed here")
        yield url


@pytest.mark.xdist_group("postgresql")
async def test_postgresql_does_all_of_it(server: str) -> None:
    """The statements that SQLite has in words of its own: the table, the upsert, pairs of keys, a deletion."""
    async with open_directory(ApprovalSettings(database_url=server)) as directory:
        created = await directory.save(make(f"a{number}") for number in range(700))
        changed = await directory.save([make("a1", name="x'; --"), make("a2"), make("b", tenant_id="other")])
        found = await directory.find("acme", ["a1", "a2", "b"])
        removed = await directory.remove("acme", ["a1", "b"])
        left = await directory.all()

    assert created.created == 700
    assert (changed.created, changed.updated, changed.unchanged) == (1, 1, 1)
    assert found == {"a1": make("a1", name="x'; --"), "a2": make("a2")}
    assert (removed, len(left)) == (1, 700)


@pytest.mark.xdist_group("postgresql")
async def test_postgresql_workers_that_start_together_make_one_table(server: str) -> None:
    """CREATE TABLE IF NOT EXISTS can fail there, when two do it at the same moment."""
    async with open_directory(ApprovalSettings(database_url=server)) as directory:
        await directory.save([])
        async with directory._engine.begin() as connection:
            await connection.execute(sa.text("DROP TABLE jobrunner_approvers"))

    async def use(number: int) -> int:
        async with open_directory(ApprovalSettings(database_url=server)) as directory:
            return (await directory.save([make(f"a{number}")])).created

    assert await asyncio.gather(*(use(number) for number in range(8))) == [1] * 8


@pytest.mark.xdist_group("postgresql")
async def test_postgresql_that_is_away_is_one_line(tmp_path: Path) -> None:
    """A job is then tried again."""
    url = f"postgresql://u:hunter2@/db?host={tmp_path}"
    async with open_directory(ApprovalSettings(database_url=url)) as directory:
        with pytest.raises(DirectoryError, match="JOBRUNNER_APPROVAL_DATABASE_URL") as caught:
            await directory.find("acme", ["ana"])

    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
