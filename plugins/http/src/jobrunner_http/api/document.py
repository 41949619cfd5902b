"""The OpenAPI document: what the routes' types say, and each queue's payload schema where payloads go.

A client written from it knows the payloads of the queues that are installed where it was read.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from litestar import Request, Response, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from jobrunner.declaration import payload_schema
from jobrunner.queue import Queue
from jobrunner.version import version
from jobrunner_http.access import Role
from jobrunner_http.door import caller_of, open_to
from jobrunner_http.problems import not_found
from jobrunner_http.site import Site

PREFIX = "#/components/schemas/"
TRIAL = "/api/queue/test/{group}/{action}"
ENQUEUE = "/api/queue/{queue}/jobs"

Schema = dict[str, Any]


class Document(JsonRenderPlugin):
    """Renders the document for a caller: with the queues that it may know of."""

    def __init__(self, site: Site) -> None:
        super().__init__(path="/openapi.json")
        self._site = site

    def render(self, request: Request[Any, Any, Any], openapi_schema: Schema) -> bytes:
        """The document as JSON."""
        caller = caller_of(request.scope)
        seen = [queue for name, queue in self._site.plugins.queues.items() if caller.sees_queue(name)]
        return msgspec.json.encode(with_queues(openapi_schema, seen))


def document_config(site: Site) -> OpenAPIConfig:
    """Where the document is, and what stands at its head."""
    router = Router(
        "/api",
        route_handlers=[],
        opt=open_to(Role.VIEWER),
        include_in_schema=False,
        after_request=_as_problem,
    )
    return OpenAPIConfig(
        title="jobrunner",
        version=version(),
        description="Queues, jobs and workers. Errors are problem details (RFC 9457).",
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"token": []}],
        render_plugins=[Document(site)],
        openapi_router=router,
        use_handler_docstrings=True,
    )


def with_queues(document: Schema, queues: list[Queue]) -> Schema:
    """A document with the payloads of queues: their schemas, a test route each, and an enqueue route each."""
    full = copy.deepcopy(document)
    paths, schemas = full["paths"], full["components"]["schemas"]
    for path in paths.values():
        for operation in path.values():
            if "probes" in operation.get("tags", ()):
                operation["security"] = []
    trial = paths.pop(TRIAL, None)
    for queue in queues:
        reference = _add_schema(schemas, queue)
        if trial is not None and queue.route:
            paths[f"/api/queue/test/{queue.route}"] = _trial(trial, queue, reference)
        if ENQUEUE in paths:
            paths[ENQUEUE.replace("{queue}", queue.name)] = _enqueue(paths[ENQUEUE], queue, reference)
    return full


def _add_schema(schemas: Schema, queue: Queue) -> Schema:
    """Put a payload's schema among the others under names of the queue's own; a reference to it."""
    own = payload_schema(queue)
    inner = own.pop("$defs", {})
    assert isinstance(inner, dict)
    for name, schema in inner.items():
        schemas[f"{queue.name}.{name}"] = _renamed(schema, queue.name)
    top = _renamed(own, queue.name)
    if set(top) == {"$ref"}:
        return {"$ref": str(top["$ref"])}
    schemas[f"{queue.name}.payload"] = top
    return {"$ref": f"{PREFIX}{queue.name}.payload"}


def _renamed(schema: Any, queue: str) -> Any:
    match schema:
        case dict():
            renamed: Schema = {}
            for key, value in schema.items():
                if key == "$ref" and isinstance(value, str):
                    renamed[key] = f"{PREFIX}{queue}.{value.rpartition('/')[2]}"
                else:
                    renamed[key] = _renamed(value, queue)
            if "discriminator" in renamed and "mapping" in renamed["discriminator"]:
                mapping = schema["discriminator"]["mapping"]
                renamed["discriminator"]["mapping"] = {
                    tag: f"{PREFIX}{queue}.{target.rpartition('/')[2]}" for tag, target in mapping.items()
                }
            return renamed
        case list():
            return [_renamed(item, queue) for item in schema]
        case _:
            return schema


def _without_tenant(queue: Queue, reference: Schema) -> Schema:
    """A payload whose tenant may be left out: the token or x-tenant-id gives it."""
    return {
        "anyOf": [reference, {"type": "object"}],
        "description": f"The payload of {queue.name}; its tenant may be left to x-tenant-id.",
    }


def _trial(pattern: Schema, queue: Queue, reference: Schema) -> Schema:
    item = copy.deepcopy(pattern)
    operation = item["post"]
    operation["operationId"] = f"test_{queue.name}"
    operation["summary"] = f"Enqueue a job to {queue.name}"
    operation["parameters"] = [
        *(one for one in operation.get("parameters", ()) if one["name"] not in ("group", "action")),
        _tenant_header(),
    ]
    schema = _without_tenant(queue, reference) if queue.tenant_field else reference
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return item


def _enqueue(pattern: Schema, queue: Queue, reference: Schema) -> Schema:
    operation = copy.deepcopy(pattern["post"])
    operation["operationId"] = f"enqueue_{queue.name}"
    operation["summary"] = f"Enqueue jobs to {queue.name}"
    operation["parameters"] = [
        *(one for one in operation.get("parameters", ()) if one["name"] != "queue"),
        _tenant_header(),
    ]
    payload = _without_tenant(queue, reference) if queue.tenant_field else reference
    body = {
        "allOf": [
            {"$ref": f"{PREFIX}Enqueue"},
            {
                "type": "object",
                "properties": {
                    "payload": {"anyOf": [payload, {"type": "null"}]},
                    "jobs": {
                        "anyOf": [
                            {
                                "type": "array",
                                "items": {"type": "object", "properties": {"payload": payload}},
                            },
                            {"type": "null"},
                        ]
                    },
                },
            },
        ]
    }
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return {"post": operation}


def _tenant_header() -> Schema:
    return {
        "name": "x-tenant-id",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@|+-]{0,127}$"},
        "description": "Holds the request to one of the token's tenants.",
    }


def _as_problem(response: Response[Any]) -> Response[Any]:
    """The framework's page for addresses that are none, as a problem."""
    return (
        not_found("there is nothing at this address").response() if response.status_code == 404 else response
    )
