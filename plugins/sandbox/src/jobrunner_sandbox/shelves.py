"""What the demo's plugins leave in its folder, read as anybody would: the tables of posts and of figures.

By the columns that the plugins' READMEs name. Reads only, and takes a table that is not there for an empty one.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from jobrunner_sandbox.cast import Text

POSTS, METRICS, APPROVERS, IMAGES = "posts.db", "metrics.db", "approvers.db", "images"
"""Names in the folder: three SQLite files and a folder."""


def written(folder: Path, tenant: str) -> list[Text]:
    """Return the posts that are written for a tenant, in the order of their ids."""
    rows = _rows(
        folder / POSTS,
        "SELECT post_id, platform, hook, body, hashtags FROM content_posts WHERE tenant_id = ? ORDER BY post_id",
        tenant,
    )
    return [
        Text(post_id=post_id, platform=platform, hook=hook, body=body, hashtags=tuple(json.loads(hashtags)))
        for post_id, platform, hook, body, hashtags in rows
    ]


def written_one(folder: Path, tenant: str, post_id: str) -> Text | None:
    """Return one of a tenant's posts as it is now, None if there is none of that id."""
    return next((text for text in written(folder, tenant) if text.post_id == post_id), None)


class Former(msgspec.Struct, frozen=True, kw_only=True):
    """A text as it was before it was rewritten: which job rewrote what of it, and into which version."""

    text: Text
    part: str
    job_id: str
    version: int


def rewritten(folder: Path, tenant: str) -> list[Former]:
    """Return the texts of a tenant's posts as they were before each rewriting, oldest first."""
    rows = _rows(
        folder / POSTS,
        "SELECT v.post_id, p.platform, v.hook, v.body, v.hashtags, v.part, v.replaced_by, v.version"
        " FROM content_post_versions v JOIN content_posts p USING (tenant_id, post_id)"
        " WHERE v.tenant_id = ? ORDER BY v.post_id, v.version",
        tenant,
    )
    return [
        Former(
            text=Text(
                post_id=post_id,
                platform=platform,
                hook=hook,
                body=body,
                hashtags=tuple(json.loads(hashtags)),
            ),
            part=part,
            job_id=job_id,
            version=int(version) + 1,
        )
        for post_id, platform, hook, body, hashtags, part, job_id, version in rows
    ]


def figures(folder: Path, tenant: str) -> list[tuple[str, str, str]]:
    """Return the rows of a tenant's figures: platform, post and metric."""
    rows = _rows(folder / METRICS, "SELECT platform, post, metric FROM metrics WHERE tenant = ?", tenant)
    return [(platform, post, metric) for platform, post, metric in rows]


def _rows(file: Path, query: str, *values: str) -> list[tuple[str, ...]]:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if file.exists() and "no such table" not in str(error):
            raise
        return []
