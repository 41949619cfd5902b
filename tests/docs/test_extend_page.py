"""The plugin and the carrier of "Let others extend your plugin" are what the page says, file by file."""

from __future__ import annotations

import pytest
from rig.snippets import ROOT

from jobrunner import PluginError, Registry
from jobrunner.testing import perform_job

PAGE = (ROOT / "docs/how-to/extend-a-plugin.md").read_text("utf-8")


followed = pytest.mark.runs("docs/how-to/extend-a-plugin.md", "let-others-extend-your-plugin")


@pytest.fixture
def plugin(snippets, tmp_path, install_add_on):
    """The page's files, and the carrier's distribution as pip would install it."""
    parcels, pigeons, project = snippets
    (tmp_path / "parcels.py").write_text(parcels.text)
    install_add_on("pigeons", module=pigeons.title, text=pigeons.text, project=project.text)
    return str(tmp_path / "parcels.py")


@followed
async def test_carrier_of_another_distribution_ships(plugin):
    """Whoever copies both files has something that works."""
    done = await perform_job("parcel.ship", {"tenantId": "acme", "carrier": "Pigeon"}, plugin=plugin)

    assert done.expect("completed").result == "by pigeon for acme"


@followed
async def test_carrier_that_is_not_there_is_told_with_those_that_are(plugin):
    """The page's `missing`."""
    done = await perform_job("parcel.ship", {"tenantId": "acme", "carrier": "drone"}, plugin=plugin)

    assert done.outcome == "failed"
    assert "no installed carrier is named 'drone' (installed: pigeon)" in done.error.message


@followed
async def test_broken_carrier_is_blamed_before_the_first_job(plugin, tmp_path):
    """The page's `check_all`."""
    (tmp_path / "add-ons/pigeons.py").write_text("")

    with pytest.raises(
        PluginError, match=r"carrier pigeon \(pigeons 1\.2\): pigeons has no function `ship\(parcel\)`"
    ):
        await perform_job("parcel.ship", {"tenantId": "acme", "carrier": "pigeon"}, plugin=plugin)


def test_every_method_of_a_registry_is_on_the_page():
    """The page is its reference."""
    for name in (name for name in vars(Registry) if not name.startswith("_")):
        assert f"`{name}`" in PAGE, name
