"""What all services share: tokens, failures, lost answers, the ledger, the sandbox's own endpoints."""

from __future__ import annotations

import httpx
import pytest

from jobrunner_sandbox import Behaviour, SandboxServer

POSTS = {
    "graph": ("/graph/v23.0/page-1/feed", {"message": "Hello"}),
    "linkedin": (
        "/linkedin/rest/posts",
        {
            "author": "urn:li:person:a",
            "commentary": "Hello",
            "visibility": "PUBLIC",
            "distribution": {"feedDistribution": "MAIN_FEED"},
            "lifecycleState": "PUBLISHED",
        },
    ),
    "x": ("/x/2/tweets", {"text": "Hello"}),
    "mastodon": ("/mastodon/api/v1/statuses", {"status": "Hello"}),
}
SHAPES = {
    "graph": {"error"},
    "linkedin": {"status", "serviceErrorCode", "code", "message"},
    "x": {"title", "detail", "type", "status"},
    "mastodon": {"error"},
}
every_service = pytest.mark.parametrize("service", POSTS)


def post(client: httpx.Client, service: str, **options: object) -> httpx.Response:
    path, body = POSTS[service]
    return client.request(
        "POST",
        path,
        json=body,
        headers={"LinkedIn-Version": "202601", **options.pop("headers", {})},  # type: ignore[dict-item]  # a test's shorthand
        **options,  # type: ignore[arg-type]  # a test's shorthand
    )


@every_service
def test_token_must_be_there_and_valid(client: httpx.Client, sandbox: SandboxServer, service: str) -> None:
    """Each service says so in a body of its own, with 401."""
    missing = post(client, service, headers={"Authorization": ""})
    basic = post(client, service, headers={"Authorization": "Basic YTpi"})
    revoked = post(client, service, headers={"Authorization": "Bearer revoked-1"})

    assert [answer.status_code for answer in (missing, basic, revoked)] == [401] * 3
    assert {frozenset(answer.json()) for answer in (missing, basic, revoked)} == {frozenset(SHAPES[service])}
    assert sandbox.ledger.posts() == []


@every_service
def test_token_in_the_address_is_refused(client: httpx.Client, sandbox: SandboxServer, service: str) -> None:
    """Addresses end up in logs, so a plugin that puts a token there must fail its tests."""
    answer = post(client, service, params={"access_token": "secret-token"})

    assert answer.status_code == 400
    assert SHAPES[service] == set(answer.json())
    assert sandbox.ledger.posts() == []


@every_service
def test_failure_comes_before_the_effect(client: httpx.Client, sandbox: SandboxServer, service: str) -> None:
    """After a 5xx of fail_rate nothing is there, so trying again is right."""
    sandbox.behaviour = Behaviour(fail_rate=1)

    answers = [post(client, service) for _ in range(8)]

    assert {answer.status_code for answer in answers} == {500, 503}
    assert all(set(answer.json()) == SHAPES[service] for answer in answers)
    assert sandbox.ledger.posts() == []


@every_service
def test_lost_answer_comes_after_the_effect(
    client: httpx.Client, sandbox: SandboxServer, service: str
) -> None:
    """The client sees a closed connection, and people see the post."""
    sandbox.behaviour = Behaviour(lost_rate=1)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        post(client, service)

    (posted,) = sandbox.ledger.posts()
    (request,) = sandbox.ledger.lost(service)
    assert posted.text == "Hello"
    assert (request.method, request.lost, request.status < 300) == ("POST", True, True)


def test_what_changes_nothing_loses_no_answer(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Reads and refusals are answered, whatever the rate."""
    sandbox.behaviour = Behaviour(lost_rate=1)

    assert client.get("/media", params={"url": "https://cdn.example.com/1.jpg"}).status_code == 200
    assert client.post("/x/2/tweets", json={}).status_code == 400


def test_lost_answers_leave_the_server_usable(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Only the one connection is closed; the next request is served as ever."""
    sandbox.faults.next("x", lost=True)
    with pytest.raises(httpx.RemoteProtocolError):
        post(client, "x")

    again = post(client, "x")

    assert again.status_code == 403
    assert sandbox.ledger.counts() == {"x": 1}


@every_service
def test_rate_limit_comes_before_the_effect(
    client: httpx.Client, sandbox: SandboxServer, service: str
) -> None:
    """Graph says it by a code of its own, the others by 429."""
    sandbox.behaviour = Behaviour(rate_limit_rate=1, retry_after=90)

    answer = post(client, service)

    assert answer.status_code == (400 if service == "graph" else 429)
    assert set(answer.json()) == SHAPES[service]
    if service == "linkedin":
        assert answer.headers["Retry-After"] == "90"
    if service == "graph":
        assert (answer.json()["error"]["code"], answer.json()["error"]["is_transient"]) == (4, True)
        assert '"estimated_time_to_regain_access":2' in answer.headers["X-Business-Use-Case-Usage"]
    assert sandbox.ledger.posts() == []


def test_same_seed_gives_the_same_fates(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A run that showed a fault can be run again."""

    def fates(seed: int) -> list[int]:
        sandbox.behaviour = Behaviour(fail_rate=0.3, rate_limit_rate=0.2, seed=seed)
        return [client.post("/x/2/tweets", json={}).status_code for _ in range(40)]

    first = fates(7)

    assert fates(7) == first
    assert fates(8) != first
    assert {400, 429, 500, 503} == set(first)


def test_one_service_does_not_move_the_fates_of_another(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Requests to one service arrive in any order between those to the others."""
    behaviour = Behaviour(fail_rate=0.5, seed=3)

    sandbox.behaviour = behaviour
    alone = [client.post("/x/2/tweets", json={}).status_code for _ in range(20)]
    sandbox.behaviour = behaviour
    mixed = []
    for _ in range(20):
        post(client, "mastodon")
        mixed.append(client.post("/x/2/tweets", json={}).status_code)

    assert mixed == alone


def test_planned_fault_hits_the_request_that_fits_once(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A test says which request goes wrong, and no other does."""
    sandbox.faults.next("graph", path="*/feed", status=503)
    sandbox.faults.next("x", status=429, retry_after=5, times=2)

    answers = [post(client, service).status_code for service in ("mastodon", "graph", "graph", "x", "x", "x")]

    assert answers == [200, 503, 200, 429, 429, 201]
    assert sandbox.faults.waiting() == []


def test_fault_needs_one_thing_that_goes_wrong(sandbox: SandboxServer) -> None:
    """A plan that says nothing, or both, is a mistake of the test."""
    with pytest.raises(ValueError, match="give either"):
        sandbox.faults.next("x")
    with pytest.raises(ValueError, match="give either"):
        sandbox.faults.next("x", status=503, lost=True)
    with pytest.raises(ValueError, match="400 to 599"):
        sandbox.faults.next("x", status=200)


def test_behaviour_out_of_range_is_refused() -> None:
    """A share of 20 is a mistake for 0.2."""
    with pytest.raises(ValueError, match="fail_rate is a share"):
        Behaviour(fail_rate=20)
    with pytest.raises(ValueError, match="latency is 0 to 60"):
        Behaviour(latency=-1)


def test_ledger_has_every_request_and_no_token(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The ledger is printed and sent about."""
    post(client, "x")
    post(client, "x", params={"access_token": "secret-token"})
    post(client, "x", headers={"Authorization": ""})

    seen = [(request.method, request.path, request.status) for request in sandbox.ledger.requests("x")]
    page = client.get("/_sandbox/ledger").text

    assert seen == [("POST", "/2/tweets", 201), ("POST", "/2/tweets", 400), ("POST", "/2/tweets", 401)]
    assert "secret-token" not in page


def test_sandbox_is_looked_at_and_changed_over_http(client: httpx.Client, sandbox: SandboxServer) -> None:
    """A sandbox in another process is the rule outside of tests."""
    post(client, "x")
    ledger = client.get("/_sandbox/ledger").json()
    changed = client.post("/_sandbox/behaviour", json={"failRate": 0.25})
    wrong = client.post("/_sandbox/behaviour", json={"failRate": 3})
    unknown = client.post("/_sandbox/behaviour", json={"fail_rate": 0.5})
    planned = client.post("/_sandbox/faults", json={"service": "x", "lost": True})
    nothing = client.post("/_sandbox/faults", json={"service": "x"})

    assert ledger["counts"] == {"x": 1}
    assert ledger["posts"][0]["postId"] == sandbox.ledger.posts()[0].post_id
    assert ledger["duplicates"] == []
    assert changed.json()["failRate"] == client.get("/_sandbox/behaviour").json()["failRate"] == 0.25
    assert sandbox.behaviour == Behaviour(fail_rate=0.25)
    assert [answer.status_code for answer in (wrong, unknown, planned, nothing)] == [400, 400, 201, 400]
    assert client.post("/_sandbox/reset").status_code == 204
    assert (sandbox.ledger.posts(), sandbox.ledger.requests(), sandbox.faults.waiting()) == ([], [], [])
    assert sandbox.behaviour == Behaviour(fail_rate=0.25)


def test_reset_forgets_what_was_posted(client: httpx.Client, sandbox: SandboxServer) -> None:
    """Or the next run would meet the duplicates of the last."""
    for service in POSTS:
        post(client, service)

    sandbox.reset()

    assert [post(client, service).status_code for service in POSTS] == [200, 201, 201, 200]
