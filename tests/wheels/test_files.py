"""What is in the wheels and the source archives: everything that runs, and what an index shows."""

import configparser
import io
import tarfile
import zipfile

import pytest

from .distributions import FOLDERS, build, metadata, project, sdist_of, wheel_of

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("wheels")]
NAMES = sorted(FOLDERS)


def names_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sources(name):
    """Every file below a distribution's src/, as a wheel names it."""
    folder = FOLDERS[name] / "src"
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("name", NAMES)
def test_wheel_holds_every_file_of_the_package_and_nothing_else(dist, name):
    """A Lua script, a template or a picture that is left out is missed at run time only; tests have no place in it."""
    inside = names_in(wheel_of(name, dist))
    about = {one for one in inside if ".dist-info/" in one}
    assert inside - about == sources(name)
    assert any(one.endswith("/py.typed") for one in inside)
    assert any(one.endswith("/licenses/LICENSE") for one in about)


def test_core_and_http_hold_what_they_read_at_run_time(dist):
    """The names, so that a move of a folder is seen."""
    core, http = names_in(wheel_of("core", dist)), names_in(wheel_of("http", dist))
    assert "jobrunner/store/lua/exchange.lua" in core
    assert any(one.startswith("jobrunner/scaffold/templates/") for one in core)
    assert any(one.startswith("jobrunner_http/dashboard/templates/") for one in http)
    assert any(one.startswith("jobrunner_http/dashboard/static/") for one in http)


@pytest.mark.parametrize("name", NAMES)
def test_source_archive_builds_the_same_wheel(dist, tmp_path, name):
    """Those who build for themselves have the archive alone, without the repository around it."""
    with tarfile.open(sdist_of(name, dist)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    build(folder, tmp_path / "built", "wheel")
    assert names_in(wheel_of(name, tmp_path / "built")) == names_in(wheel_of(name, dist))


@pytest.mark.parametrize("name", NAMES)
def test_metadata_says_what_an_index_shows(dist, name):
    """Licence, Python, README and classifiers are what people choose by."""
    found, declared = metadata(wheel_of(name, dist)), project(name)
    assert (found["Name"], found["Summary"]) == (declared["name"], declared["description"])
    assert (found["License-Expression"], found["License-File"]) == ("MIT", "LICENSE")
    assert found["Requires-Python"] == ">=3.11"
    assert found["Description-Content-Type"] == "text/markdown"
    readme = (FOLDERS[name] / "README.md").read_text("utf-8")
    assert found.get_payload(decode=True).decode().strip() == readme.strip()
    classifiers = found.get_all("Classifier")
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.11"} <= set(classifiers)


@pytest.mark.parametrize("name", NAMES)
def test_entry_points_are_those_declared(dist, name):
    """A plugin without its entry point is installed and never found."""
    wheel, declared = wheel_of(name, dist), project(name)
    wanted = dict(declared.get("entry-points", {}))
    if "scripts" in declared:
        wanted["console_scripts"] = declared["scripts"]
    with zipfile.ZipFile(wheel) as archive:
        (where,) = (one for one in archive.namelist() if one.endswith(".dist-info/entry_points.txt"))
        parsed = configparser.ConfigParser(delimiters=("=",))
        parsed.optionxform = str
        parsed.read_file(io.StringIO(archive.read(where).decode()))
    assert {section: dict(parsed[section]) for section in parsed.sections()} == wanted
