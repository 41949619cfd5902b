"""What stands in for the package index, so that pages can be followed without a network.

Wheels of our own distributions, built from this repository, are what pip finds. What they need of others is lent from
what is installed here: that and nothing else, so that a requirement that is not declared is missed.
"""

import os
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from wheels.distributions import FOLDERS, build

BUILDERS = ("hatchling", "editables")
"""What builds our distributions and a reader's own."""

LEFT_OUT = ("REDIS_", "JOBRUNNER_", "PIP_", "PYTHON", "PYTEST", "VIRTUAL_ENV", "UV_")


def build_wheels(into: Path, names: list[str]) -> Path:
    """Build the wheels of some distributions, named by their folders, into a folder; the folder."""
    for name in names:
        build(FOLDERS[name], into, "wheel")
    return into


def checkout_environ() -> dict[str, str]:
    """The variables of somebody who works in this repository's environment: none of ours, its programs on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def reader_environ(wheels: Path) -> dict[str, str]:
    """A reader's variables: none of ours, and a pip that knows the wheels and asks nobody."""
    inside = str(Path(sys.executable).parent)
    path = [part for part in os.environ["PATH"].split(os.pathsep) if part != inside]
    return checkout_environ() | {
        "PATH": os.pathsep.join([f"{sys.base_prefix}/bin", *path]),  # a Python, and no program of ours
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's own spelling of "without isolation"
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INDEX": "1",
    }


def required(*names: str) -> dict[str, Distribution]:
    """The distributions that some need, and those that these need, with their extras; themselves too."""
    found: dict[str, Distribution] = {}
    left, done = [Requirement(name) for name in names], set()
    while left:
        asked = left.pop()
        for extra in ("", *asked.extras):
            if (canonicalize_name(asked.name), extra) in done:
                continue
            done.add((canonicalize_name(asked.name), extra))
            dist = found[canonicalize_name(asked.name)] = distribution(asked.name)
            needs = map(Requirement, dist.requires or [])
            left += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return found


def lend(venv: Path, folder: Path, *names: str) -> None:
    """Let an environment have what some of our distributions need, and what builds them: nothing of ours.

    Its programs are there too, such as `pytest`.

    Args:
        venv: the environment.
        folder: where links to what is lent are put; it is made.
        names: the distributions, with their extras.
    """
    folder.mkdir()
    for name, dist in required(*names, *BUILDERS).items():
        if name.startswith("jobrunner-"):
            continue
        for first in {file.parts[0] for file in dist.files or ()} - {"..", "__pycache__"}:
            if not (folder / first).exists():
                (folder / first).symlink_to(str(dist.locate_file(first)))
        for point in dist.entry_points.select(group="console_scripts"):
            program = venv / "bin" / point.name
            program.write_text(
                f"#!{venv}/bin/python\nimport sys\nfrom {point.module} import {point.attr}\nsys.exit({point.attr}())\n"
            )
            program.chmod(0o755)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(f"{folder}\n")
