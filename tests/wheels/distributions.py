"""The distributions of the repository: where they are, what they are built to, and what their files say.

Builds into the folder that it is given, and never writes into the repository.
"""

import email.message
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FOLDERS = {path.parent.name: path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))}
FOLDERS["core"] = ROOT / "core"


def project(name):
    """The `[project]` table of a distribution."""
    return tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text("utf-8"))["project"]


def build(folder, into, *targets):
    """Build a folder's distributions with its own backend."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into)]
    for target in targets:
        command += ["-t", target]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def wheel_of(name, folder):
    """A distribution's wheel in a folder."""
    (wheel,) = folder.glob(f"{project(name)['name'].replace('-', '_')}-*.whl")
    return wheel


def sdist_of(name, folder):
    """A distribution's source archive in a folder."""
    (sdist,) = folder.glob(f"{project(name)['name'].replace('-', '_')}-*.tar.gz")
    return sdist


def metadata(wheel):
    """The METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def requirements(wheels):
    """What the wheels need of others, extras too, as an installer takes it."""
    found = set()
    for wheel in wheels:
        for text in metadata(wheel).get_all("Requires-Dist", []):
            one = Requirement(text)
            if not one.name.startswith("jobrunner-"):
                extras = f"[{','.join(sorted(one.extras))}]" if one.extras else ""
                found.add(f"{one.name}{extras}{one.specifier}")
    return sorted(found)
