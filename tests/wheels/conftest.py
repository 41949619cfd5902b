"""All distributions as files, built once a test process; and Pythons, old and new."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .distributions import FOLDERS, build


def clean_environ():
    """An environment in which nothing of this repository is found."""
    left_out = ("REDIS_", "JOBRUNNER_", "PYTEST_", "PYTHONPATH", "VIRTUAL_ENV")
    own = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return own | {"UV_LINK_MODE": "copy", "PYTHONDONTWRITEBYTECODE": "1"}


def do(*command, cwd, **environ):
    """Run a command that has to end well; what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environ() | environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """A folder with the wheel and the source archive of each distribution."""
    into = tmp_path_factory.mktemp("dist")
    for folder in FOLDERS.values():
        build(folder, into, "wheel", "sdist")
    return into


def newest_python():
    """The newest Python at hand that is newer than this one, else this one."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [str(path) for path in versions.glob("3.*/bin/python3")]
    found += [path for minor in range(12, 20) if (path := shutil.which(f"python3.{minor}"))]
    numbers = {}
    for path in found:
        shown = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:3])"], capture_output=True, text=True
        )
        if shown.returncode == 0:
            numbers[tuple(map(int, shown.stdout.split()))] = path
    newer = max((number for number in numbers if number > sys.version_info[:3]), default=None)
    return numbers[newer] if newer else sys.executable


@pytest.fixture
def uv():
    """The installer that can take the lowest versions."""
    path = shutil.which("uv")
    if path is None:
        pytest.skip("uv is not installed: only it can take the lowest versions")
    return path
