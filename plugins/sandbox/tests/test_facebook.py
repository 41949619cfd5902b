"""The Graph API's Facebook pages."""

from __future__ import annotations

import json

import httpx

from jobrunner_sandbox import SandboxServer

PAGE = "/graph/v23.0/page-1"


def test_text_is_posted_and_can_be_looked_up(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The adapter reads the post's address back by its id."""
    answer = client.post(f"{PAGE}/feed", data={"message": "Hello"})

    post_id = answer.json()["id"]
    shown = client.get(f"/graph/v23.0/{post_id}", params={"fields": "permalink_url,message"}).json()
    (post,) = sandbox.ledger.posts("facebook")
    assert answer.status_code == 200
    assert shown == {"id": post_id, "permalink_url": post.url, "message": "Hello"}
    assert (post.account, post.post_id, post.text) == ("page-1", post_id, "Hello")


def test_photos_are_attached_in_order(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A post of several pictures is made of photos that were added unpublished."""
    urls = ["https://cdn.example.com/1.jpg", "https://cdn.example.com/2.jpg"]
    ids = [
        client.post(f"{PAGE}/photos", data={"url": url, "published": "false"}).json()["id"] for url in urls
    ]
    assert sandbox.ledger.posts() == []

    attached = {f"attached_media[{n}]": json.dumps({"media_fbid": i}) for n, i in enumerate(ids)}
    as_form = client.post(f"{PAGE}/feed", data={"message": "Form", **attached})
    as_json = client.post(
        f"{PAGE}/feed", json={"message": "JSON", "attached_media": [{"media_fbid": i} for i in ids]}
    )

    assert as_form.status_code == as_json.status_code == 200
    assert [post.media for post in sandbox.ledger.posts()] == [tuple(urls), tuple(urls)]


def test_published_photo_is_a_post(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A photo is published at once unless the client says otherwise."""
    answer = client.post(f"{PAGE}/photos", data={"url": "https://cdn.example.com/1.jpg", "caption": "Look"})

    (post,) = sandbox.ledger.posts("facebook")
    assert answer.json()["post_id"] == post.post_id
    assert (post.text, post.media) == ("Look", ("https://cdn.example.com/1.jpg",))


def test_only_a_repeat_of_the_last_post_is_refused(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Facebook refuses consecutive duplicates alone, so an adapter cannot rely on it for older ones."""
    client.post(f"{PAGE}/feed", data={"message": "One"})

    repeat = client.post(f"{PAGE}/feed", data={"message": "One"})
    client.post(f"{PAGE}/feed", data={"message": "Two"})
    later = client.post(f"{PAGE}/feed", data={"message": "One"})

    error = repeat.json()["error"]
    assert (repeat.status_code, error["code"], error["error_subcode"]) == (400, 506, 1455006)
    assert later.status_code == 200
    assert [len(group) for group in sandbox.ledger.duplicates()] == [2]


def test_feed_lists_newest_first(client: httpx.Client) -> None:
    """After a lost answer, the feed is where an adapter finds its post."""
    for text in ("One", "Two"):
        client.post(f"{PAGE}/feed", data={"message": text})

    listed = client.get(f"{PAGE}/feed", params={"fields": "message", "limit": 1}).json()["data"]

    assert [post["message"] for post in listed] == ["Two"]


def test_wrong_fields_give_graph_errors(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Every refusal has the shape that clients sort by: code, subcode, type, trace id."""
    cases = {
        "empty": (client.post(f"{PAGE}/feed", data={}), 100),
        "no photo": (client.post(f"{PAGE}/photos", data={}), 324),
        "unknown photo": (
            client.post(f"{PAGE}/feed", json={"message": "a", "attached_media": [{"media_fbid": "9"}]}),
            100,
        ),
        "media not found": (
            client.post(f"{PAGE}/photos", data={"url": "https://cdn.example.com/not-found/1.jpg"}),
            9004,
        ),
        "too large": (
            client.post(f"{PAGE}/photos", data={"url": "https://cdn.example.com/too-large.jpg"}),
            36000,
        ),
        "unknown object": (client.get("/graph/v23.0/123"), 100),
        "unknown edge": (client.post(f"{PAGE}/nothing"), 2500),
        "no version": (client.get("/graph/latest/123"), 2500),
        "not JSON": (
            client.post(f"{PAGE}/feed", content=b"{", headers={"content-type": "application/json"}),
            100,
        ),
    }

    for name, (answer, code) in cases.items():
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, code), name
        assert {"message", "type", "fbtrace_id"} <= error.keys(), name
    assert sandbox.ledger.posts() == []


def test_version_may_be_left_out(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The real API serves an address without a version, too."""
    post_id = client.post("/graph/page-1/feed", data={"message": "Hello"}).json()["id"]

    assert client.get(f"/graph/{post_id}").json() == {"id": post_id}
    assert sandbox.ledger.counts() == {"facebook": 1}
