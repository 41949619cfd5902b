"""Where pictures go: a folder of this machine's or an object store, through fsspec.

A picture is there whole or not at all: a folder gets a temporary file that is renamed, a store one write of the
whole object. Blocking; called in a thread. Never reads a picture and never deletes one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Protocol

import fsspec  # type: ignore[import-untyped]  # it has no types
from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # likewise

from jobrunner import PluginError
from jobrunner_image.settings import ImageSettings

FILE_MODE = 0o644
"""Pictures are for others to read, such as a web server; a temporary file is made for its owner alone."""


class Gallery(Protocol):
    """A place for pictures."""

    def put(self, path: str, content: bytes) -> str:
        """Store a picture whole, over one that is there, and return its URL.

        Args:
            path: Below the place, with `/`, as `picture_path` makes it.
            content: The file.
        """
        ...


class Folder:
    """A folder of this machine's.

    Args:
        root: The folder; made with the first picture where it is not there, so that a worker of other queues leaves
            none behind.

    Raises:
        PermissionError: It is not there and cannot be made, or nothing may be written into it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        there = next(path for path in (self._root, *self._root.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(f"{there} is no folder that may be written to")

    def put(self, path: str, content: bytes) -> str:
        """Store a picture; see `Gallery.put`. It is on the disk, and not only in memory, when this returns."""
        target = self._root / path
        if self._root not in target.resolve().parents:
            # By its name it cannot; a link that somebody put into the folder could lead out of it.
            raise PermissionError(f"{path} leads out of the output folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(FILE_MODE)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return target.as_uri()


class ObjectStore:
    """A place in an object store.

    Args:
        system: The store's file system.
        root: The place in it.
    """

    def __init__(self, system: fsspec.AbstractFileSystem, root: str) -> None:
        self._system = system
        self._root = root.rstrip("/")

    def put(self, path: str, content: bytes) -> str:
        """Store a picture by one write; see `Gallery.put`.

        Raises:
            OSError: The store cannot be reached, or refuses; whatever was there is there.
        """
        target = f"{self._root}/{path}"
        try:
            self._system.pipe_file(target, content)
        except Exception as error:
            # A driver raises its client's own errors besides those of a file system.
            told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise OSError(f"{path} cannot be stored: {told}") from error
        return str(self._system.unstrip_protocol(target))


def open_gallery(settings: ImageSettings) -> Gallery:
    """Open the place that the settings name.

    Raises:
        PluginError: The folder cannot be made, or the store's driver is not installed.
    """
    url = settings.output_url
    if settings.is_local:
        root = url if "://" not in url else url.partition("://")[2]
        try:
            return Folder(Path(root).expanduser())
        except OSError as error:
            raise PluginError(f"JOBRUNNER_IMAGE_OUTPUT_URL: {error.strerror or error}") from None
    try:
        system, root = url_to_fs(url)
    except ImportError as error:
        extra = "jobrunner-image[s3]" if settings.output_scheme in ("s3", "s3a") else "its driver for fsspec"
        raise PluginError(
            f"JOBRUNNER_IMAGE_OUTPUT_URL is a {settings.output_scheme}:// URL: install {extra} ({error})"
        ) from None
    return ObjectStore(system, root)
