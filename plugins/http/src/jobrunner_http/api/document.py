"""The OpenAPI document: what the routes' types say, and each queue's payload schema where payloads go.

A client written from it knows the payloads of the queues that are installed where it was read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from litestar import Litestar, Request, Response, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from jobrunner.declaration import payload_schema
from jobrunner.queue import Queue
from jobrunner.version import version
from jobrunner_http.access import Role
from jobrunner_http.api.asking import BODY
from jobrunner_http.api.describing import describe, tags
from jobrunner_http.bodies import body_schemas
from jobrunner_http.door import caller_of, open_to
from jobrunner_http.problems import not_found
from jobrunner_http.site import Site

PREFIX = "#/components/schemas/"
TRIAL = "/api/queue/test/{group}/{action}"
ENQUEUE = "/api/queue/{queue}/jobs"

MAX_MADE = 8
"""Documents that are kept, one for each choice of queues that some token sees: with 100 queues one takes 50 ms to make."""

Schema = dict[str, Any]


class Document(JsonRenderPlugin):
    """Renders the document for a caller: with the queues that it may know of."""

    def __init__(self, site: Site) -> None:
        super().__init__(path="/openapi.json")
        self._site = site
        self._made: dict[frozenset[str], bytes] = {}

    def render(self, request: Request[Any, Any, Any], openapi_schema: Schema) -> bytes:
        """The document as JSON."""
        caller = caller_of(request.scope)
        seen = [queue for name, queue in self._site.plugins.queues.items() if caller.sees_queue(name)]
        names = frozenset(queue.name for queue in seen)
        made = self._made.get(names)
        if made is None:
            made = msgspec.json.encode(with_queues(request.app, openapi_schema, seen))
            if len(self._made) >= MAX_MADE:
                self._made.clear()
            self._made[names] = made
        return made


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
        tags=tags(),
        render_plugins=[Document(site)],
        openapi_router=router,
        use_handler_docstrings=True,
    )


def with_queues(app: Litestar, document: Schema, queues: list[Queue]) -> Schema:
    """A document with the payloads of queues: their schemas, a test route each, and an enqueue route each."""
    full = copy.deepcopy(document)
    paths, schemas = full["paths"], full["components"]["schemas"]
    describe(app, full)
    schemas |= body_schemas(PREFIX + "{name}")
    for path, method, kind in _bodies(app):
        paths[path][method.lower()]["requestBody"] = _request_body(kind)
    trial = paths.pop(TRIAL, None)
    for queue in queues:
        payload = _without_tenant(schemas, queue, _add_schema(schemas, queue))
        if trial is not None and queue.route:
            paths[f"/api/queue/test/{queue.route}"] = _trial(trial, queue, payload)
        if ENQUEUE in paths:
            paths[ENQUEUE.replace("{queue}", queue.name)] = _enqueue(schemas, paths[ENQUEUE], queue, payload)
    return full


def _bodies(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    """Every path and method that has a body, with the body's type."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if BODY in handler.opt:
                for method in handler.http_methods:
                    yield route.path_format, method, handler.opt[BODY]


def _request_body(kind: Any) -> Schema:
    """A body of a type that `body_schemas` knows, or of any object; one that may be None may be left out."""
    members = [member for member in get_args(kind) if member is not type(None)]
    optional = len(members) < len(get_args(kind)) and type(None) in get_args(kind)
    named = members[0] if optional else kind
    struct = isinstance(named, type) and issubclass(named, msgspec.Struct)
    schema = {"$ref": PREFIX + named.__name__} if struct else {"type": "object"}
    if optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    return {"required": not optional, "content": {"application/json": {"schema": schema}}}


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


def _without_tenant(schemas: Schema, queue: Queue, reference: Schema) -> Schema:
    """A payload whose tenant may be left out, where it has one: the token or x-tenant-id gives it."""
    if not queue.tenant_field:
        return reference
    name = reference["$ref"].removeprefix(PREFIX)
    relaxed = dict(schemas[name])
    wire = dict(zip(queue.payload.__struct_fields__, queue.payload.__struct_encode_fields__, strict=True))
    field = wire[queue.tenant_field]
    relaxed["required"] = [one for one in relaxed.get("required", ()) if one != field]
    empty: list[Schema] = [{"type": "null"}, {"const": ""}]
    own = relaxed["properties"][field]
    relaxed["properties"] = {**relaxed["properties"], field: {"anyOf": [own, *empty]}}
    relaxed["description"] = (
        f"The payload of {queue.name}; its tenant may be left to the token or to x-tenant-id."
    )
    schemas[f"{queue.name}.payload-of-tenant"] = relaxed
    return {"$ref": f"{PREFIX}{queue.name}.payload-of-tenant"}


def _trial(pattern: Schema, queue: Queue, payload: Schema) -> Schema:
    item = copy.deepcopy(pattern)
    operation = item["post"]
    operation["operationId"] = f"test_{queue.name}"
    operation["summary"] = f"Enqueue a job to {queue.name}"
    kept = (one for one in operation.get("parameters", ()) if one["name"] not in ("group", "action"))
    operation["parameters"] = list(kept)
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": payload}}}
    return item


def _enqueue(schemas: Schema, pattern: Schema, queue: Queue, payload: Schema) -> Schema:
    operation = copy.deepcopy(pattern["post"])
    operation["operationId"] = f"enqueue_{queue.name}"
    operation["summary"] = f"Enqueue jobs to {queue.name}"
    operation["parameters"] = [one for one in operation.get("parameters", ()) if one["name"] != "queue"]
    one, many = copy.deepcopy(schemas["Enqueue"]), copy.deepcopy(schemas["NewJob"])
    many["properties"]["payload"] = one["properties"]["payload"] = payload
    one["properties"]["jobs"]["items"] = many
    body = one
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    item: Schema = {"post": operation}
    if "get" in pattern:
        listing = item["get"] = copy.deepcopy(pattern["get"])
        listing["operationId"] = f"list_{queue.name}"
        listing["summary"] = f"List jobs of {queue.name}"
        listing["parameters"] = [one for one in listing.get("parameters", ()) if one["name"] != "queue"]
    return item


def _as_problem(response: Response[Any]) -> Response[Any]:
    """The framework's page for addresses that are none, as a problem."""
    return (
        not_found("there is nothing at this address").response() if response.status_code == 404 else response
    )
