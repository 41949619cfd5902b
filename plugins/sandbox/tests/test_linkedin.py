"""LinkedIn's posts and images."""

from __future__ import annotations

import httpx
import pytest

from jobrunner_sandbox import SandboxServer, fingerprint, picture
from jobrunner_sandbox.services.little_text import shown

AUTHOR = "urn:li:organization:42"
VERSION = {"LinkedIn-Version": "202601", "X-Restli-Protocol-Version": "2.0.0"}
JPEG = picture("https://cdn.example.com/1.jpg").content


def body(text: str, **fields: object) -> dict[str, object]:
    return {
        "author": AUTHOR,
        "commentary": text,
        "visibility": "PUBLIC",
        "distribution": {"feedDistribution": "MAIN_FEED"},
        "lifecycleState": "PUBLISHED",
        **fields,
    }


def post(client: httpx.Client, text: str, **fields: object) -> httpx.Response:
    return client.post("/linkedin/rest/posts", json=body(text, **fields), headers=VERSION)


def announce(client: httpx.Client) -> dict[str, str]:
    answer = client.post(
        "/linkedin/rest/images",
        params={"action": "initializeUpload"},
        json={"initializeUploadRequest": {"owner": AUTHOR}},
        headers=VERSION,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["value"])


def test_post_is_named_by_a_header(client: httpx.Client, sandbox: SandboxServer) -> None:
    """LinkedIn answers without a body; the id is in x-restli-id."""
    answer = post(client, "Hello")

    (posted,) = sandbox.ledger.posts("linkedin")
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["x-restli-id"] == posted.post_id
    assert posted.url == f"https://www.linkedin.com/feed/update/{posted.post_id}"
    read_back = client.get(f"/linkedin/rest/posts/{posted.post_id}", headers=VERSION)
    assert read_back.json()["commentary"] == "Hello"


def test_images_are_uploaded_by_the_address_that_was_given(
    client: httpx.Client, sandbox: SandboxServer
) -> None:
    """The address is absolute and needs no token, as a signed one."""
    image = announce(client)
    early = post(client, "Early", content={"media": {"id": image["image"]}})

    uploaded = httpx.put(image["uploadUrl"], content=JPEG)
    one = post(client, "One", content={"media": {"id": image["image"]}})
    other = announce(client)
    httpx.put(other["uploadUrl"], content=JPEG)
    images = [{"id": image["image"]}, {"id": other["image"]}]
    two = post(client, "Two", content={"multiImage": {"images": images}})

    assert (early.status_code, early.json()["code"]) == (400, "MEDIA_ASSET_WAITING_UPLOAD")
    assert [answer.status_code for answer in (uploaded, one, two)] == [201, 201, 201]
    assert [p.media for p in sandbox.ledger.posts()] == [(fingerprint(JPEG),), (fingerprint(JPEG),) * 2]


def test_duplicate_names_the_post_that_is_there(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The refusal tells an adapter which post its lost answer was about."""
    first = post(client, "Hello").headers["x-restli-id"]

    again = post(client, "Hello")
    elsewhere = post(client, "Hello", author="urn:li:person:abc")

    assert again.status_code == 422
    assert again.json()["errorDetails"]["inputErrors"][0]["code"] == "DUPLICATE_POST"
    assert f"Content is a duplicate of {first}" in again.json()["message"]
    assert elsewhere.status_code == 201
    assert sandbox.ledger.duplicates() == []


@pytest.mark.parametrize(
    ("version", "status", "code"),
    [
        ("", 400, "VERSION_MISSING"),
        ("2026-01", 400, "ILLEGAL_ARGUMENT"),
        ("202301", 426, "NONEXISTENT_VERSION"),
    ],
)
def test_version_must_be_one_that_is_served(
    client: httpx.Client, version: str, status: int, code: str
) -> None:
    """A missing or retired version is the first thing that breaks a LinkedIn client."""
    answer = client.post("/linkedin/rest/posts", json=body("a"), headers={"LinkedIn-Version": version})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "wrong",
    [
        {"author": "linkedin-acme"},
        {"visibility": "EVERYBODY"},
        {"lifecycleState": "DRAFT"},
        {"distribution": {}},
        {"commentary": " "},
        {"content": {"media": {"id": "urn:li:image:none"}}},
        {"content": {"multiImage": {"images": [{"id": "one"}]}}},
    ],
)
def test_wrong_field_is_named(client: httpx.Client, sandbox: SandboxServer, wrong: dict[str, object]) -> None:
    """The message names the field, in LinkedIn's four fields."""
    answer = client.post("/linkedin/rest/posts", json={**body("a"), **wrong}, headers=VERSION)

    error = answer.json()
    assert answer.status_code == error["status"] == 422
    assert {"serviceErrorCode", "code", "message"} <= error.keys()
    assert f"/{next(iter(wrong))}" in error["message"]
    assert sandbox.ledger.posts() == []


def test_upload_of_something_else_is_refused(client: httpx.Client) -> None:
    """A media fetch that returned a web page must not pass for an image."""
    image = announce(client)

    assert httpx.put(image["uploadUrl"], content=b"<html>").status_code == 400
    assert httpx.put(f"{image['uploadUrl']}0", content=JPEG).status_code == 404


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("plain #tag", "plain #tag"),
        (r"1 \(one\) \[two\] a\_b", "1 (one) [two] a_b"),
        (r"{hashtag|\#|winter} sale", "#winter sale"),
        ("thanks @[Ines K.](urn:li:person:1)!", "thanks Ines K.!"),
        ("cut (here) off", "cut "),
        ("a\\", "a\\"),
    ],
)
def test_commentary_is_shown_as_little_text(sent: str, seen: str) -> None:
    """An unescaped bracket cuts a post in silence, which only a stand-in that does so can show."""
    assert shown(sent) == seen
