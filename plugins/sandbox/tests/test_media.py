"""The gateway that serves media."""

from __future__ import annotations

import struct
import zlib

import httpx
import pytest

from jobrunner_sandbox import SandboxServer, picture
from jobrunner_sandbox.pictures import flat_png, recognise, size_of


def test_same_address_gives_the_same_picture(client: httpx.Client) -> None:
    """A retry must upload the same bytes, or a test could not tell a repeat from another post."""
    url = "https://cdn.example.com/acme/0001-0.jpg"

    first = client.get("/media", params={"url": url})
    again = client.get("/media/media", params={"url": url})
    other = client.get("/media", params={"url": f"{url}?2"})

    assert first.content == again.content == picture(url).content
    assert first.headers["content-type"] == "image/jpeg"
    assert other.content != first.content


def test_pictures_are_valid(client: httpx.Client) -> None:
    """The platforms look at the first bytes and the size, and so may an adapter."""
    jpeg = client.get("/media", params={"url": "https://cdn.example.com/1.jpg"})
    png = client.get("/media", params={"url": "https://cdn.example.com/1.PNG"})

    frame = jpeg.content.index(b"\xff\xc0")
    assert recognise(jpeg.content) == jpeg.headers["content-type"] == "image/jpeg"
    assert struct.unpack(">HH", jpeg.content[frame + 5 : frame + 9]) == (640, 640)
    assert jpeg.content.endswith(b"\xff\xd9")
    assert recognise(png.content) == png.headers["content-type"] == "image/png"
    assert struct.unpack(">II", png.content[16:24]) == (640, 640)
    assert struct.unpack(">I", png.content[29:33]) == (zlib.crc32(png.content[12:29]),)


def test_troubles_are_asked_for_by_path(client: httpx.Client) -> None:
    """Each is something that a guarded fetch has to withstand."""
    missing = client.get("/media", params={"url": "https://cdn.example.com/not-found/1.jpg"})
    moved = client.get("/media", params={"url": "https://cdn.example.com/redirect/1.jpg"})
    page = client.get("/media", params={"url": "https://cdn.example.com/not-an-image.jpg"})
    with client.stream("GET", "/media", params={"url": "https://cdn.example.com/too-large/1.jpg"}) as large:
        announced = int(large.headers["content-length"])

    assert missing.status_code == 404
    assert (moved.status_code, moved.has_redirect_location) == (302, True)
    assert page.headers["content-type"].startswith("text/html")
    assert announced > 50_000_000


@pytest.mark.parametrize("url", ["", "http://cdn.example.com/1.jpg", "file:///etc/passwd", "https:///1.jpg"])
def test_only_https_addresses_are_served(client: httpx.Client, url: str) -> None:
    """The gateway never stands in for a local file."""
    assert client.get("/media", params={"url": url}).status_code == 400


def test_no_token_is_needed(sandbox: SandboxServer) -> None:
    """A CDN asks for none."""
    answer = httpx.get(sandbox.services()["media"], params={"url": "https://cdn.example.com/1.jpg"})

    assert answer.status_code == 200


def test_pictures_of_a_folder_are_served_and_nothing_beside_it(tmp_path):
    """The demo publishes what was drawn; an address must not lead out of the folder, nor to what is no picture."""
    folder = tmp_path / "pictures"
    (folder / "north").mkdir(parents=True)
    drawn = flat_png(b"colour and more", 480, 320)
    (folder / "north" / "one.png").write_bytes(drawn)
    (folder / "notes.txt").write_text("secret")
    (tmp_path / "outside.png").write_bytes(drawn)
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    with SandboxServer.in_thread(pictures=folder) as server, httpx.Client() as client:

        def get(path, host="pictures.example.com"):
            return client.get(server.services()["media"], params={"url": f"https://{host}/{path}"})

        found = get("north/one.png")
        assert (found.content, found.headers["content-type"]) == (drawn, "image/png")
        assert get("north/one.png", host="elsewhere.example.com").content != drawn
        for path in (
            *("", "north", "north/two.png", "notes.txt", "link.png", "../outside.png", "%2e%2e/outside.png"),
            *(
                "north/../../outside.png",
                f"/{tmp_path}/outside.png",
                "north/one.png%00",
                "north%2f..%2f..%2foutside.png",
            ),
        ):
            assert get(path).status_code == 404, path


def test_size_of_a_picture_is_read_from_its_bytes():
    """It decides whether the demo's images are as they were asked for."""
    assert size_of(flat_png(b"123", 480, 320)) == (480, 320)
    jpeg = picture("https://cdn.example.com/1.jpg").content
    assert size_of(jpeg) == (640, 640)
    assert size_of(b"GIF89a" + bytes(20)) is None
    assert [size_of(jpeg[:length]) for length in range(0, 100, 7)] == [None] * 15
