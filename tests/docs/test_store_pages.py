"""Pages about the store: sealed payloads, users with few rights, and writes that a replica has."""

import re

import pytest
from rig.snippets import execute

pytestmark = pytest.mark.long

PLUGIN = """
from typing import Annotated

import msgspec
from jobrunner import Job, Queue, Secret, hookimpl


class Letter(msgspec.Struct):
    tenant_id: str
    stamp: Annotated[str, Secret]


async def send(job: Job[Letter]) -> None:
    assert job.payload.stamp == "penny-black"


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [Queue("letter.send", Letter, send)]
"""
ENQUEUE = """
jobrunner enqueue letter.send '{"tenant_id": "acme", "stamp": "penny-black"}' --id letter-1
"""
RUN = "jobrunner run --burst --fail-on-failed\n"


@pytest.fixture
def post_office(shop_terminal):
    """A terminal with a plugin whose payload has a secret."""
    shop_terminal.write("letters.py", PLUGIN)
    shop_terminal.environ["JOBRUNNER_PLUGINS"] = "./letters.py"
    return shop_terminal


@pytest.mark.xdist_group("reader")
@pytest.mark.runs("docs/how-to/encrypt-payloads.md", "encrypt-payloads-at-rest")
def test_payload_is_sealed_as_the_page_says(snippets, post_office, shared_server):
    """Somebody who follows it believes from then on that no secret lies in Redis."""
    (setting_up,) = snippets
    job = ["HGET", "jr:{letter.send}:jobs", "letter-1"]

    post_office.type("pip install jobrunner-core" + ENQUEUE)
    with shared_server("valkey").client() as raw:
        assert b"penny-black" in raw.execute_command(*job), "without the page's key it is to be found"
    post_office.type(RUN + "jobrunner clear letter.send --status completed --yes")

    post_office.type(setting_up.text + ENQUEUE.replace("letter-1", "letter-2") + RUN)

    job[-1] = "letter-2"
    with shared_server("valkey").client() as raw:
        assert b"penny-black" not in raw.execute_command(*job)


@pytest.mark.runs("docs/how-to/redis-setups.md", "a-user-with-few-rights")
def test_users_of_the_page_may_do_their_work_and_no_more(snippets, terminal, start_server):
    """The lines are pasted into a server, by people who do not try every command beforehand."""
    (command,) = snippets
    server = start_server()
    terminal.write("letters.py", PLUGIN)
    terminal.environ |= {"REDIS_URL": server.url, "JOBRUNNER_PLUGINS": "./letters.py"}

    lines = re.findall(r"^ACL SETUSER .*$", terminal.type(command.text), re.MULTILINE)
    with server.client() as raw:
        for line in lines:
            raw.execute_command(*line.split(" "))
    worker, producer, operator = (server.url.replace("://", f"://{user_of(line)}@") for line in lines)

    terminal.environ["REDIS_URL"] = producer
    terminal.type(ENQUEUE)
    terminal.environ["REDIS_URL"] = worker
    terminal.type(RUN)
    terminal.environ["REDIS_URL"] = operator
    assert "completed" in terminal.type("jobrunner jobs show letter.send letter-1")
    terminal.environ["REDIS_URL"] = producer
    assert "Redis refuses us" in terminal.type("jobrunner run --burst", status=3)


def user_of(line):
    """The user and the password that a line makes."""
    _, _, user, *rules = line.split(" ")
    (password,) = (rule[1:] for rule in rules if rule.startswith(">"))
    return f"{user}:{password}"


@pytest.mark.runs("docs/explanation/delivery.md", "what-is-lost-by-how-redis-is-set-up")
async def test_enqueue_returns_when_a_replica_has_the_job(snippets, start_sentinels, monkeypatch):
    """`client` is any client, `payload` one of the queue that is named."""
    from jobrunner import Client

    (snippet,) = snippets
    setup = start_sentinels(sentinels=1)
    payload = {
        "tenantId": "acme",
        "postId": "post-9",
        "scheduleId": "s",
        "platforms": [{"platform": "x", "accountId": "a", "credentials": {"accessToken": "t"}}],
        "content": {"hook": "h", "body": "b", "hashtags": [], "mediaUrls": []},
        "scheduledTime": "2026-11-12T08:59:00Z",
    }

    async with Client.from_env({"REDIS_URL": setup.url, "JOBRUNNER_PLUGINS": "publish"}) as client:
        scope = await execute(snippet, client=client, payload=payload)

    assert scope["handle"].created
    with setup.replica().client() as raw:
        assert raw.hexists("jr:{publish.dispatch}:jobs", "post-9")
