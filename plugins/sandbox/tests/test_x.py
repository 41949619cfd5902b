"""X's posts and media."""

from __future__ import annotations

import base64
import time

import httpx

from jobrunner_sandbox import Behaviour, SandboxServer, account_of, fingerprint, picture

JPEG = picture("https://cdn.example.com/1.jpg").content


def post(client: httpx.Client, text: str, *media_ids: str) -> httpx.Response:
    media = {"media": {"media_ids": list(media_ids)}} if media_ids else {}
    return client.post("/x/2/tweets", json={"text": text, **media})


def upload(client: httpx.Client) -> str:
    answer = client.post("/x/2/media/upload", files={"media": JPEG}, data={"media_category": "tweet_image"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["id"])


def test_post_is_answered_with_its_id(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The account is the token's, since no field names one."""
    answer = post(client, "Hello")

    (posted,) = sandbox.ledger.posts("x")
    assert answer.status_code == 201
    assert answer.json()["data"]["id"] == posted.post_id
    assert (posted.account, posted.url) == (
        account_of("secret-token"),
        f"https://x.com/i/web/status/{posted.post_id}",
    )


def test_simple_upload_takes_a_form_or_json(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Both ways of the version 2 API."""
    by_form = upload(client)
    as_json = {"media": base64.b64encode(JPEG).decode(), "media_category": "tweet_image"}
    by_json = client.post("/x/2/media/upload", json=as_json).json()["data"]["id"]

    post(client, "Two", by_form, by_json)

    assert sandbox.ledger.posts("x")[0].media == (fingerprint(JPEG),) * 2


def test_upload_in_parts_is_usable_once_finalized(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Initialize, append, finalize: until the end the id is not valid."""
    begun = client.post(
        "/x/2/media/upload/initialize",
        json={"media_type": "image/jpeg", "total_bytes": len(JPEG), "media_category": "tweet_image"},
    ).json()["data"]["id"]
    address = f"/x/2/media/upload/{begun}"
    half = len(JPEG) // 2
    client.post(f"{address}/append", files={"media": JPEG[:half]}, data={"segment_index": "0"})

    early = client.post(f"{address}/finalize")
    refused = post(client, "Early", begun)
    client.post(f"{address}/append", files={"media": JPEG[half:]}, data={"segment_index": "1"})
    finalized = client.post(f"{address}/finalize")
    posted = post(client, "Late", begun)

    assert (early.status_code, refused.status_code) == (400, 400)
    assert (finalized.json()["data"]["size"], posted.status_code) == (len(JPEG), 201)
    assert sandbox.ledger.posts("x")[0].media == (fingerprint(JPEG),)


def test_duplicate_text_of_an_account_is_refused(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The body is X's own, with the words that adapters look for; other media do not make it new."""
    post(client, "Hello")

    again = post(client, "Hello", upload(client))
    elsewhere = client.post("/x/2/tweets", json={"text": "Hello"}, headers={"Authorization": "Bearer other"})

    assert again.status_code == 403
    assert again.json() == {
        "title": "Forbidden",
        "detail": "You are not allowed to create a Tweet with duplicate content.",
        "type": "about:blank",
        "status": 403,
    }
    assert again.headers["content-type"] == "application/problem+json"
    assert elsewhere.status_code == 201
    assert sandbox.ledger.duplicates() == []


def test_wrong_posts_give_problem_documents(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Nothing that X refuses is in the ledger."""
    answers = [
        post(client, ""),
        post(client, "a", "123"),
        client.post("/x/2/tweets", json={"text": "a", "media": {"media_ids": []}}),
        client.post("/x/2/tweets", content=b"[1]", headers={"content-type": "application/json"}),
        client.post("/x/2/media/upload", files={"media": b"<html>"}, data={"media_category": "tweet_image"}),
        client.post("/x/2/media/upload", files={"media": JPEG}),
        client.post("/x/2/media/upload/initialize", json={"total_bytes": 0}),
        client.post("/x/2/media/upload/9/append", files={"media": JPEG}),
    ]

    for answer in answers:
        assert answer.status_code == answer.json()["status"] == 400
        assert answer.json()["type"].endswith("/invalid-request")
    assert client.get("/x/2/nowhere").json()["title"] == "Not Found"
    assert sandbox.ledger.posts() == []


def test_length_is_weighted(client: httpx.Client) -> None:
    """A character of Japanese counts twice and a link 23, or posts that X takes would be refused here."""
    assert post(client, "x" * 280).status_code == 201
    assert post(client, "x" * 281).status_code == 403
    assert post(client, "東" * 140).status_code == 201
    assert post(client, "東" * 141).status_code == 403
    assert post(client, f"https://example.com/{'a' * 400} {'x' * 256}").status_code == 201


def test_rate_limit_says_when_it_ends(client: httpx.Client, sandbox: SandboxServer) -> None:
    """X has no Retry-After; the time is in a header of its own."""
    sandbox.behaviour = Behaviour(rate_limit_rate=1, retry_after=900)
    before = time.time()

    answer = post(client, "Hello")

    assert (answer.status_code, answer.json()["title"]) == (429, "Too Many Requests")
    assert "retry-after" not in answer.headers
    assert before + 900 <= int(answer.headers["x-rate-limit-reset"]) <= time.time() + 901
    assert sandbox.ledger.posts() == []
