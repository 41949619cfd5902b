"""The pytest plugin: loaded in every run of an environment that has jobrunner, so it must cost and break nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

HEAVY = ("redis", "msgspec", "structlog", "fakeredis", "jobrunner.testing.harness", "jobrunner.client")


def test_pytest_loads_the_plugin_without_loading_jobrunner() -> None:
    """A run that uses none of its fixtures pays for none of the libraries behind them."""
    code = f"import jobrunner.testing.fixtures, jobrunner.testing, sys; print([m for m in {HEAVY} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_fixtures_serve_a_suite_that_overrides_the_plugin(tmp_path: Path) -> None:
    """As an author's own run has them: by the entry point, in a folder of its own, with a file for a plugin."""
    (tmp_path / "echo.py").write_text(
        "import msgspec\n"
        "from jobrunner import Queue, SyncJob, hookimpl\n"
        "class Words(msgspec.Struct):\n    text: str\n"
        "def echo(job: SyncJob[Words]) -> str:\n    return job.payload.text\n"
        "@hookimpl\ndef jobrunner_queues() -> list[Queue]:\n    return [Queue('echo', Words, echo)]\n"
    )
    (tmp_path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef jobrunner_plugin():\n    return './echo.py'\n"
    )
    (tmp_path / "test_echo.py").write_text(
        "import asyncio, echo\n"
        "def test_perform(perform_job_sync):\n    assert perform_job_sync('echo', echo.Words(text='a')).result == 'a'\n"
        "def test_harness(jobrunner_harness):\n"
        "    async def main():\n"
        "        async with jobrunner_harness() as harness:\n"
        "            handle = await harness.enqueue('echo', {'text': 'b'})\n"
        "            await harness.drain()\n"
        "            assert harness.job(handle).payload == echo.Words(text='b')\n"
        "    asyncio.run(main())\n"
    )

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-p",
            "no:asyncio",
        ],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr
