"""Settings: their variables, their bounds, and the services that stand-ins can be given for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jobrunner import PluginError
from jobrunner_publish import Fetcher, PublishSettings
from jobrunner_publish.plugin import jobrunner_resources
from jobrunner_publish.publisher import Publisher
from jobrunner_publish.registry import load_platforms


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("graph_url", "graph.facebook.com"),
        ("x_url", "ftp://api.x.com"),
        ("mastodon_url", "https://mastodon.social/?x=1"),
        ("media_gateway", "gateway"),
        ("media_gateway", "http://gateway:port"),
        ("mastodon_instances", ["https://fosstodon.org"]),
        ("mastodon_instances", ["fosstodon.org/@acme"]),
        ("graph_version", "25"),
        ("linkedin_version", "2026-07"),
        ("on_unknown", "guess"),
        ("timeout", 0),
        ("media_max_bytes", 10),
        ("poll_interval", 0),
    ],
)
def test_value_that_cannot_be_used_is_refused(field: str, value: object) -> None:
    """A wrong value shows at the start, not with the first post."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, PublishSettings)


def test_defaults_are_valid() -> None:
    """A worker starts without any variable."""
    msgspec.convert(msgspec.to_builtins(PublishSettings()), PublishSettings)


async def test_worker_gets_client_fetch_and_platforms() -> None:
    """What handlers ask for by type."""
    async with jobrunner_resources(PublishSettings()) as resources:
        publisher = next(one for one in resources if isinstance(one, Publisher))
        assert any(isinstance(one, Fetcher) for one in resources)
        assert publisher.platforms.names == ["facebook", "instagram", "linkedin", "mastodon", "x"]
    assert publisher.http.is_closed


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, points: str, module: str) -> None:
    """Put a distribution on the path, as pip would."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[jobrunner_publish.platforms]\n{points}\n")
    (folder / f"{name.replace('-', '_')}.py").write_text(module)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()


ADAPTER = "async def publish(post, account, context): ...\n"


def test_another_distribution_adds_a_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The point of the registry: a platform is a module with one function, and an entry point."""
    install(tmp_path, monkeypatch, name="publish-myspace", points="MySpace = publish_myspace", module=ADAPTER)

    platforms = load_platforms()

    assert "myspace" in platforms.names
    assert platforms.find("MYSPACE") is not None
    assert platforms.find("friendster") is None


def test_two_platforms_of_one_name_are_blamed_on_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them would post must not be chance."""
    install(tmp_path, monkeypatch, name="publish-other-x", points="x = publish_other_x", module=ADAPTER)

    with pytest.raises(PluginError, match=r"publish-other-x 1\.2"):
        load_platforms()


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        ("def publish(post, account, context): ...\n", "async def publish"),
        ("raise RuntimeError('no good')\n", "RuntimeError: no good"),
    ],
)
def test_platform_that_cannot_be_used_is_blamed(
    module: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stops at its start and names the distribution to mend or to uninstall."""
    name = f"publish-broken-{len(module)}"
    install(tmp_path, monkeypatch, name=name, points=f"broken = {name.replace('-', '_')}", module=module)

    with pytest.raises(PluginError, match=problem) as caught:
        load_platforms()
    assert f"{name} 1.2" in str(caught.value)


def test_plugin_loads_without_the_http_client() -> None:
    """Every `jobrunner enqueue` loads the plugin, and the client takes longer than all the rest."""
    code = "import sys, jobrunner_publish.plugin as p; p.jobrunner_queues(); sys.exit('httpx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
