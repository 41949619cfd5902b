"""The environment variables of the source system do here what they did there, under the same names."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from queues.source_payloads import FULL

pytestmark = pytest.mark.long

PASSWORD = "a-password-77"


@pytest.fixture
def redis_variables(start_server):
    """A server with a password, reached by the source's four variables alone."""
    server = start_server("redis")
    with server.client() as client:
        client.config_set("requirepass", PASSWORD)
    return {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(server.port),
        "REDIS_PASSWORD": PASSWORD,
        "REDIS_DB": "3",
    }


def jobrunner(folder, environ, *words):
    command = [sys.executable, "-m", "jobrunner", *words]
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=60)


def started(ran):
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    (event,) = [line for line in lines if line["event"] == "worker.started"]
    return event


def test_source_s_variables_lead_to_its_redis_and_set_the_concurrencies(redis_variables, environ, tmp_path):
    """An `.env` file of the source system works as it is."""
    environ |= redis_variables | {
        "QUEUE_CONCURRENCY": "7",
        "WA_WORKER_CONCURRENCY": "4",
        "CONTENT_WORKER_CONCURRENCY": "1",
        "PUBLISH_WORKER_CONCURRENCY": "6",
    }

    payload = json.dumps(FULL["content/regenerate-single"])
    enqueued = jobrunner(tmp_path, environ, "enqueue", "content.regen.single", payload)
    assert enqueued.returncode == 0, enqueued.stderr
    ran = jobrunner(tmp_path, environ, "run", "--burst", "--log-format", "json")
    assert ran.returncode == 0, ran.stderr + ran.stdout

    assert started(ran)["queues"] == {
        "analytics.pull": 7,
        "approval.notify": 7,
        "content.generate.monthly": 1,
        "content.regen.single": 1,
        "image.generate": 7,
        "publish.dispatch": 6,
        "whatsapp-messages": 4,
    }
    assert enqueued.stdout.strip() in ran.stdout, "the job was in another store"
    assert PASSWORD not in ran.stdout + ran.stderr + enqueued.stdout


def test_values_of_the_source_s_document_are_taken(start_server, environ, tmp_path):
    """With its empty `REDIS_PASSWORD=` and the numbers that stand there; the port is the test's."""
    environ |= {
        "REDIS_HOST": "localhost",
        "REDIS_PORT": str(start_server("redis").port),
        "REDIS_PASSWORD": "",
        "REDIS_DB": "0",
        "QUEUE_CONCURRENCY": "5",
        "WA_WORKER_CONCURRENCY": "3",
        "CONTENT_WORKER_CONCURRENCY": "2",
        "PUBLISH_WORKER_CONCURRENCY": "3",
    }
    ran = jobrunner(tmp_path, environ, "run", "--burst", "--log-format", "json")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert sorted(started(ran)["queues"].values()) == [2, 2, 3, 3, 5, 5, 5]


@pytest.mark.parametrize(
    ("variable", "value", "plugin"),
    [
        ("QUEUE_CONCURRENCY", "many", "image"),
        ("WA_WORKER_CONCURRENCY", "many", "whatsapp"),
        ("CONTENT_WORKER_CONCURRENCY", "0", "content"),
        ("PUBLISH_WORKER_CONCURRENCY", "3.5", "publish"),
        ("JOBRUNNER_PUBLISH_TIMEOUT", "soon", "publish"),
        ("JOBRUNNER_ANALYTICS_DATABASE_URL", "mysql://host/db", "analytics"),
        ("JOBRUNNER_WHATSAPP_ACCESS_TOKEN", "EAAG-token\n", "whatsapp"),
        ("JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID", "15550001\n", "whatsapp"),
        ("JOBRUNNER_ANALYTICS_GRAPH_URL", "https://graph.facebook.com\n", "analytics"),
        ("JOBRUNNER_IMAGE_ENGINE", "card\n", "image"),
    ],
)
def test_value_that_cannot_be_used_is_one_line_before_redis_is_reached(
    variable, value, plugin, environ, tmp_path
):
    """A typing mistake must not start a worker with something else, nor hide behind a Redis that is away.

    A line break at the end comes from a secret that was written to a file, and would fail with the first call.
    """
    environ |= {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", variable: value}

    done = jobrunner(tmp_path, environ, "run", "--burst", "--plugin", plugin)

    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert variable in done.stderr
