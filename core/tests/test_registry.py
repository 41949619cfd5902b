"""What other distributions add to a plugin is found by name, loaded when wanted, and blamed on who made it."""

import importlib
import subprocess
import sys

import pytest

from jobrunner import PluginError, Registry

GROUP = "parcels.carriers"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution on the path, as pip would."""

    def put(name, points, module="def ship(parcel): return 'shipped'\n"):
        folder = tmp_path / name
        info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
        (folder / f"{name.replace('-', '_')}.py").write_text(module)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, name.replace("-", "_"), raising=False)
        importlib.invalidate_caches()

    return put


def as_carrier(loaded):
    if not callable(getattr(loaded, "ship", None)):
        raise ValueError("has no function `ship(parcel)`")
    return loaded


def carriers():
    return Registry(GROUP, kind="carrier", check=as_carrier)


def test_what_a_distribution_declares_is_found_in_any_spelling(install):
    """Names come from settings and payloads, where people write them as they like."""
    install("registry-post", "Post = registry_post")

    found = carriers()

    assert found.names == ["post"]
    assert found.get("POST").ship(1) == "shipped"
    assert found.find("post") is found.find("Post")
    assert found.find("pigeon") is None


def test_nothing_is_read_before_it_is_asked_for_and_only_what_is_wanted_is_imported(install):
    """A broken one that nobody uses must not keep anybody from working, and imports cost start-up time."""
    registry = carriers()
    install("registry-good", "good = registry_good")
    install("registry-bad", "bad = registry_bad", "raise RuntimeError('no good')\n")

    assert registry.names == ["bad", "good"]
    assert not {"registry_good", "registry_bad"} & set(sys.modules)
    assert registry.get("good").ship(1) == "shipped"
    with pytest.raises(PluginError, match=r"carrier bad \(registry-bad 1\.2\).*RuntimeError: no good"):
        registry.check_all()


def test_what_lacks_something_is_blamed_with_what_it_lacks(install):
    """Whoever wrote it reads the message and knows what to add."""
    install("registry-empty", "empty = registry_empty", "")

    with pytest.raises(
        PluginError,
        match=r"^carrier empty \(registry-empty 1\.2\): registry_empty has no function `ship\(parcel\)`$",
    ):
        carriers().find("empty")


def test_two_of_one_name_are_blamed_on_both_and_no_other_name_is_touched(install):
    """Which of them is used must not be chance."""
    install("registry-one", "sea = registry_one\nair = registry_one")
    install("registry-two", "Sea = registry_two")
    registry = carriers()

    with pytest.raises(PluginError) as caught:
        registry.find("sea")
    assert "registry-one 1.2" in str(caught.value)
    assert "registry-two 1.2" in str(caught.value)
    assert registry.get("air").ship(1) == "shipped"


def test_one_distribution_that_is_on_the_path_twice_is_one(install, tmp_path, monkeypatch):
    """An editable install beside a folder on the path is common while somebody writes an extension."""
    install("registry-twice", "twice = registry_twice")
    copy = tmp_path / "copy"
    (tmp_path / "registry-twice").rename(copy)
    install("registry-twice", "twice = registry_twice")
    monkeypatch.syspath_prepend(str(copy))

    assert carriers().get("twice").ship(1) == "shipped"


def test_unknown_one_is_told_with_those_that_there_are(install):
    """A spelling mistake is the usual reason."""
    with pytest.raises(PluginError, match=r"no installed carrier is named 'pots' \(installed: none\)"):
        carriers().get("pots")
    install("registry-list", "post = registry_list\nsea = registry_list")
    with pytest.raises(PluginError, match=r"no installed carrier is named 'pots' \(installed: post, sea\)"):
        carriers().get("pots")


def test_registry_costs_a_producer_nothing():
    """It is imported by plugins, which every `jobrunner enqueue` loads; `importlib.metadata` alone takes a while."""
    code = "import sys, jobrunner; jobrunner.Registry, jobrunner.Late; sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
