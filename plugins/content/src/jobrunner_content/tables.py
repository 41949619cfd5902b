"""The tables of the post store.

Names and columns only. They may lie in a database that holds other tables, so each name begins with `content_`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
)

METADATA = MetaData()

POSTS = Table(
    "content_posts",
    METADATA,
    Column("tenant_id", String(128), primary_key=True),
    Column("post_id", String(200), primary_key=True),
    Column("brand_id", String(200), nullable=False),
    Column("platform", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("number", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("tone", Text, nullable=False),
    # What every text of the post is to carry, as its month's producer asked for.
    Column("wanted_hashtags", JSON, nullable=False),
    Column("hook", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("hashtags", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    # The job that wrote this version.
    Column("job_id", String(128), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.current_timestamp()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.current_timestamp()),
    Index("content_posts_by_brand", "tenant_id", "brand_id", "day"),
)

VERSIONS = Table(
    "content_post_versions",
    METADATA,
    Column("tenant_id", String(128), primary_key=True),
    Column("post_id", String(200), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("hook", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("hashtags", JSON, nullable=False),
    Column("job_id", String(128), nullable=False),
    Column("part", String(16), nullable=False),
    Column("replaced_by", String(128), nullable=False),
    Column("replaced_at", DateTime(timezone=True), nullable=False, server_default=func.current_timestamp()),
    # One job makes one version of a post, however often it runs.
    UniqueConstraint("tenant_id", "post_id", "replaced_by", name="content_post_versions_once"),
)
"""Former versions: a row is a text as it was, the part that was rewritten then, and the job that did it."""
