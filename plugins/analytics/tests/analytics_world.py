"""What the tests pull from: a sandbox with posts of a tenant on every platform, and its accounts file."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import httpx
import msgspec

from jobrunner_sandbox import Published, SandboxServer, account_of

TOKEN = "EAAG-a-secret-token-77"
DAY = 86_400.0

PAGE = "770077"
INSTAGRAM = "17841400008460056"
ORGANIZATION = "2414183"


class World:
    """One tenant's accounts on the sandbox."""

    def __init__(self, server: SandboxServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.accounts = folder / "accounts.json"
        self.database = folder / "metrics.db"
        self.entries: list[dict[str, object]] = []
        for platform, account in (
            ("facebook", PAGE),
            ("instagram", INSTAGRAM),
            ("linkedin", ORGANIZATION),
            ("x", self.user("x")),
            ("mastodon", self.user("mastodon")),
        ):
            self.add_account(platform, account)

    def user(self, platform: str) -> str:
        """The account's id where the sandbox knows it by its token."""
        return account_of(f"{TOKEN}-{platform}")

    def add_account(self, platform: str, account: str, **changes: object) -> None:
        self.entries.append(
            {
                "tenant": "acme",
                "brand": "brand-1",
                "platform": platform,
                "id": account,
                "token": f"{TOKEN}-{platform}",
                **changes,
            }
        )
        self.write()

    def write(self) -> None:
        self.accounts.write_bytes(msgspec.json.encode({"accounts": self.entries}))
        self.accounts.chmod(0o600)

    def publish(self, platform: str, post_id: str, *, age_days: float = 1, account: str = "") -> None:
        """A post as the sandbox would have recorded it."""
        owner = account or {
            "facebook": PAGE,
            "instagram": INSTAGRAM,
            "linkedin": f"urn:li:organization:{ORGANIZATION}",
        }.get(platform, self.user(platform))
        self.server.ledger.publish(
            Published(
                platform=platform,
                account=owner,
                post_id=post_id,
                url="https://example.com/1",
                text="Hello",
                at=time.time() - age_days * DAY,
            )
        )

    def toot(self, text: str = "Hello") -> str:
        """A status, posted now as anybody would."""
        answer = httpx.post(
            f"{self.server.services()['mastodon']}/api/v1/statuses",
            json={"status": text},
            headers={"Authorization": f"Bearer {TOKEN}-mastodon"},
        )
        return str(answer.json()["id"])

    def settings(self, **changes: object) -> dict[str, object]:
        services = self.server.services()
        return {
            "accounts": str(self.accounts),
            "database_url": f"sqlite:///{self.database}",
            **{f"{name}_url": services[name] for name in ("graph", "linkedin", "x", "mastodon")},
            **changes,
        }

    def rows(self, columns: str = "platform, post, metric, value") -> list[tuple[object, ...]]:
        """What is in the table, in the order of its key."""
        with sqlite3.connect(self.database) as connection:
            found = connection.execute(f"select {columns} from metrics order by platform, post, metric, day")
            rows = found.fetchall()
        connection.close()
        return rows
