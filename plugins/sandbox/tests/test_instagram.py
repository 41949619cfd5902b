"""The Graph API's Instagram accounts."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from jobrunner_sandbox import Behaviour, SandboxServer

USER = "/graph/v23.0/178414"
URL = "https://cdn.example.com/1.jpg"


def container(client: httpx.Client, **fields: str) -> str:
    answer = client.post(f"{USER}/media", data=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def status_of(client: httpx.Client, container_id: str) -> str:
    answer = client.get(f"/graph/v23.0/{container_id}", params={"fields": "status_code"})
    return str(answer.json()["status_code"])


def publish(client: httpx.Client, container_id: str) -> httpx.Response:
    return client.post(f"{USER}/media_publish", data={"creation_id": container_id})


def test_finished_container_is_published(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The three calls of the real flow, and the address read back."""
    container_id = container(client, image_url=URL, caption="Hello")
    assert status_of(client, container_id) == "FINISHED"
    assert sandbox.ledger.posts() == []

    answer = publish(client, container_id)

    shown = client.get(f"/graph/v23.0/{answer.json()['id']}", params={"fields": "permalink"}).json()
    (post,) = sandbox.ledger.posts("instagram")
    assert (post.account, post.text, post.media, post.url) == ("178414", "Hello", (URL,), shown["permalink"])
    assert status_of(client, container_id) == "PUBLISHED"


def test_container_is_not_published_before_it_is_finished(
    client: httpx.Client, sandbox: SandboxServer, set_ahead: Callable[[float], None]
) -> None:
    """An adapter that does not wait must see the real API's refusal."""
    sandbox.behaviour = Behaviour(publish_delay=60)
    container_id = container(client, image_url=URL)

    early = publish(client, container_id)
    before = status_of(client, container_id)
    set_ahead(61)
    after = status_of(client, container_id)

    error = early.json()["error"]
    assert (early.status_code, error["code"], error["error_subcode"]) == (400, 9007, 2207027)
    assert (before, after) == ("IN_PROGRESS", "FINISHED")
    assert publish(client, container_id).status_code == 200


def test_container_is_published_once(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The container's id is what makes an Instagram post exactly once."""
    container_id = container(client, image_url=URL)
    publish(client, container_id)

    again = publish(client, container_id)

    assert (again.status_code, again.json()["error"]["code"]) == (400, 24)
    assert status_of(client, container_id) == "PUBLISHED"
    assert sandbox.ledger.counts() == {"instagram": 1}


def test_carousel_shows_its_children_in_order(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A carousel is a container of containers."""
    urls = [f"https://cdn.example.com/{n}.jpg" for n in range(3)]
    children = [container(client, image_url=url, is_carousel_item="true") for url in urls]

    carousel = container(client, media_type="CAROUSEL", children=",".join(children), caption="Three")
    publish(client, carousel)

    (post,) = sandbox.ledger.posts("instagram")
    assert (post.text, post.media) == ("Three", tuple(urls))


def test_container_that_fails_or_expires_is_never_published(
    client: httpx.Client, sandbox: SandboxServer, set_ahead: Callable[[float], None]
) -> None:
    """Both states end an adapter's waiting, and need another container."""
    failed = container(client, image_url="https://cdn.example.com/container-error/1.jpg")
    expired = container(client, image_url="https://cdn.example.com/container-expired/1.jpg")
    old = container(client, image_url=URL)
    set_ahead(24 * 3600 + 1)

    assert [status_of(client, one) for one in (expired, old)] == ["EXPIRED", "EXPIRED"]
    set_ahead(0)
    assert status_of(client, failed) == "ERROR"
    assert {publish(client, one).status_code for one in (failed, expired)} == {400}
    assert sandbox.ledger.posts() == []


def test_wrong_containers_are_refused(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Each mistake has its own code, and publishes nothing."""
    item = container(client, image_url=URL, is_carousel_item="true")
    other = client.post("/graph/v23.0/999/media", data={"image_url": URL}).json()["id"]

    def create(**fields: str) -> int:
        return int(client.post(f"{USER}/media", data=fields).json()["error"]["code"])

    assert create() == 100
    assert create(image_url="ftp://cdn.example.com/1.jpg") == 9004
    assert create(image_url=URL, caption="x" * 2201) == 36004
    assert create(media_type="CAROUSEL", children=item) == 100
    assert create(media_type="CAROUSEL", children=f"{item},{other}") == 100
    assert publish(client, item).json()["error"]["code"] == 100
    assert publish(client, other).json()["error"]["code"] == 24
    assert publish(client, "").json()["error"]["code"] == 100
    assert sandbox.ledger.posts() == []


def test_media_are_listed_newest_first(client: httpx.Client) -> None:
    """After a lost answer, the list is where an adapter finds the id of what its container became."""
    for caption in ("One", "Two"):
        publish(client, container(client, image_url=URL, caption=caption))

    listed = client.get(f"{USER}/media", params={"fields": "caption,permalink"}).json()["data"]

    assert [item["caption"] for item in listed] == ["Two", "One"]
