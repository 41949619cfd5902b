"""`jobrunner approvers` as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

Run = Callable[..., subprocess.CompletedProcess[str]]

PEOPLE = "tenantId,approverId,name,email,phone\nacme,ana,Ana,ana@example.com,+49 151 23456789\nacme,bo,Bo,bo@example.com,\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("JOBRUNNER_", "REDIS_"))
    }

    def command(*words: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jobrunner", "approvers", *words],
            env=clean | environ,
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return command


def test_import_list_and_remove(run: Run, tmp_path: Path) -> None:
    """The whole life of an approver; the table is a file of this folder where nothing else is set."""
    (tmp_path / "people.csv").write_text(PEOPLE)

    dry = run("import", "people.csv", "--dry-run")
    nobody = run("list", "--json")
    first = run("import", "people.csv")
    again = run("import", "people.csv", "--json")
    listed = run("list", "--json", "--tenant", "acme")
    table = run("list")
    removed = run("remove", "--tenant", "acme", "bo")
    missing = run("remove", "--tenant", "acme", "bo")

    assert dry.stdout == "approvers: 2 would be added, 0 would be changed, 0 the same\n"
    assert json.loads(nobody.stdout) == []
    assert first.stdout == "approvers: 2 added, 0 changed, 0 the same\n"
    assert json.loads(again.stdout) == {"created": 0, "updated": 0, "unchanged": 2, "dryRun": False}
    assert json.loads(listed.stdout)[0] == {
        "tenantId": "acme",
        "approverId": "ana",
        "name": "Ana",
        "email": "ana@example.com",
        "phone": "+4915123456789",
    }
    assert table.stdout.splitlines()[1] == "acme      ana         Ana   ana@example.com  +4915123456789"
    assert (removed.stdout, removed.returncode) == ("1 removed\n", 0)
    assert (missing.stderr, missing.returncode) == (
        "error: 0 removed; the others are no approvers of acme\n",
        1,
    )
    assert (tmp_path / "approvers.db").exists()


def test_file_with_mistakes_changes_nothing(run: Run) -> None:
    """Each mistake with its line, then what became of it, and no traceback."""
    done = run("import", "-", stdin=PEOPLE + "acme,cy,Cy,none,\nacme,ana,Ana,ana@example.com,\n")
    after = run("list", "--json")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "<stdin>: line 4: email: 'none' is no mail address such as ana@example.com",
        "<stdin>: line 5: approverId: 'ana' stands in line 2 already",
        "error: nothing was imported: 2 problems in <stdin>",
    ]
    assert json.loads(after.stdout) == []


def test_tenant_of_the_command(run: Run) -> None:
    """For a file of one tenant."""
    done = run("import", "-", "--tenant", "acme", stdin="approverId,email\nana,ana@example.com\n")

    assert done.returncode == 0
    assert json.loads(run("list", "--json").stdout)[0]["tenantId"] == "acme"


@pytest.mark.parametrize(
    ("environ", "status", "said"),
    [
        (
            {"JOBRUNNER_APPROVAL_DATABASE_URL": "mysql://u:hunter2@db/x"},
            2,
            "error: JOBRUNNER_APPROVAL_DATABASE_URL: ",
        ),
        (
            {"JOBRUNNER_APPROVAL_DATABASE_URL": "sqlite:////no/such/folder/a.db"},
            1,
            "error: the approvers' table",
        ),
        ({"JOBRUNNER_APPROVAL_FROM_ADDRESS": "nobody"}, 2, "error: JOBRUNNER_APPROVAL_FROM_ADDRESS: "),
    ],
)
def test_setting_that_cannot_be_used_is_one_line(
    run: Run, environ: dict[str, str], status: int, said: str
) -> None:
    """With the variable's name, and without its secrets."""
    done = run("list", **environ)

    assert done.returncode == status
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_file_that_is_not_there_is_wrong_usage(run: Run) -> None:
    """As for every command."""
    done = run("import", "nowhere.csv")

    assert done.returncode == 2
    assert "nowhere.csv" in done.stderr


def test_text_that_a_terminal_would_obey_is_shown(run: Run) -> None:
    """The table may have been written by others."""
    done = run("import", "-", stdin="tenantId,approverId,email,name\nacme,ana,a@b.example,\u202eAna\n")

    assert done.returncode == 0
    assert "\\u202eAna" in run("list").stdout
