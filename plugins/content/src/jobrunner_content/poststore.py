"""The posts: found, added and rewritten, each once however often a job asks for it.

The only code that reads or writes the tables. Decides nothing about texts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, cast

import msgspec
from sqlalchemy import ColumnElement, CursorResult, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from jobrunner_content.database import blaming, open_database
from jobrunner_content.payload import Part
from jobrunner_content.tables import POSTS, VERSIONS
from jobrunner_content.text import PostText


class PostChangedError(Exception):
    """The post was rewritten by another job since it was read; reading it again and starting over helps."""


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A post as it is kept.

    Args:
        tenant_id: Whose post it is.
        post_id: Its id, the tenant's own.
        brand_id: The brand that it is for.
        platform: The platform, in lower case.
        day: The day that it is for.
        number: Which of its month's posts it is, from 1.
        topic: What it is about, empty if nobody said.
        tone: How it is to sound, empty likewise.
        wanted_hashtags: What each of its texts is to carry.
        text: What it says.
        version: 1, and one more with each rewriting.
        job_id: The job that wrote this version.
    """

    tenant_id: str
    post_id: str
    brand_id: str
    platform: str
    day: date
    number: int
    topic: str
    tone: str
    wanted_hashtags: tuple[str, ...]
    text: PostText
    version: int = 1
    job_id: str


class PostStore:
    """The post store, open.

    Args:
        engine: The database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, tenant_id: str, post_id: str) -> Post | None:
        """Return a tenant's post, None if the tenant has none of that id.

        Raises:
            PostStoreError: The database cannot be used.
        """
        async with self._transaction() as connection:
            return await _find(connection, tenant_id, post_id)

    async def former(self, tenant_id: str, post_id: str) -> list[PostText]:
        """Return a post's former texts, oldest first, empty if it was never rewritten.

        Raises:
            PostStoreError: The database cannot be used.
        """
        wanted = select(VERSIONS).where(_is(VERSIONS, tenant_id, post_id)).order_by(VERSIONS.c.version)
        async with self._transaction() as connection:
            return [_text(row) for row in (await connection.execute(wanted)).mappings()]

    async def add(self, post: Post) -> Post:
        """Add a post; one of its tenant and id that is there already is left as it is.

        Args:
            post: The post, of version 1.

        Returns:
            The post as it is kept: this one, or the one that was there.

        Raises:
            PostStoreError: The database cannot be used.
        """
        values = {
            name: getattr(post, name)
            for name in ("tenant_id", "post_id", "brand_id", "platform", "day", "number", "topic", "tone")
        }
        values |= {"wanted_hashtags": list(post.wanted_hashtags), **_columns(post.text)}
        values |= {"version": post.version, "job_id": post.job_id}
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        async with self._transaction() as connection:
            await connection.execute(insert(POSTS).values(values).on_conflict_do_nothing())
            kept = await _find(connection, post.tenant_id, post.post_id)
        # Nobody deletes between two statements but by hand.
        return kept or post

    async def replacement(self, tenant_id: str, post_id: str, *, job_id: str) -> int | None:
        """Return the version that a job made of a post, None if it made none.

        Raises:
            PostStoreError: The database cannot be used.
        """
        async with self._transaction() as connection:
            return await _replacement(connection, tenant_id, post_id, job_id)

    async def replace(self, post: Post, text: PostText, *, part: Part, job_id: str) -> int:
        """Give a post a new text and keep the former one; a job that did so before changes nothing.

        Args:
            post: The post as it was read.
            text: The new text, whole.
            part: Which part of it is new.
            job_id: The job that wrote it.

        Returns:
            The version that the job made, now or before.

        Raises:
            PostChangedError: Another job rewrote the post since, or somebody deleted it. Nothing was changed.
            PostStoreError: The database cannot be used.
        """
        key = (post.tenant_id, post.post_id)
        async with self._transaction() as connection:
            done = await _replacement(connection, *key, job_id)
            if done is not None:
                return done
            change = (
                update(POSTS)
                .where(_is(POSTS, *key), POSTS.c.version == post.version)
                .values(
                    **_columns(text),
                    version=post.version + 1,
                    job_id=job_id,
                    updated_at=func.current_timestamp(),
                )
            )
            # The condition holds the row as well, so of two who read the same version one comes too late.
            if cast("CursorResult[Any]", await connection.execute(change)).rowcount != 1:
                raise PostChangedError(f"post {post.post_id} was changed meanwhile; it is read again")
            await connection.execute(
                VERSIONS.insert().values(
                    tenant_id=post.tenant_id,
                    post_id=post.post_id,
                    version=post.version,
                    **_columns(post.text),
                    job_id=post.job_id,
                    part=part,
                    replaced_by=job_id,
                )
            )
            return post.version + 1

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        async with blaming(self._engine.url), self._engine.begin() as connection:
            yield connection


@asynccontextmanager
async def open_poststore(address: str) -> AsyncIterator[PostStore]:
    """Open the post store, and close it at the end.

    Args:
        address: The setting `database_url`.

    Raises:
        SettingsError: The address cannot be used, or its driver is not installed.
        PostStoreError: The database cannot be used.
    """
    async with open_database(address) as engine:
        yield PostStore(engine)


def _is(table: Table, tenant_id: str, post_id: str) -> ColumnElement[bool]:
    return (table.c.tenant_id == tenant_id) & (table.c.post_id == post_id)


async def _find(connection: AsyncConnection, tenant_id: str, post_id: str) -> Post | None:
    found = await connection.execute(select(POSTS).where(_is(POSTS, tenant_id, post_id)))
    row = found.mappings().one_or_none()
    return None if row is None else _post(row)


async def _replacement(connection: AsyncConnection, tenant_id: str, post_id: str, job_id: str) -> int | None:
    made = select(VERSIONS.c.version).where(
        _is(VERSIONS, tenant_id, post_id), VERSIONS.c.replaced_by == job_id
    )
    former = (await connection.execute(made)).scalar_one_or_none()
    return None if former is None else former + 1


def _columns(text: PostText) -> dict[str, object]:
    return {"hook": text.hook, "body": text.body, "hashtags": list(text.hashtags)}


def _text(row: Mapping[str, Any] | RowMapping) -> PostText:
    return PostText(hook=row["hook"], body=row["body"], hashtags=tuple(row["hashtags"]))


def _post(row: RowMapping) -> Post:
    kept = {name: row[name] for name in Post.__struct_fields__ if name != "text"}
    kept["wanted_hashtags"] = tuple(kept["wanted_hashtags"])
    return Post(**kept, text=_text(row))
