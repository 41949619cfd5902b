"""Where pictures go: whole or not at all, in a real folder and in a store that takes whole objects."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from jobrunner import PluginError
from jobrunner_image import ImageSettings
from jobrunner_image.storage import Folder, open_gallery


def test_folder_gets_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    """No temporary file is left for a web server to serve."""
    url = Folder(tmp_path / "out").put("acme/1.png", b"picture")

    assert (tmp_path / "out/acme/1.png").read_bytes() == b"picture"
    assert url == (tmp_path / "out/acme/1.png").as_uri()
    assert [path.name for path in (tmp_path / "out/acme").iterdir()] == ["1.png"]


def test_second_attempt_replaces_the_file(tmp_path: Path) -> None:
    """A retry leaves one picture, and it is readable for others."""
    folder = Folder(tmp_path)
    folder.put("acme/1.png", b"first, and longer")

    folder.put("acme/1.png", b"second")

    assert (tmp_path / "acme/1.png").read_bytes() == b"second"
    assert stat.S_IMODE((tmp_path / "acme/1.png").stat().st_mode) == 0o644


def test_write_that_fails_leaves_the_former_picture(tmp_path: Path) -> None:
    """What is there is never half of something."""
    folder = Folder(tmp_path)
    folder.put("acme/1.png", b"good")

    with pytest.raises(TypeError):
        folder.put("acme/1.png", "no bytes")  # type: ignore[arg-type]  # what a full disk does at the same place

    assert (tmp_path / "acme/1.png").read_bytes() == b"good"
    assert [path.name for path in (tmp_path / "acme").iterdir()] == ["1.png"]


def test_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Somebody who may write into the folder must not make the worker write elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    folder = Folder(tmp_path / "out")
    (tmp_path / "out/acme").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermissionError, match="out of the output folder"):
        folder.put("acme/1.png", b"picture")

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_object_store_gets_the_object_in_one_write() -> None:
    """A store has no rename; one write of the whole object is atomic there."""
    gallery = open_gallery(ImageSettings(output_url="memory://bucket/images/"))

    url = gallery.put("acme/1.png", b"picture")

    assert fsspec.filesystem("memory").cat_file("/bucket/images/acme/1.png") == b"picture"
    assert url == "memory:///bucket/images/acme/1.png"


def test_file_url_and_home_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which people write a folder."""
    monkeypatch.setenv("HOME", str(tmp_path))

    open_gallery(ImageSettings(output_url=f"file://{tmp_path}/a")).put("t/1.png", b"1")
    open_gallery(ImageSettings(output_url="~/b")).put("t/1.png", b"1")

    assert (tmp_path / "a/t/1.png").exists()
    assert (tmp_path / "b/t/1.png").exists()


def test_folder_that_cannot_be_made_stops_the_worker_by_its_setting(tmp_path: Path) -> None:
    """At the start, and not with the first picture."""
    (tmp_path / "file").touch()

    with pytest.raises(PluginError, match=r"JOBRUNNER_IMAGE_OUTPUT_URL: .*file is no folder"):
        open_gallery(ImageSettings(output_url=str(tmp_path / "file/images")))


def test_driver_that_is_missing_is_named() -> None:
    """Whoever sets a bucket learns which extra to install; the driver is hidden, since it is installed here."""
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from jobrunner_image import ImageSettings; from jobrunner_image.storage import open_gallery\n"
        "open_gallery(ImageSettings(output_url='s3://bucket/images'))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert "PluginError: JOBRUNNER_IMAGE_OUTPUT_URL" in done.stderr
    assert "jobrunner-image[s3]" in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/images",
        "s3://user@bucket/images",
        "ftp://host/images",
        "http://host/images",
        "simplecache::s3://bucket/x",
        "abfs://box:secret@account/x",
    ],
)
def test_url_that_is_not_atomic_or_holds_credentials_is_refused(url: str) -> None:
    """Settings are shown to people; and half a picture must never be."""
    with pytest.raises(ValueError, match="output_url must") as caught:
        ImageSettings(output_url=url)

    assert "secret" not in str(caught.value)


def test_container_of_an_account_is_no_credential() -> None:
    """`abfs://CONTAINER@ACCOUNT` is how Azure's addresses look."""
    assert ImageSettings(output_url="abfs://box@account.dfs.core.windows.net/x").output_scheme == "abfs"
