"""A distribution of somebody else that extends a plugin, as pip would have installed it.

Written into a folder of the test's own, on the import path for as long as the test runs; what it is for finds it by
its entry points.
"""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest


class InstallAddOn(Protocol):
    """Installs an add-on until the test ends; `_write` says what it takes."""

    def __call__(self, name: str, *, module: str, text: str, project: str) -> None:
        """Install one."""


@pytest.fixture
def install_add_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallAddOn]:
    """Return a function that installs a distribution of one module; what it brought is forgotten with the test."""
    folder, before = tmp_path / "add-ons", set(sys.modules)
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(name: str, *, module: str, text: str, project: str) -> None:
        _write(folder, name, module=module, text=text, project=project)
        importlib.invalidate_caches()

    yield install
    for name in set(sys.modules) - before:
        where = getattr(sys.modules[name], "__path__", None) or [
            getattr(sys.modules[name], "__file__", "") or ""
        ]
        if any(Path(one).is_relative_to(folder) for one in where):
            del sys.modules[name]


def _write(folder: Path, name: str, *, module: str, text: str, project: str) -> None:
    """Put a module and the entry points of a `pyproject.toml` into a folder of the import path.

    Args:
        folder: the folder.
        name: the distribution's name; its version is 1.2.
        module: the module's path below the folder, such as `my_package/haiku.py`; packages are made.
        text: the module.
        project: the `pyproject.toml`, or the part of it with the entry points.
    """
    path = folder / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", "utf-8")
    lines = []
    for group, named in tomllib.loads(project)["project"]["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {target}" for key, target in named.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
