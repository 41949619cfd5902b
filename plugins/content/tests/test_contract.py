"""What every plugin promises, and what this one's loading costs."""

from __future__ import annotations

import subprocess
import sys

from content_desk import month, single

from jobrunner.testing import check_plugin


def test_contract_holds() -> None:
    """A stable schema, masked secrets, an import without effects."""
    check_plugin(
        "content",
        examples={"content.generate.monthly": [month()], "content.regen.single": [single()]},
        settings={"writer": "template"},
    )


def test_plugin_loads_without_the_database_and_the_http_client() -> None:
    """Every `jobrunner enqueue` loads the plugin, and those take longer than all the rest."""
    heavy = "{'sqlalchemy', 'httpx', 'aiosqlite'} & sys.modules.keys()"
    code = f"import sys, jobrunner_content.plugin as p; p.jobrunner_queues(); sys.exit(bool({heavy}))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_producers_need_neither() -> None:
    """An API server enqueues and never writes."""
    heavy = "{'sqlalchemy', 'httpx', 'aiosqlite'} & sys.modules.keys()"
    code = f"import sys; from jobrunner_content import Content, SyncContent; sys.exit(bool({heavy}))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
