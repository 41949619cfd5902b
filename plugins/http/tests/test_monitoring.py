"""What `monitoring/` holds, tried with the programs that read it: Prometheus where it is installed, KEDA by its schema."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import jsonschema
import pytest
import yaml
from http_house import parcel, until

MONITORING = Path(__file__).parents[1] / "monitoring"
ALERTS = MONITORING / "alerts.yml"

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")

SCALED_OBJECT = {
    "type": "object",
    "required": ["scaleTargetRef", "triggers"],
    "additionalProperties": False,
    "properties": {
        "scaleTargetRef": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                one: {"type": "string"} for one in ("apiVersion", "kind", "name", "envSourceContainerName")
            },
        },
        **{
            one: {"type": "integer", "minimum": 0}
            for one in (
                *("pollingInterval", "cooldownPeriod", "initialCooldownPeriod", "idleReplicaCount"),
                *("minReplicaCount", "maxReplicaCount"),
            )
        },
        "advanced": {"type": "object"},
        "fallback": {"type": "object"},
        "triggers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "metadata"],
                "additionalProperties": False,
                "properties": {
                    "type": {"type": "string"},
                    "name": {"type": "string"},
                    "metricType": {"enum": ["AverageValue", "Value", "Utilization"]},
                    "useCachedMetrics": {"type": "boolean"},
                    "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                    "authenticationRef": {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": False,
                        "properties": {"name": {"type": "string"}, "kind": {"type": "string"}},
                    },
                },
            },
        },
    },
}
"""The part of a ScaledObject that people write. Source: the CustomResourceDefinition scaledobjects.keda.sh, v1alpha1."""

NEEDED = {
    "metrics-api": {"targetValue", "url", "valueLocation"},
    "redis": {"listName", "listLength"},
}
"""What a trigger must say. Source: KEDA's documentation of its scalers `metrics-api` and `redis`."""


def of_kind(path, kind):
    return [one for one in yaml.safe_load_all(path.read_text("utf-8")) if one and one["kind"] == kind]


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def prometheus(folder, house, token, port):
    """Prometheus as the page says to set it up, every second; a client of its API."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {
                "job_name": "jobrunner",
                "authorization": {"credentials": token},
                "static_configs": [{"targets": [urlsplit(house.url).netloc]}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config), "utf-8")
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20) as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def answered(client, path, **params):
    try:
        answer = await client.get(path, params=params)
    except httpx.TransportError:
        return {}
    found = answer.json() if answer.status_code != 503 else {}
    assert found.get("status", "success") == "success", (params, found)
    return found.get("data", {})


@needs_promtool
def test_promtool_takes_the_alert_rules():
    """A rule file with a mistake keeps Prometheus from starting, or from taking any of them."""
    done = subprocess.run(
        ["promtool", "check", "rules", ALERTS], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 rules found" in done.stdout


@needs_promtool
async def test_promtool_finds_no_fault_with_the_metrics(house):
    """Names, units and help texts as Prometheus wants them: others would be refused, or be hard to find."""
    await house.enqueue(parcel(), parcel(how="fail"))
    await house.work()
    scraper = await house.client("metrics")
    text = (await scraper.get("/metrics")).content
    checking = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(checking.communicate(text), 60)
    assert (checking.returncode, said.decode()) == (0, "")


@needs_prometheus
@pytest.mark.long
async def test_prometheus_scrapes_answers_every_panel_and_raises_the_alert(house, tmp_path, free_port):
    """The whole way: a token, a scrape, each expression of the dashboard, each rule; and one that has to speak."""
    await house.enqueue(parcel(), parcel(how="fail"))
    await house.work()
    await house.enqueue(parcel())
    token = await house.token("metrics")
    dashboard = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(asked) >= 15

    async with prometheus(tmp_path, house, token, free_port) as client:

        async def scraped():
            found = await answered(client, "/query", query="count_over_time(up[1m]) >= 3 and up == 1")
            return found.get("result")

        await until(scraped, timeout_s=60)
        for expression in asked:
            found = await answered(client, "/query", query=expression.replace("$queue", ".*"))
            if "jobrunner_worker_" not in expression:  # of workers that live; the one here has ended
                assert found["result"], expression

        async def evaluated():
            groups = (await answered(client, "/rules")).get("groups", [])
            rules = [rule for group in groups for rule in group["rules"]]
            return len(rules) == 8 and all(rule["health"] == "ok" for rule in rules)

        async def raised():
            alerts = (await answered(client, "/alerts")).get("alerts", [])
            return {
                one["labels"].get("queue")
                for one in alerts
                if one["labels"]["alertname"] == "JobrunnerQueueWithoutWorker"
            } == {"parcel.deliver"}

        await until(evaluated, timeout_s=60)
        await until(raised, timeout_s=60)


@pytest.mark.parametrize(
    "path", ["plugins/http/monitoring/scaledobject.yml", "deploy/kubernetes/scaling.yaml"]
)
def test_scaled_objects_are_what_keda_takes(path):
    """A number where KEDA wants a text, or a field of another version, is refused on the day of a deployment."""
    objects = of_kind(MONITORING.parents[2] / path, "ScaledObject")
    assert objects
    for one in objects:
        assert one["apiVersion"] == "keda.sh/v1alpha1"
        jsonschema.validate(one["spec"], SCALED_OBJECT)
        for trigger in one["spec"]["triggers"]:
            assert NEEDED[trigger["type"]] <= set(trigger["metadata"]), trigger


def test_schema_notices_a_number_where_keda_wants_a_text():
    """What the test before this one relies on."""
    (one,) = of_kind(MONITORING / "scaledobject.yml", "ScaledObject")
    one["spec"]["triggers"][0]["metadata"]["targetValue"] = 20
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(one["spec"], SCALED_OBJECT)


async def test_keda_sample_gets_its_number(open_house):
    """The sample's address, host name, token and place of the value, asked for as KEDA does."""
    path = MONITORING / "scaledobject.yml"
    (one,), (auth,), (secret,) = (
        of_kind(path, kind) for kind in ("ScaledObject", "TriggerAuthentication", "Secret")
    )
    (trigger,) = one["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] == auth["metadata"]["name"]
    (reference,) = auth["spec"]["secretTargetRef"]
    assert reference["parameter"] == "token"
    assert reference["name"] == secret["metadata"]["name"]
    assert reference["key"] in secret["stringData"]
    assert trigger["metadata"]["authMode"] == "bearer"
    url = urlsplit(trigger["metadata"]["url"])
    assert f"JOBRUNNER_HTTP_ALLOWED_HOSTS={url.hostname}" in path.read_text("utf-8"), "else it is a 421"

    house = await open_house(allowed_hosts=(url.hostname,))
    await house.enqueue(parcel())
    scaler = await house.client("metrics", queues=("parcel.deliver",))
    asked = f"{url.path}?{url.query}".replace("publish.dispatch", "parcel.deliver")
    answer = await scaler.get(asked, headers={"host": url.netloc})
    assert (answer.status_code, answer.json()[trigger["metadata"]["valueLocation"]]) == (200, 1)
