"""The OpenAPI document, held to the API by asking everything that it allows."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from jobrunner.errors import StoreUnavailableError

HERE = Path(__file__).parent


async def test_document_has_every_route_and_every_queues_payload(house):
    """A client that is written from it finds all there is, and the payloads of the queues that are installed."""
    viewer = await house.client("viewer")
    answer = await viewer.get("/api/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    for path, methods in {
        "/api/health": {"get"},
        "/api/queue/health": {"get"},
        "/api/queue/stats": {"get"},
        "/api/queue/stats/{queue}": {"get"},
        "/api/queue/{queue}/clear": {"delete"},
        "/api/queue/{queue}/jobs": {"get", "post"},
        "/api/queue/{queue}/jobs/{job_id}": {"get", "delete"},
        "/api/queue/test/parcel/deliver": {"post"},
        "/api/queue/parcel.deliver/jobs": {"get", "post"},
        "/api/events": {"get"},
    }.items():
        assert set(paths[path]) == methods, path
    body = paths["/api/queue/test/parcel/deliver"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    payload = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert set(payload["properties"]) == {"tenantId", "number", "token", "how"}
    assert "tenantId" not in payload["required"]

    def references(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for one in value.values():
                yield from references(one)
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    names = {one.removeprefix("#/components/schemas/") for one in references(document)}
    assert names <= set(document["components"]["schemas"])
    ids = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(ids) == len(set(ids))


async def test_every_operation_says_what_it_does_for_whom_and_when_to_come_back(house):
    """What a client has to do after a 429 or a 503 must not be found out in production."""
    document = (await (await house.client("viewer")).get("/api/openapi.json")).json()
    told = {tag["name"] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert set(operation["tags"]) <= told, where
            assert " " in operation["summary"], where
            probe = path in ("/livez", "/readyz")
            roles = [role for need in operation["security"] for role in need["token"]]
            assert len(roles) == (0 if probe else 1), where
            assert ("Open to everybody." if probe else f"Role: {roles[0]}.") in operation["description"], (
                where
            )
            names = [(one["name"], one["in"]) for one in operation.get("parameters", ())]
            assert len(names) == len(set(names)), where
            assert probe or ("x-tenant-id", "header") in names, where
            for status in () if probe else ("429", "503"):
                assert "Retry-After" in operation["responses"][status]["headers"], where


async def test_answers_of_a_store_that_is_away_are_those_of_the_document(house):
    """A health that is bad is no problem document, and the document has to say so."""
    admin = await house.client()
    document = (await admin.get("/api/openapi.json")).json()

    async def gone(*_args, **_kwargs):
        raise StoreUnavailableError("nobody is there")

    house.site.admin.store.run = house.site.admin.store.run_many = gone
    for known in (True, False):
        if not known:
            house.site.tokens._read_at = -100.0
        for path in ("/api/health", "/api/queue/health", "/api/queue/stats", "/api/workers", "/metrics"):
            answer = await admin.get(path)
            said = document["paths"][path]["get"]["responses"]["503"]
            assert answer.status_code == 503
            assert answer.headers["content-type"] in said["content"], path
            assert int(answer.headers["retry-after"]) >= 1


async def test_methods_of_a_path_are_told_together(house):
    """OPTIONS and a 405 name every method, so that a client can learn what there is."""
    client = house.bare()
    assert (await client.options("/api/queue/x/jobs")).headers["allow"] == "GET, HEAD, OPTIONS, POST"
    refused = await client.put("/api/queue/x/jobs")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert (await client.options("/api/events")).headers["allow"] == "GET, OPTIONS"


@pytest.mark.chaos
@pytest.mark.parametrize("examples", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_nothing_that_the_document_allows_or_forbids_goes_wrong(
    shared_server, start_process, tmp_path, examples
):
    """Schemathesis asks what the document allows and what it forbids, and holds every answer to the document."""
    server = shared_server("valkey")
    with server.client() as client:
        client.flushall()
    env = {
        "REDIS_URL": server.url,
        "JOBRUNNER_LOG_FORMAT": "json",
        "JOBRUNNER_HTTP_PORT": "0",
        "JOBRUNNER_HTTP_RATE": "10000",
        "JOBRUNNER_HTTP_WRONG_TOKENS": "100000",  # it guesses on purpose, all from one address
    }
    words = ["-m", "jobrunner", "serve", "--dev", "--plugin", str(HERE / "parcels_plugin.py")]
    served = start_process([sys.executable, *words], env=env)
    address = json.loads(served.wait_for_line('"event":"http.started"'))["address"]
    token = served.wait_for_line("^token: ").removeprefix("token: ")
    tool = shutil.which("schemathesis", path=os.fspath(Path(sys.executable).parent))
    assert tool is not None
    asked = start_process(
        [
            *(tool, "--config-file", HERE / "schemathesis.toml", "run", f"{address}/api/openapi.json"),
            *("-H", f"Authorization: Bearer {token}", "--max-examples", str(examples), "--seed", "20260"),
            *("--checks", "all", "--exclude-path", "/api/events", "--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
    )
    assert asked.wait(timeout_s=240 if examples < 100 else 3000) == 0, asked.output()[-6000:]
    assert "http.failed" not in served.output()
    served.terminate()
    assert served.wait() == 0
