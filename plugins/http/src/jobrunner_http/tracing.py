"""Traces by OpenTelemetry, where `jobrunner-http[otel]` is installed: context travels from a producer to the handler.

A plugin of its own. Spans carry names and ids, never a payload, an error's text or baggage. Without the library it does
nothing, and costs a producer nothing.

Source: OpenTelemetry semantic conventions for messaging spans, version 1.30; W3C Trace Context for the headers.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jobrunner import Discard, Queue, Retry, Snooze, hookimpl

if TYPE_CHECKING:
    from opentelemetry.trace import Span

SYSTEM = "jobrunner"
WISHES = (Discard, Retry, Snooze)
"""What a handler raises to ask for something; it is no error of the span."""

AVAILABLE = importlib.util.find_spec("opentelemetry") is not None


@hookimpl
def jobrunner_wrap_handler(queue: Queue, handler: Callable[..., Any]) -> Callable[..., Any] | None:
    """Run a handler in a span that continues its producer's trace."""
    if not AVAILABLE:
        return None
    if queue.is_async:

        @functools.wraps(handler)
        async def traced(job: Any) -> object:
            with _processing(queue.name, job):
                answer: Awaitable[object] = handler(job)
                return await answer

        return traced

    @functools.wraps(handler)
    def traced_plainly(job: Any) -> object:
        with _processing(queue.name, job):
            return handler(job)

    return traced_plainly


if AVAILABLE:

    @hookimpl
    def jobrunner_enqueue(queue: str, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        """Put the trace's context beside the payload, in a span of its own; one that is there is left alone."""
        from opentelemetry import trace  # noqa: PLC0415 - an extra
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an extra
            TraceContextTextMapPropagator,
        )

        if "traceparent" in headers:
            return None
        attributes = _attributes(queue, "send", "enqueue")
        with trace.get_tracer("jobrunner").start_as_current_span(
            f"enqueue {queue}", kind=trace.SpanKind.PRODUCER, attributes=attributes
        ):
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(carrier)
        return carrier or None


@contextlib.contextmanager
def carried(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[None]:
    """Make a request's trace context the current one, where it brings one and the library is there."""
    found = {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in headers
        if name.lower() in (b"traceparent", b"tracestate")
    }
    if not AVAILABLE or "traceparent" not in found:
        yield
        return
    from opentelemetry import context  # noqa: PLC0415 - an extra

    token = context.attach(_extracted(found))
    try:
        yield
    finally:
        context.detach(token)


@contextlib.contextmanager
def _processing(queue: str, job: Any) -> Iterator[None]:
    from opentelemetry import trace  # noqa: PLC0415 - an extra

    attributes = _attributes(queue, "process", "process") | {
        "messaging.message.id": job.id,
        "jobrunner.attempt": job.attempt,
        **({"jobrunner.tenant": job.tenant} if job.tenant else {}),
    }
    tracer = trace.get_tracer("jobrunner")
    with tracer.start_as_current_span(
        f"process {queue}",
        context=_extracted(job.headers),
        kind=trace.SpanKind.CONSUMER,
        attributes=attributes,
        record_exception=False,  # its text may hold what nobody may see
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            _failed(span, error)
            raise


def _failed(span: Span, error: BaseException) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

    if isinstance(error, WISHES):
        span.set_attribute("jobrunner.wish", type(error).__name__.lower())
        return
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def _extracted(headers: Mapping[str, str]) -> Any:
    from opentelemetry.context import Context  # noqa: PLC0415 - an extra
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an extra
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator().extract(dict(headers), context=Context())


def _attributes(queue: str, kind: str, name: str) -> dict[str, Any]:
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": queue,
        "messaging.operation.type": kind,
        "messaging.operation.name": name,
    }
