"""The settings of the content plugin, each read from `JOBRUNNER_CONTENT_<FIELD>`.

Pure data with its bounds. Opens nothing.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from jobrunner import Secret, Service, WebAddress, check_port

DATABASE_VARIABLE = "JOBRUNNER_CONTENT_DATABASE_URL"
DATABASE = re.compile(r"(sqlite(\+aiosqlite)?:///(?!:memory:)[^?\n]+|postgres(ql)?(\+psycopg)?://[^\n]+)")
# What a header can carry, so that no key ends up in an error that quotes it.
Key = Meta(pattern=r"^[\x21-\x7e]*$", max_length=4096, description="printable ASCII without blanks")


class ContentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes, and where the posts are kept.

    Args:
        writer: The name of an installed writer: `template`, `openai`, or another distribution's.
        database_url: Where the posts are: `sqlite:///FILE`, relative to the worker's folder, or
            `postgresql://USER:PASSWORD@HOST/NAME`, which needs the extra `postgres`.
        openai_url: The OpenAI-compatible API, with its version, such as `http://127.0.0.1:11434/v1`.
        openai_key: Its key, sent as a bearer token; empty where the server wants none.
        openai_model: The model's name there; it must know structured output.
        openai_timeout: Seconds that one call may take in all, 1 to 600.
        openai_temperature: 0 to 2; not sent unless it is set, since some models refuse it.
        openai_max_tokens: The most tokens of an answer, sent as `max_completion_tokens`; 0 sends no limit.

    Raises:
        ValueError: The database is none that the post store knows.
    """

    writer: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "template"
    database_url: Annotated[str, Secret] = "sqlite:///jobrunner-content.db"
    openai_url: Annotated[str, Service("openai"), WebAddress] = "https://api.openai.com/v1"
    openai_key: Annotated[str, Secret, Key] = ""
    openai_model: Annotated[str, Meta(min_length=1, max_length=200)] = "gpt-4.1-mini"
    openai_timeout: Annotated[float, Meta(ge=1, le=600)] = 60.0
    openai_temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    openai_max_tokens: Annotated[int, Meta(ge=0, le=100_000)] = 0

    def __post_init__(self) -> None:
        if not DATABASE.fullmatch(self.database_url):
            raise ValueError(
                "database_url is sqlite:///FILE, a file and not :memory:, or postgresql://USER:PASSWORD@HOST/NAME"
            )
        check_port("database_url", self.database_url)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file; else it is PostgreSQL."""
        return self.database_url.startswith("sqlite")
