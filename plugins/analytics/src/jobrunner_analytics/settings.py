"""The settings of the analytics plugin, each read from `JOBRUNNER_ANALYTICS_<FIELD>`.

Pure data with its bounds. The accounts' credentials are in a file of their own, which the settings name.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from jobrunner import Secret, Service, WebAddress, check_port

DATABASE_VARIABLE = "JOBRUNNER_ANALYTICS_DATABASE_URL"
DATABASE = r"^(sqlite(\+aiosqlite)?|postgres|postgresql(\+psycopg)?)://"


class AnalyticsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where figures come from and where they go.

    Args:
        accounts: A TOML or JSON file with the accounts and their tokens; empty for none.
        database_url: Where the table `metrics` is: a SQLite file, or PostgreSQL with the extra `postgres`.
        graph_url: Meta's Graph API, for Facebook and Instagram.
        linkedin_url: LinkedIn's API.
        x_url: X's API.
        mastodon_url: The Mastodon instance of accounts that name none.
        graph_version: The Graph API's version.
        linkedin_version: The value of `LinkedIn-Version`, a year and a month; each is served for about a year.
        timeout: Seconds for connecting, and for each read, of one call, 1 to 300.
        max_pages: Pages that are read of one account at most, 1 to 1,000.
    """

    accounts: Annotated[str, Meta(max_length=4096)] = ""
    database_url: Annotated[str, Secret, Meta(pattern=DATABASE, max_length=1024)] = (
        "sqlite:///jobrunner-analytics.db"
    )
    graph_url: Annotated[str, Service("graph"), WebAddress] = "https://graph.facebook.com"
    linkedin_url: Annotated[str, Service("linkedin"), WebAddress] = "https://api.linkedin.com"
    x_url: Annotated[str, Service("x"), WebAddress] = "https://api.x.com"
    mastodon_url: Annotated[str, Service("mastodon"), WebAddress] = "https://mastodon.social"
    graph_version: Annotated[str, Meta(pattern=r"^v[0-9]{1,2}\.[0-9]$")] = "v25.0"
    linkedin_version: Annotated[str, Meta(pattern=r"^20[0-9]{4}(\.[0-9]{2})?$")] = "202607"
    timeout: Annotated[float, Meta(ge=1, le=300)] = 30.0
    max_pages: Annotated[int, Meta(ge=1, le=1000)] = 100

    def __post_init__(self) -> None:
        check_port("database_url", self.database_url)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file; else it is PostgreSQL."""
        return self.database_url.startswith("sqlite")
