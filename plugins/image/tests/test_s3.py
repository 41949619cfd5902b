"""Pictures in a bucket: a real server that speaks S3, on loopback, and a line to it that breaks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import boto3
import pytest

from jobrunner.testing import Performed, perform_job
from jobrunner_image import ImageSettings
from jobrunner_image.storage import Gallery, open_gallery

pytestmark = pytest.mark.long

CARD = {
    "tenantId": "acme",
    "brandId": "b",
    "postId": "post-1",
    "prompt": "Hello",
    "style": "minimalist",
    "dimensions": {"width": 320, "height": 240},
}


class Line:
    """A line to a server, each connection of which can be made to break after some bytes."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.breaks_after: int | None = None
        self.broken = 0
        self._connections: list[socket.socket] = []
        self._carriers: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._listener.close()
        for carrier in self._carriers:
            carrier.join()

    def hang_up(self) -> None:
        """End every connection, since a driver keeps its own open."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                self._connections.append(ours)
                carrier = threading.Thread(target=self._join_up, args=(ours,))
                carrier.start()
                self._carriers.append(carrier)

    def _join_up(self, ours: socket.socket) -> None:
        with ours, socket.create_connection(("127.0.0.1", self._to)) as theirs:
            back = threading.Thread(target=self._carry, args=(theirs, ours, False))
            back.start()
            self._carry(ours, theirs, True)
            back.join()

    def _carry(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        carried = 0
        with suppress(OSError):
            while data := source.recv(16_384):
                carried += len(data)
                if is_request and self.breaks_after is not None and carried > self.breaks_after:
                    self.broken += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The server, in a process of its own; it says where it listens."""
    code = (
        "import sys; from moto.server import ThreadedMotoServer;"
        "server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False); server.start();"
        "print(server.get_host_and_port()[1], flush=True); sys.stdin.read(); server.stop()"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()
        process.wait(30)


@pytest.fixture
def line(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The line that the driver takes, by the variables that all of Amazon's tools know."""
    with closing(Line(server)) as line:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key-77")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield line
        # The driver keeps its connections, which would keep the line.
        from s3fs import S3FileSystem

        S3FileSystem.clear_instance_cache()
        line.hang_up()


class Bucket:
    """A bucket as its owner sees it, on a line of its own that never breaks."""

    def __init__(self, server: int, name: str) -> None:
        self._client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server}")
        self.name = name
        self._client.create_bucket(Bucket=name)

    def paths(self) -> list[str]:
        listed = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(one["Key"] for one in listed)

    def content(self, path: str) -> bytes:
        return bytes(self._client.get_object(Bucket=self.name, Key=path)["Body"].read())

    def tag(self, path: str) -> str:
        return str(self._client.head_object(Bucket=self.name, Key=path)["ETag"]).strip('"')


@pytest.fixture
def bucket(server: int, line: Line) -> Bucket:
    return Bucket(server, f"pictures-{line.port}")


@pytest.fixture
def gallery(bucket: Bucket) -> Gallery:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # it was made for another test's line
    return open_gallery(ImageSettings(output_url=f"s3://{bucket.name}/images"))


def test_picture_is_in_the_bucket_under_the_address_that_is_told(bucket: Bucket, gallery: Gallery) -> None:
    """Whoever reads the result fetches it with any S3 client."""
    url = gallery.put("acme/1.png", b"picture")

    assert url == f"s3://{bucket.name}/images/acme/1.png"
    assert bucket.content("images/acme/1.png") == b"picture"


def test_largest_picture_is_one_write(bucket: Bucket, gallery: Gallery) -> None:
    """In parts it could be left half-written; 8,388,608 pixels in PNG are 24 MiB where nothing can be packed."""
    content = os.urandom(24 << 20)

    gallery.put("acme/large.png", content)

    assert bucket.content("images/acme/large.png") == content
    # The digest of an object that came in parts has their number behind a dash.
    assert bucket.tag("images/acme/large.png") == hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_line_that_breaks_half_way_leaves_nothing_and_the_former_picture_stays(
    bucket: Bucket, gallery: Gallery, line: Line
) -> None:
    """Whoever reads the bucket meanwhile never gets half a picture."""
    gallery.put("acme/1.png", b"former")
    content = os.urandom(2 << 20)
    line.breaks_after = 1 << 20

    for path in ("acme/1.png", "acme/2.png"):
        with pytest.raises(OSError, match=r"acme/\d\.png") as caught:
            gallery.put(path, content)
        assert "a-secret-key-77" not in str(caught.value)

    assert line.broken >= 2
    assert bucket.paths() == ["images/acme/1.png"]
    assert bucket.content("images/acme/1.png") == b"former"
    line.breaks_after = None
    gallery.put("acme/2.png", content)
    assert bucket.content("images/acme/2.png") == content


def test_job_whose_picture_cannot_be_stored_is_tried_again_and_stores_it_once(
    bucket: Bucket, gallery: Gallery, line: Line
) -> None:
    """The same path in each attempt: what a broken attempt may have left is written over."""
    settings = {"output_url": f"s3://{bucket.name}/images"}
    line.breaks_after = 1024

    async def perform(attempt: int) -> Performed:
        return await perform_job(
            "image.generate", CARD, plugin="image", settings=settings, job_id="one", attempt=attempt
        )

    first = asyncio.run(perform(1))
    line.breaks_after = None
    again = asyncio.run(perform(2))

    assert first.outcome == "retried"
    result = again.expect("completed").result
    assert isinstance(result, dict)
    assert bucket.paths() == [f"images/{result['path']}"]
    assert result["url"] == f"s3://{bucket.name}/images/{result['path']}"
    content = bucket.content(f"images/{result['path']}")
    assert (len(content), hashlib.sha256(content).hexdigest()) == (result["bytes"], result["sha256"])
