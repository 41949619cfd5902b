"""Every payload of the source system is accepted as it is written there, and every wrong one refused by its field."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime

import msgspec
import pytest

from jobrunner import PayloadError
from jobrunner.testing import Harness
from queues.source_payloads import CREDENTIAL, FULL, NOT_THERE, QUEUES, WRONG, minimal, spoiled

each_route = pytest.mark.parametrize("route", sorted(FULL))


def method_of(client, route):
    """`client.content.generate_monthly` for `content/generate-monthly`."""
    word, name = route.replace("-", "_").split("/")
    return getattr(getattr(client, word), name)


def plain(value):
    """JSON with its times as moments, so that `Z` and `+00:00`, and `.000` and nothing, are the same."""
    match value:
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case list():
            return [plain(one) for one in value]
        case str() if len(value) >= 20 and value[4] == "-" and "T" in value:
            return datetime.fromisoformat(value)
    return value


def test_seven_queues_are_listed_with_the_source_s_numbers(environ):
    """Who moves from the source system finds its queues again, by name, priority and concurrency."""
    command = [sys.executable, "-m", "jobrunner", "plugins", "list", "--json"]
    listed = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert listed.returncode == 0, listed.stderr
    queues = [queue for plugin in json.loads(listed.stdout) for queue in plugin["queues"]]

    assert {queue["name"]: (queue["priority"], queue["concurrency"]) for queue in queues} == {
        "content.generate.monthly": (5, 2),
        "content.regen.single": (8, 2),
        "approval.notify": (7, 5),  # the source names no concurrency: QUEUE_CONCURRENCY's default
        "publish.dispatch": (10, 3),
        "analytics.pull": (3, 5),
        "image.generate": (6, 5),
        "whatsapp-messages": (5, 3),  # variable there: the producer's, and 5 where it says nothing
    }
    assert {queue["name"]: queue["route"] for queue in queues} == {
        name: route for route, name in QUEUES.items()
    }


@each_route
@pytest.mark.parametrize("fields", ["full", "minimal"])
async def test_source_payload_round_trips_through_both_clients(route: str, fields: str, producer: Harness):
    """What a worker reads is what was sent, field by field, under the names of the wire; and both clients agree."""
    payload = FULL[route] if fields == "full" else minimal(route)

    handle = await method_of(producer.client, route)(**payload, job_id="the-job")
    again = method_of(producer.sync_client, route)(**payload, job_id="the-job")

    assert (handle.queue, handle.created, again.created) == (QUEUES[route], True, False)
    stored = producer.job(handle)
    assert plain(json.loads(msgspec.json.encode(stored.payload))) == plain(payload)
    assert stored.tenant == payload.get("tenantId", "")


@each_route
async def test_python_s_names_are_the_same_job(route: str, producer: Harness):
    """`tenant_id` from Python and `tenantId` from anywhere else must not make two jobs."""
    handle = await producer.client.enqueue(QUEUES[route], FULL[route], job_id="the-job")
    snake = {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in name): v for name, v in FULL[route].items()
    }
    again = await method_of(producer.client, route)(**snake, job_id="the-job")
    assert (handle.created, again.created) == (True, False)


@each_route
async def test_wrong_payload_is_refused_by_its_field(route: str, producer: Harness):
    """At the enqueue, in one line, by the name that stands on the wire; nothing is stored, and no credential told."""
    wrong = [(path, value) for there, path, value in WRONG if there == route]
    accepted = []  # what a failure shows
    assert len(wrong) > 5
    for path, value in wrong:
        payload = spoiled(route, path, value)
        said = f"{path} is {'missing' if value is NOT_THERE else repr(value)[:40]}"
        with pytest.raises(PayloadError) as refused:
            accepted.append((said, await producer.client.enqueue(QUEUES[route], payload)))
        with pytest.raises(PayloadError) as refused_too:
            method_of(producer.sync_client, route)(**payload)

        text = str(refused.value)
        assert path.rpartition(".")[2] in text, f"{said}, and the error is {text}"
        assert text == str(refused_too.value), said
        assert "\n" not in text, said
        assert CREDENTIAL not in text, said
    assert producer.jobs() == []


async def test_message_s_priority_is_the_producer_s(producer: Harness):
    """The source calls it variable."""
    fields = FULL["whatsapp/send"]
    urgent = await producer.client.whatsapp.send(**fields, priority=9)
    usual = producer.sync_client.whatsapp.send(**fields)
    assert (producer.job(urgent).priority, producer.job(usual).priority) == (9, 5)
