"""The plugin and the carrier of "Let others extend your plugin" are what the page says, file by file."""

from __future__ import annotations

import importlib
import sys

import pytest

from jobrunner import PluginError, Registry
from jobrunner.testing import perform_job

from .pages import ROOT, blocks

PAGE = (ROOT / "docs/how-to/extend-a-plugin.md").read_text("utf-8")


def block(kind, number=0):
    return [one.text for one in blocks(PAGE) if one.kind == kind][number]


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The page's files, and the carrier's distribution as pip would install it."""
    (tmp_path / "parcels.py").write_text(block("python"))
    (tmp_path / "pigeons.py").write_text(block("python", 1))
    info = tmp_path / "pigeons-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.2\n")
    points = (
        block("toml").replace('"parcels.carriers"', "parcels.carriers").replace('= "pigeons"', "= pigeons")
    )
    (info / "entry_points.txt").write_text(points.replace("[project.entry-points.", "["))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pigeons", raising=False)
    importlib.invalidate_caches()
    return str(tmp_path / "parcels.py")


async def test_carrier_of_another_distribution_ships(plugin):
    """Whoever copies both files has something that works."""
    done = await perform_job("parcel.ship", {"tenantId": "acme", "carrier": "Pigeon"}, plugin=plugin)

    assert done.expect("completed").result == "by pigeon for acme"


async def test_carrier_that_is_not_there_is_told_with_those_that_are(plugin):
    """The page's `missing`."""
    done = await perform_job("parcel.ship", {"tenantId": "acme", "carrier": "drone"}, plugin=plugin)

    assert done.outcome == "failed"
    assert "no installed carrier is named 'drone' (installed: pigeon)" in done.error.message


async def test_broken_carrier_is_blamed_before_the_first_job(plugin, tmp_path):
    """The page's `check_all`."""
    (tmp_path / "pigeons.py").write_text("")

    with pytest.raises(
        PluginError, match=r"carrier pigeon \(pigeons 1\.2\): pigeons has no function `ship\(parcel\)`"
    ):
        await perform_job("parcel.ship", {"tenantId": "acme", "carrier": "pigeon"}, plugin=plugin)


def test_every_method_of_a_registry_is_on_the_page():
    """The page is its reference."""
    for name in (name for name in vars(Registry) if not name.startswith("_")):
        assert f"`{name}`" in PAGE, name
