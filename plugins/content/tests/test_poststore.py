"""The post store on SQLite and on PostgreSQL: what is written once, what is kept, and how it fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import msgspec
import pytest

from jobrunner import SettingsError
from jobrunner_content import Post, PostChangedError, PostStore, PostStoreError, PostText, open_poststore

ON_POSTGRES = pytest.mark.xdist_group("postgres")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=ON_POSTGRES)])
def address(request: pytest.FixtureRequest, database: str) -> str:
    return database if request.param == "sqlite" else request.getfixturevalue("postgres").database()


@pytest.fixture
async def store(address: str) -> AsyncIterator[PostStore]:
    async with open_poststore(address) as opened:
        yield opened


def make_text(hook: str = "One chair", **changes: object) -> PostText:
    return PostText(
        **{"hook": hook, "body": "東京 \u2615\ufe0f\n\nForty hours.", "hashtags": ("oak",), **changes}
    )


def make_post(**changes: object) -> Post:
    fields = {
        "tenant_id": "acme",
        "post_id": "december-001",
        "brand_id": "brand-123",
        "platform": "x",
        "day": date(2024, 12, 31),
        "number": 1,
        "topic": "chairs",
        "tone": "",
        "wanted_hashtags": ("newin",),
        "text": make_text(),
        "job_id": "december",
        **changes,
    }
    return Post(**fields)


async def test_post_is_found_as_it_was_added(store: PostStore) -> None:
    """Whatever is written, in any script, comes back."""
    post = make_post()

    assert await store.add(post) == post
    assert await store.find("acme", "december-001") == post


async def test_post_is_its_tenants(store: PostStore) -> None:
    """Two tenants may use one id, and neither sees the other's."""
    await store.add(make_post())

    assert await store.find("globex", "december-001") is None
    await store.add(make_post(tenant_id="globex", text=make_text("Another")))
    ours = await store.find("acme", "december-001")
    assert ours is not None
    assert ours.text.hook == "One chair"


async def test_post_that_is_there_is_left_as_it_is(store: PostStore) -> None:
    """A second attempt, or a frozen worker that comes back, must not write over what was written since."""
    await store.add(make_post())

    kept = await store.add(make_post(text=make_text("Too late")))

    assert kept.text.hook == "One chair"
    assert await store.find("acme", "december-001") == kept


async def test_many_who_add_the_same_post_get_the_same_one(store: PostStore) -> None:
    """At once, as after a lease that ran out while its worker went on."""
    texts = [make_text(f"Hook {number}") for number in range(8)]

    kept = await asyncio.gather(*(store.add(make_post(text=text)) for text in texts))

    assert len({post.text.hook for post in kept}) == 1


async def test_replaced_text_keeps_the_former_one(store: PostStore) -> None:
    """People want to go back."""
    post = await store.add(make_post())

    version = await store.replace(post, make_text("New"), part="hook", job_id="again-1")
    now = await store.find("acme", "december-001")
    assert now is not None
    again = await store.replace(now, make_text("Newer"), part="full", job_id="again-2")

    assert (version, again) == (2, 3)
    assert [text.hook for text in await store.former("acme", "december-001")] == ["One chair", "New"]
    newest = await store.find("acme", "december-001")
    assert newest is not None
    assert (newest.text.hook, newest.version, newest.job_id) == ("Newer", 3, "again-2")


async def test_job_replaces_a_text_once(store: PostStore) -> None:
    """Also when it read the post before its own change, as a second attempt of it did."""
    post = await store.add(make_post())
    await store.replace(post, make_text("New"), part="hook", job_id="again-1")
    now = await store.find("acme", "december-001")
    assert now is not None

    for read in (post, now):
        assert await store.replace(read, make_text("Twice"), part="hook", job_id="again-1") == 2

    assert await store.replacement("acme", "december-001", job_id="again-1") == 2
    assert await store.replacement("acme", "december-001", job_id="again-2") is None
    assert len(await store.former("acme", "december-001")) == 1
    assert await store.find("acme", "december-001") == now


async def test_text_that_changed_since_it_was_read_is_not_written_over(store: PostStore) -> None:
    """Two rewrite one post: the second has to look at what the first made of it."""
    post = await store.add(make_post())

    outcomes = await asyncio.gather(
        *(
            store.replace(post, make_text(f"By {job}"), part="full", job_id=job)
            for job in ("a", "b", "c", "d")
        ),
        return_exceptions=True,
    )

    assert outcomes.count(2) == 1
    assert sum(isinstance(outcome, PostChangedError) for outcome in outcomes) == 3
    assert len(await store.former("acme", "december-001")) == 1


async def test_posts_are_there_when_the_store_is_opened_again(address: str) -> None:
    """The tables are made where there are none, and left alone where there are."""
    async with open_poststore(address) as first:
        await first.add(make_post())
    async with open_poststore(address) as second:
        assert await second.find("acme", "december-001") == make_post()


SEVERAL = """
import asyncio, sys
import msgspec
from datetime import date
from jobrunner_content import Post, PostText, open_poststore

async def main(address, number):
    async with open_poststore(address) as store:
        for count in range(20):
            text = PostText(hook=f"{number}", body="", hashtags=())
            await store.add(Post(tenant_id="acme", post_id=f"{number}-{count}", brand_id="b", platform="x",
                day=date(2024, 1, 1), number=1, topic="", tone="", wanted_hashtags=(), text=text, job_id="j"))

sys.stdin.readline()
asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.long
def test_several_workers_may_start_at_once(address: str) -> None:
    """A deployment starts them in the same second, before there is a file or a table."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SEVERAL, address, str(number)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for worker in workers:  # all are up by now or soon, and begin at the same word
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    errors = [worker.communicate()[1] for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * 4, errors

    async def found() -> list[Post | None]:
        async with open_poststore(address) as store:
            return [await store.find("acme", f"{number}-19") for number in range(4)]

    assert None not in asyncio.run(found())


async def test_sqlite_file_is_in_wal_mode(database: str, posts: PostStore) -> None:
    """Or each look at it would wait for a writer."""
    import sqlite3

    await posts.add(make_post())
    connection = sqlite3.connect(database.removeprefix("sqlite:///"))
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_database_that_is_away_is_told_in_one_line_without_its_password(tmp_path: Path) -> None:
    """The line ends up in a log; the password must not."""
    away = f"postgresql://worker:hunter2222@/posts?host={tmp_path}&application_name=hunter2222"
    for address in (f"sqlite:///{tmp_path / 'no-such-folder' / 'posts.db'}", away):
        with pytest.raises(PostStoreError, match="JOBRUNNER_CONTENT_DATABASE_URL") as caught:
            async with open_poststore(address):
                pass
        assert "hunter2222" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_file_that_cannot_be_opened_leaves_no_thread_that_outlives_the_loop(tmp_path: Path) -> None:
    """Such a thread writes a traceback over whatever comes next; a command ends right after its error."""

    async def refused() -> None:
        with pytest.raises(PostStoreError):
            async with open_poststore(f"sqlite:///{tmp_path / 'no-such-folder' / 'posts.db'}"):
                pass

    for _ in range(30):
        with asyncio.Runner() as runner:
            runner.run(refused())
            assert [one.name for one in threading.enumerate() if "_connection_worker" in one.name] == []


@pytest.mark.parametrize(
    "address",
    ["postgresql://worker:hunter2222@host:port/posts", "postgresql://worker:hunter2222@host:99999/posts"],
)
async def test_address_that_is_none_names_the_variable(address: str) -> None:
    """And shows nothing of it."""
    with pytest.raises(SettingsError, match="JOBRUNNER_CONTENT_DATABASE_URL") as caught:
        async with open_poststore(address):
            pass
    assert "hunter2222" not in str(caught.value)


def test_missing_driver_says_what_to_install() -> None:
    """SQLite's comes with the plugin, PostgreSQL's is an extra."""
    code = (
        "import sys, asyncio; sys.modules['psycopg'] = None\n"
        "from jobrunner_content import open_poststore\n"
        "async def main():\n"
        "    async with open_poststore('postgresql://host/posts'): pass\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'jobrunner-content[postgres]'" in done.stderr.splitlines()[-1]


async def test_error_of_the_database_shows_no_text_of_a_post(posts: PostStore) -> None:
    """Drivers like to quote the whole statement with its values."""
    broken = msgspec.structs.replace(make_post(), number=None)

    with pytest.raises(PostStoreError) as caught:
        await posts.add(broken)
    assert "Forty hours" not in str(caught.value)
