"""Writers of other distributions: found by their entry point, checked at a worker's start, and never trusted."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path

import pytest
from content_desk import Desk, month

from jobrunner import PluginError, SettingsError
from jobrunner_content import ContentSettings, PostStore
from jobrunner_content.registry import find_writer, open_writer

HAIKU = """
from contextlib import asynccontextmanager
from jobrunner_content import PostText, TransientError

class Haiku:
    async def write(self, brief):
        return PostText(hook=f"{brief.topic}, {brief.platform}", body="An old silent pond", hashtags=("#haiku",))

@asynccontextmanager
async def open_writer(settings):
    yield Haiku()
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, point: str, module: str) -> str:
    """Put a wheel on the path, as an application does that ships its packages so; returns the module's name."""
    unique = f"{name.replace('-', '_')}_{abs(hash(module)) % 10**8}"
    wheel = folder / f"{name.replace('-', '_')}-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        info = f"{name.replace('-', '_')}-1.2.dist-info"
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        points = f"[jobrunner_content.writers]\n{point} = {unique}:open_writer\n"
        packed.writestr(f"{info}/entry_points.txt", points)
        packed.writestr(f"{unique}.py", module)
    monkeypatch.syspath_prepend(str(wheel))
    importlib.invalidate_caches()
    return unique


async def test_third_distribution_adds_a_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk, posts: PostStore
) -> None:
    """The point of the registry: a wheel, an entry point, a setting, and no line of ours is changed."""
    install(tmp_path, monkeypatch, name="content-haiku", point="haiku", module=HAIKU)
    desk.writer = "Haiku"

    done = (await desk.write(month(contentCount=2))).expect("completed")

    post = await posts.find("demo-tenant", done.result["posts"]["x"][0])
    assert post is not None
    assert (post.text.hook, post.text.hashtags) == ("winter coffee, x", ("haiku",))


def test_unknown_writer_names_the_setting_and_those_there_are() -> None:
    """A spelling mistake shows at the start."""
    with pytest.raises(SettingsError, match=r"JOBRUNNER_CONTENT_WRITER.*openai, template"):
        find_writer("templates")


def test_two_writers_of_one_name_are_blamed_on_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them writes must not be chance."""
    install(tmp_path, monkeypatch, name="content-other", point="Template", module=HAIKU)

    with pytest.raises(PluginError, match=r"content-other 1\.2"):
        find_writer("template")


NO_WRITER = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def open_writer(settings):
    yield 5
"""


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (
            "raise RuntimeError('no good')\n",
            r"content-broken 1\.2.*cannot be imported: RuntimeError: no good",
        ),
        ("open_writer = 5\n", r"content-broken 1\.2.*cannot be called"),
        ("def open_writer(settings): return 5\n", "cannot be opened: TypeError"),
        ("def open_writer(settings): raise OSError('away')\n", "cannot be opened: OSError: away"),
        (NO_WRITER, "int has no `async def write"),
    ],
)
async def test_writer_that_cannot_be_used_is_blamed(
    module: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stops at its start and says what to mend or to uninstall."""
    install(tmp_path, monkeypatch, name="content-broken", point="broken", module=module)

    with pytest.raises(PluginError, match=problem):
        async with open_writer(ContentSettings(writer="broken")):
            pass


WILD = """
from contextlib import asynccontextmanager
from jobrunner_content import PostText

class Wild:
    async def write(self, brief):
        match brief.number:
            case 1: return PostText(hook=5, body="", hashtags=())
            case 2: return "a text"
            case 3: raise KeyError("a bug")
            case 4: return PostText(hook="h", body="b" * 281, hashtags=())
            case 5: return PostText(hook="  two\\nlines ", body=" b ", hashtags=["# a", "A", "#b"])

@asynccontextmanager
async def open_writer(settings):
    yield Wild()
"""


async def test_what_a_writer_gives_is_checked_like_anything_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk, posts: PostStore
) -> None:
    """Its mistakes cost the post in question, and never the store or the other posts."""
    install(tmp_path, monkeypatch, name="content-wild", point="wild", module=WILD)
    desk.writer = "wild"

    done = await desk.write(month(contentCount=5, platforms=["x"]))

    assert done.outcome == "retried"
    assert "4 of 5 posts not written" in done.error.message
    assert "the writer wild broke: KeyError" in done.error.message
    assert "where 280 are the most" in done.error.message
    assert [await posts.find("demo-tenant", f"december-{number:03d}") for number in range(1, 5)] == [None] * 4
    fifth = await posts.find("demo-tenant", "december-005")
    assert fifth is not None
    assert (fifth.text.hook, fifth.text.body, fifth.text.hashtags) == ("two lines", "b", ("a", "b"))
