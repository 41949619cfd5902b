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


PAGE = "docs/how-to/make-a-plugin.md"
PAYLOAD = "jobrunner-mail/src/jobrunner_mail/payload.py"


@pytest.fixture
def shell(tmp_path):
    """Runs lines as the page has them, in an environment of their own: the core in it, built and installed as pip does."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed: it makes the empty environment")
    programs = tmp_path / "venv" / "bin"
    do(uv, "venv", "-q", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    core = f"{ROOT / 'core'}[testing,embedded]"
    do(uv, "pip", "install", "-q", "--python", programs / "python", core, cwd=tmp_path)

    def run(lines):
        for line in lines.splitlines():
            command = line.replace("pip install", f"{uv} pip install -q --python {programs / 'python'}")
            do("sh", "-c", f"PATH={programs}:$PATH; {command}", cwd=tmp_path)

    return run


@pytest.mark.runs(PAGE, "1-write-it-install-it-test-it")
@pytest.mark.runs(PAGE, "2-run-a-job")
def test_page_is_followed_to_a_tested_typed_plugin_that_runs(snippets, shell, tmp_path, start_process):
    """Ten minutes are for the newcomer's own ideas; what was generated has to work before the first of them."""
    python = tmp_path / "venv" / "bin" / "python"
    install, worker_command, job_commands = (block.text for block in snippets)
    shell(install)
    for check in CHECKS:
        do(python, "-m", *check, cwd=tmp_path / "jobrunner-mail")

    worker = start_process([python, "-m", *worker_command.split()], env=environ(), cwd=tmp_path)
    worker.wait_for_line("worker.started")
    shell(job_commands)
    worker.wait_for_line("job.completed")
    jobrunner = [python, "-m", "jobrunner", "--embedded"]
    (job,) = json.loads(
        do(*jobrunner, "jobs", "list", "mail.send", "--state", "completed", "--json", cwd=tmp_path)
    )
    shown = json.loads(do(*jobrunner, "jobs", "show", "mail.send", job["id"], "--json", cwd=tmp_path))
    worker.terminate()

    assert worker.wait() == 0
    assert (shown["state"], shown["result"]) == (
        "completed",
        {"receipt": f"{job['id']}.json", "characters": 5},
    )
    assert json.loads((tmp_path / "outbox" / f"{job['id']}.json").read_text()) == {
        "recipient": "ada",
        "text": "Hello",
    }


@pytest.mark.runs(PAGE, "1-write-it-install-it-test-it")
@pytest.mark.runs(PAGE, "3-change-the-payload")
@pytest.mark.runs(PAGE, "4-in-ci")
def test_payload_is_changed_as_the_page_says(snippets, shell, tmp_path):
    """The first thing that anybody does with a template is to change it."""
    install, field, again, in_ci = (block.text for block in snippets)
    shell(install)
    payload = tmp_path / PAYLOAD
    payload.write_text(payload.read_text().rstrip("\n") + "\n" + field)
    with pytest.raises(AssertionError, match="producers"):
        shell(in_ci)

    shell(again)
    shell(in_ci)

    assert "subject" in (tmp_path / "jobrunner-mail/tests/schemas/mail.send.v1.json").read_text()
    assert "subject: str = " in (tmp_path / "jobrunner-mail/src/jobrunner_mail/producers.py").read_text()
