"""`jobrunner plugins new`, as a stranger meets it: an environment of its own, the core as a wheel, plain commands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
CHECKS = (
    ("pytest", "-q", "-p", "no:cacheprovider"),
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
)


def environ():
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REDIS_", "JOBRUNNER_", "PYTEST_"))
    }
    return own | {"UV_LINK_MODE": "copy", "PYTHONDONTWRITEBYTECODE": "1"}


def do(*command, cwd):
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environ(), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def installed(tmp_path):
    """An empty environment with the core in it, built and installed as pip does it, and a new plugin beside it."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed: it makes the empty environment")
    python = tmp_path / "venv" / "bin" / "python"
    do(uv, "venv", "-q", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    do(uv, "pip", "install", "-q", "--python", python, f"{ROOT / 'core'}[testing,embedded]", cwd=tmp_path)
    do(python, "-m", "jobrunner", "plugins", "new", "mail", "--queue", "mail.send", cwd=tmp_path)
    do(uv, "pip", "install", "-q", "--python", python, "-e", "./jobrunner-mail[dev]", cwd=tmp_path)
    return python


def test_new_plugin_is_tested_typed_and_runs_a_job(installed, tmp_path, start_process):
    """Ten minutes are for the newcomer's own ideas; what was generated has to work before the first of them."""
    folder = tmp_path / "jobrunner-mail"
    for check in CHECKS:
        do(installed, "-m", *check, cwd=folder)

    jobrunner = [installed, "-m", "jobrunner", "--embedded"]
    worker = start_process([*jobrunner, "run", "--plugin", "mail"], env=environ(), cwd=folder)
    worker.wait_for_line("worker.started")
    payload = json.dumps({"tenantId": "acme", "recipient": "ada", "text": "Hello"})
    job_id = do(*jobrunner, "enqueue", "mail.send", payload, cwd=folder).strip()
    worker.wait_for_line("job.completed")
    shown = json.loads(do(*jobrunner, "jobs", "show", "mail.send", job_id, "--json", cwd=folder))
    worker.terminate()

    assert worker.wait() == 0
    assert (shown["state"], shown["result"]) == ("completed", {"receipt": f"{job_id}.json", "characters": 5})
    assert json.loads((folder / "outbox" / f"{job_id}.json").read_text()) == {
        "recipient": "ada",
        "text": "Hello",
    }
