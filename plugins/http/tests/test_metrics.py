"""Metrics: true numbers, a constant cost, and dashboards and alerts that ask for what is there."""

import json
import re
import sys
from pathlib import Path

import httpx
import pytest
from http_house import parcel
from prometheus_client.parser import text_string_to_metric_families

MONITORING = Path(__file__).parents[1] / "monitoring"
PARCELS = str(Path(__file__).parent / "parcels_plugin.py")


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found, name, **labels):
    return found[name, tuple(sorted(labels.items()))]


async def test_scrape_tells_what_happened(house):
    """States, outcomes, histograms: each number is the store's own."""
    scraper = await house.client("metrics")
    await house.enqueue(*[parcel() for _ in range(4)], parcel(how="fail"))
    await house.work()
    await house.enqueue(parcel(), parcel())
    answer = await scraper.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = samples(answer.text)
    queue = "parcel.deliver"
    assert value(found, "jobrunner_jobs", queue=queue, state="waiting") == 2
    assert value(found, "jobrunner_jobs", queue=queue, state="failed") == 1
    assert value(found, "jobrunner_jobs_enqueued_total", queue=queue) == 7
    assert value(found, "jobrunner_runs_started_total", queue=queue) == 5
    assert value(found, "jobrunner_runs_ended_total", queue=queue, outcome="completed") == 4
    assert value(found, "jobrunner_runs_ended_total", queue=queue, outcome="failed") == 1
    assert value(found, "jobrunner_job_duration_seconds_count", queue=queue) == 5
    assert value(found, "jobrunner_job_wait_seconds_bucket", queue=queue, le="+Inf") == 5
    assert value(found, "jobrunner_workers") == 0
    assert value(found, "jobrunner_oldest_waiting_seconds", queue=queue) >= 0
    text = (await house.client("metrics", tenants=("acme",))).get("/metrics")
    assert (await text).status_code == 403
    one = samples((await (await house.client("metrics", queues=("note.send",))).get("/metrics")).text)
    assert {dict(labels).get("queue", "note.send") for _, labels in one} == {"note.send"}


async def test_no_series_grows_with_jobs_tenants_or_workers(house):
    """A label a job would end the database that keeps the series."""
    scraper = await house.client("metrics")
    await house.enqueue(parcel())
    before = set(samples((await scraper.get("/metrics")).text))
    await house.enqueue(*[parcel(f"tenant-{at}") for at in range(200)])
    await house.work()
    assert set(samples((await scraper.get("/metrics")).text)) == before


async def test_scrape_costs_the_same_with_any_number_of_jobs(house):
    """The same commands with one job and with five hundred."""
    sent = []
    link = house.site.admin.store.link
    send, send_many = link.send, link.send_many

    async def counted(command, *rest):
        sent.append(1)
        return await send(command, *rest)

    async def counted_many(commands, *rest):
        sent.append(len(commands))
        return await send_many(commands, *rest)

    link.send, link.send_many = counted, counted_many
    from jobrunner_http.metrics import read

    await house.enqueue(parcel())
    await read(house.site.admin)
    sent.clear()
    await read(house.site.admin)
    few = list(sent)
    await house.enqueue(*[parcel(number=at) for at in range(500)])
    sent.clear()
    await read(house.site.admin)
    assert sent == few


async def test_backlog_is_one_number(house):
    """What an autoscaler reads: jobs that wait or run, of the queues that it asks for."""
    scaler = await house.client("metrics")
    await house.enqueue(parcel(), parcel())
    await house.enqueue(parcel(), delay=3600)
    await house.site.client.enqueue("note.send", {"to": "me"})
    assert (await scaler.get("/api/backlog")).json() == {"value": 3, "waiting": 3, "active": 0}
    one = await scaler.get("/api/backlog", params={"queue": "parcel.deliver"})
    assert one.json()["value"] == 2
    assert (await scaler.get("/api/backlog", params={"queue": "nope"})).status_code == 404


async def test_dashboard_and_alerts_ask_for_what_there_is(house):
    """A panel that asks for a name that nobody gives stays empty for ever, and nobody notices."""
    scraper = await house.client("metrics")
    await house.enqueue(parcel())
    names = {name for name, _ in samples((await scraper.get("/metrics")).text)}
    for file in ("grafana.json", "alerts.yml"):
        asked = set(re.findall(r"\bjobrunner_[a-z_]+", (MONITORING / file).read_text("utf-8")))
        assert asked <= names, file
    dashboard = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
    assert len(dashboard["panels"]) >= 8
    outcomes = set(re.findall(r'outcome=~?"([^"]+)"', (MONITORING / "alerts.yml").read_text("utf-8")))
    from jobrunner_http.metrics import OUTCOMES

    assert {one for found in outcomes for one in found.split("|")} <= set(OUTCOMES)


@pytest.fixture
def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.long
def test_metrics_have_a_port_of_their_own_where_it_is_set(shared_server, start_process, free_port):
    """A scraper in a closed network needs no token, and the public port has no metrics then."""
    server = shared_server("valkey")
    server.client().flushall()
    env = {
        "REDIS_URL": server.url,
        "JOBRUNNER_LOG_FORMAT": "json",
        "JOBRUNNER_HTTP_PORT": "0",
        "JOBRUNNER_HTTP_METRICS_PORT": str(free_port),
    }
    served = start_process(
        [sys.executable, "-m", "jobrunner", "serve", "--dev", "--plugin", PARCELS], env=env
    )
    address = json.loads(served.wait_for_line('"event":"http.started"'))["address"]
    token = served.wait_for_line("^token: ").removeprefix("token: ")
    own = httpx.get(f"http://127.0.0.1:{free_port}/metrics")
    assert (own.status_code, "jobrunner_jobs{" in own.text) == (200, True)
    assert httpx.get(f"http://127.0.0.1:{free_port}/api/queue/stats").status_code == 404
    public = httpx.get(f"{address}/metrics", headers={"authorization": f"Bearer {token}"})
    assert public.status_code == 404
    served.terminate()
    assert served.wait() == 0
