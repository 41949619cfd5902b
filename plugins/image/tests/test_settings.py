"""Settings and engines: their bounds, and who is blamed for what cannot be used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jobrunner import PluginError, SettingsError
from jobrunner_image import ImageSettings
from jobrunner_image.plugin import jobrunner_resources
from jobrunner_image.registry import load_engine


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("engine", "../x"),
        ("output_url", ""),
        ("format", "gif"),
        ("jpeg_quality", 100),
        ("draw_threads", 0),
        ("openai_url", "api.openai.com"),
        ("openai_url", "https://key@api.openai.com"),
        ("openai_sizes", ["big"]),
        ("openai_sizes", []),
        ("openai_timeout", 0),
    ],
)
def test_value_that_cannot_be_used_is_refused(field: str, value: object) -> None:
    """A wrong value shows at the start, not with the first picture."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, ImageSettings)


def test_defaults_are_valid() -> None:
    """A worker starts without any variable."""
    msgspec.convert(msgspec.to_builtins(ImageSettings()), ImageSettings)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, points: str, module: str) -> None:
    """Put a distribution on the path, as pip would."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[jobrunner_image.engines]\n{points}\n")
    (folder / f"{name.replace('-', '_')}.py").write_text(module)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()


PLAIN = """
from contextlib import asynccontextmanager
from PIL import Image
from jobrunner_image import Drawn

class Plain:
    async def draw(self, order):
        return Drawn(Image.new("RGB", (50, 50), order.colors[0]))

@asynccontextmanager
async def open_engine(workshop):
    yield Plain()
"""


async def test_another_distribution_adds_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The point of the registry: a module with one function, and an entry point."""
    from jobrunner.testing import perform_job

    install(tmp_path / "site", monkeypatch, name="image-plain", points="plain = image_plain", module=PLAIN)
    payload = {
        "tenantId": "t",
        "brandId": "b",
        "prompt": "Hi",
        "style": "abstract",
        "dimensions": {"width": 80, "height": 64},
        "brandColors": ["#123"],
    }

    done = await perform_job(
        "image.generate",
        payload,
        plugin="image",
        settings={"engine": "Plain", "output_url": str(tmp_path / "out")},
    )

    assert done.expect("completed").result["width"] == 80


def test_unknown_engine_is_named_with_those_that_there_are() -> None:
    """A typing mistake stops the worker, not each job."""
    with pytest.raises(SettingsError, match=r"JOBRUNNER_IMAGE_ENGINE.*'crad' \(installed: card, openai\)"):
        load_engine("crad")


@pytest.mark.parametrize(
    ("module", "problem"),
    [("", "open_engine"), ("raise RuntimeError('no good')\n", "RuntimeError: no good")],
)
def test_engine_that_cannot_be_used_is_blamed(
    module: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stops at its start and names the distribution to mend or to uninstall."""
    name = f"image-broken-{len(module)}"
    install(tmp_path, monkeypatch, name=name, points=f"broken = {name.replace('-', '_')}", module=module)

    with pytest.raises(PluginError, match=problem) as caught:
        load_engine("broken")
    assert f"{name} 1.2" in str(caught.value)


def test_two_engines_of_one_name_are_blamed_on_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them would draw must not be chance."""
    install(tmp_path, monkeypatch, name="image-other", points="card = image_other", module=PLAIN)

    with pytest.raises(PluginError, match=r"image-other 1\.2"):
        load_engine("card")


async def test_resources_open_and_close_and_make_no_folder(tmp_path: Path) -> None:
    """What a worker does once; one of other queues leaves nothing behind."""
    async with jobrunner_resources(ImageSettings(output_url=str(tmp_path / "out"))) as resources:
        assert [type(one).__name__ for one in resources] == ["Studio"]
    assert not (tmp_path / "out").exists()


def test_plugin_loads_without_what_draws() -> None:
    """Every `jobrunner enqueue` loads the plugin, and needs neither Pillow nor an HTTP client."""
    code = (
        "import sys, jobrunner_image.plugin as p, jobrunner_image; p.jobrunner_queues(); jobrunner_image.Image;"
        "sys.exit(any(name in sys.modules for name in ('PIL', 'httpx', 'fsspec', 'font_manrope')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
