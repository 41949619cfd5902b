"""Mastodon's statuses and media."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from jobrunner_sandbox import Behaviour, SandboxServer, fingerprint, picture

PNG = picture("https://cdn.example.com/1.png").content


def post(
    client: httpx.Client, text: str, *, key: str = "", media_ids: tuple[str, ...] = ()
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    data = {"status": text, "media_ids[]": list(media_ids)}
    return client.post("/mastodon/api/v1/statuses", data=data, headers=headers)


def upload(client: httpx.Client) -> httpx.Response:
    return client.post("/mastodon/api/v2/media", files={"file": ("1.png", PNG, "image/png")})


def test_status_is_posted_with_its_media(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The answer has what a client shows: the id, the address, the attachments."""
    media = upload(client).json()

    answer = post(client, "Hello <b>", media_ids=(media["id"],))

    status = answer.json()
    (posted,) = sandbox.ledger.posts("mastodon")
    assert (answer.status_code, status["id"], status["url"]) == (200, posted.post_id, posted.url)
    assert status["content"] == "<p>Hello &lt;b&gt;</p>"
    assert [item["id"] for item in status["media_attachments"]] == [media["id"]]
    assert posted.media == (fingerprint(PNG),)


def test_json_body_is_taken_like_a_form(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Both are documented."""
    media_id = upload(client).json()["id"]

    client.post("/mastodon/api/v1/statuses", json={"status": "Hello", "media_ids": [media_id]})

    assert sandbox.ledger.posts()[0].media == (fingerprint(PNG),)


def test_same_key_gives_the_same_status(
    client: httpx.Client, sandbox: SandboxServer, set_ahead: Callable[[float], None]
) -> None:
    """This is what makes a Mastodon post exactly once, for an hour and an account."""
    first = post(client, "Hello", key="job-1").json()

    again = post(client, "Hello", key="job-1")
    other_text = post(client, "Other", key="job-1")
    other_account = client.post(
        "/mastodon/api/v1/statuses",
        data={"status": "Hello"},
        headers={"Idempotency-Key": "job-1", "Authorization": "Bearer other"},
    )
    set_ahead(3601)
    later = post(client, "Hello", key="job-1")

    assert again.status_code == 200
    assert again.json()["id"] == other_text.json()["id"] == first["id"]
    assert len({first["id"], other_account.json()["id"], later.json()["id"]}) == 3
    assert [posted.idempotency for posted in sandbox.ledger.posts()] == ["job-1"] * 3


def test_repeat_without_a_key_is_another_status(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Mastodon refuses no duplicate by itself, and the ledger shows it."""
    post(client, "Hello")
    post(client, "Hello")

    (group,) = sandbox.ledger.duplicates()
    assert [posted.text for posted in group] == ["Hello", "Hello"]


def test_media_in_processing_cannot_be_attached(client: httpx.Client, sandbox: SandboxServer) -> None:
    """202, then 206 until it is there: an adapter has to ask."""
    sandbox.behaviour = Behaviour(publish_delay=600)
    uploaded = upload(client)
    media_id = uploaded.json()["id"]

    waiting = client.get(f"/mastodon/api/v1/media/{media_id}")
    early = post(client, "Early", media_ids=(media_id,))
    sandbox.behaviour = Behaviour()
    there = client.get(f"/mastodon/api/v1/media/{media_id}")

    assert (uploaded.status_code, uploaded.json()["url"]) == (202, None)
    assert (waiting.status_code, early.status_code, there.status_code) == (206, 422, 200)
    assert post(client, "Late", media_ids=(media_id,)).status_code == 200
    assert client.get(f"/mastodon/api/v1/media/{media_id}").status_code == 404


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"status": " "}, "Text can't be blank"),
        ({"status": "x" * 501}, "character limit of 500"),
        ({"status": "a", "visibility": "secret"}, "Visibility"),
        ({"status": "a", "media_ids[]": ["1"]}, "not found"),
        ({"status": "a", "media_ids[]": ["1", "2", "3", "4", "5"]}, "more than 4"),
    ],
)
def test_wrong_status_is_refused(
    client: httpx.Client, sandbox: SandboxServer, data: dict[str, object], message: str
) -> None:
    """One field, `error`, and nothing posted."""
    answer = client.post("/mastodon/api/v1/statuses", data=data)

    assert answer.status_code == 422
    assert message in answer.json()["error"]
    assert sandbox.ledger.posts() == []


def test_upload_must_be_an_image(client: httpx.Client) -> None:
    """A media fetch that returned a web page must not pass for an image."""
    assert client.post("/mastodon/api/v2/media", files={"file": b"<html>"}).status_code == 422
    assert client.post("/mastodon/api/v2/media", data={}).status_code == 422


def test_every_answer_tells_the_rate_limit(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The reset is ISO 8601, unlike X's; a client that mistakes it waits forever."""
    first, second = post(client, "One"), post(client, "Two")
    sandbox.behaviour = Behaviour(rate_limit_rate=1, retry_after=30)
    refused = post(client, "Three")

    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in (first, second, refused)]
    assert left[2] == 0 < left[1] < left[0] < 300
    assert refused.status_code == 429
    assert datetime.fromisoformat(refused.headers["X-RateLimit-Reset"]) > datetime.now(UTC)
