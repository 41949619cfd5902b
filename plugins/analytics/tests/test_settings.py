"""Settings and platforms: their bounds, and who is blamed for what cannot be used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jobrunner import PluginError
from jobrunner_analytics import AnalyticsSettings
from jobrunner_analytics.plugin import jobrunner_resources
from jobrunner_analytics.registry import load_platforms


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("graph_url", "graph.facebook.com"),
        ("x_url", "ftp://api.x.com"),
        ("mastodon_url", "https://user@mastodon.social"),
        ("linkedin_url", "https://api.linkedin.com/?x=1"),
        ("graph_version", "25"),
        ("linkedin_version", "2026-07"),
        ("database_url", ""),
        ("database_url", "mysql://u:p@host/figures"),
        ("database_url", "postgresql://u:p@host:port/figures"),
        ("timeout", 0),
        ("max_pages", 0),
    ],
)
def test_value_that_cannot_be_used_is_refused(field: str, value: object) -> None:
    """A wrong value shows at the start, not with the first job."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, AnalyticsSettings)


def test_defaults_are_valid() -> None:
    """A worker starts without any variable."""
    msgspec.convert(msgspec.to_builtins(AnalyticsSettings()), AnalyticsSettings)


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_resources_open_and_close_and_make_no_file(tmp_path: Path) -> None:
    """The table is made with the first rows: a worker of other queues leaves nothing behind."""
    settings = AnalyticsSettings(database_url=f"sqlite:///{tmp_path}/m.db")

    async with jobrunner_resources(settings) as resources:
        (late,) = resources
        desk = await late.get()
        assert desk.platforms.names == ["facebook", "instagram", "linkedin", "mastodon", "x"]
    assert desk.context.http.is_closed
    assert files_in(tmp_path) == []


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, points: str, module: str) -> None:
    """Put a distribution on the path, as pip would."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[jobrunner_analytics.platforms]\n{points}\n")
    (folder / f"{name.replace('-', '_')}.py").write_text(module)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()


PLATFORM = """
from jobrunner_analytics import Page, PostFigures
METRICS = {"likes": "hearts"}
async def read_page(query, account, cursor, context):
    if cursor == "2":
        raise ValueError("page 2 is broken")
    posts = (PostFigures(post_id="1", values={"hearts": 3, "sighs": 2}),)
    return Page(posts=posts, next_cursor="2" if account.id == "b" else "")
"""


async def test_another_distribution_adds_a_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The point of the registry. Figures that nobody asked for are not stored; a bug of its own is tried again."""
    from jobrunner.testing import perform_job

    install(
        tmp_path / "site",
        monkeypatch,
        name="figures-myspace",
        points="MySpace = figures_myspace",
        module=PLATFORM,
    )
    accounts = tmp_path / "a.json"
    entries = [{"tenant": "t", "platform": "myspace", "id": name, "token": "tok"} for name in ("a", "b")]

    async def pull(*chosen: dict[str, str]) -> object:
        accounts.write_bytes(msgspec.json.encode({"accounts": list(chosen)}))
        return await perform_job(
            "analytics.pull",
            {
                "tenantId": "t",
                "platforms": ["MySpace"],
                "dateRange": {"startDate": "2026-01-01T00:00:00Z", "endDate": "2026-02-01T00:00:00Z"},
                "metrics": ["likes", "reach"],
            },
            plugin="analytics",
            settings={"accounts": str(accounts), "database_url": f"sqlite:///{tmp_path}/m.db"},
        )

    good, broken = await pull(entries[0]), await pull(entries[1])

    assert good.expect("completed").result["rows"] == {"myspace": 1}
    assert broken.outcome == "snoozed"  # its first page went in, so no attempt is spent
    assert "the platform broke: ValueError: page 2 is broken" in broken.reason


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        ("def read_page(query, account, cursor, context): ...\n", "async def read_page"),
        ("async def read_page(query, account, cursor, context): ...\n", "METRICS"),
        ("raise RuntimeError('no good')\n", "RuntimeError: no good"),
    ],
)
def test_platform_that_cannot_be_used_is_blamed(
    module: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stops at its start and names the distribution to mend or to uninstall."""
    name = f"figures-broken-{len(module)}"
    install(tmp_path, monkeypatch, name=name, points=f"broken = {name.replace('-', '_')}", module=module)

    with pytest.raises(PluginError, match=problem) as caught:
        load_platforms()
    assert f"{name} 1.2" in str(caught.value)


def test_two_platforms_of_one_name_are_blamed_on_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them would be asked must not be chance."""
    install(tmp_path, monkeypatch, name="figures-other-x", points="x = figures_other_x", module=PLATFORM)

    with pytest.raises(PluginError, match=r"figures-other-x 1\.2"):
        load_platforms()


def test_plugin_loads_without_what_pulls() -> None:
    """Every `jobrunner enqueue` loads the plugin, and needs neither an HTTP client nor a database layer."""
    code = (
        "import sys, jobrunner_analytics.plugin as p, jobrunner_analytics; p.jobrunner_queues();"
        "jobrunner_analytics.Analytics;"
        "sys.exit(any(name in sys.modules for name in ('httpx', 'sqlalchemy', 'aiosqlite')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
