"""Traces: one of them goes from whoever asks over HTTP to the handler, and tells no secret on the way."""

import pytest
from http_house import CANARY, Module, parcel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobrunner.discovery import Found
from jobrunner.plugins import Plugins, from_object
from jobrunner_http import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736

_exporter = InMemorySpanExporter()


@pytest.fixture
def spans():
    """The spans that ended: a function that gives them, empty at the start."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(_exporter))
        trace.set_tracer_provider(provider)
    _exporter.clear()
    return _exporter.get_finished_spans


@pytest.fixture
async def traced(house):
    """The house with the tracing plugin beside its queues."""
    from jobrunner.client import Client

    own = [
        from_object(Module, Found(name="house", target="here"), house.environ),
        from_object(tracing, Found(name="tracing", target="there"), house.environ),
    ]
    house.plugins = Plugins(own)
    site = house.site
    site.client = Client(site.admin.store, house.plugins)
    site.changing._client = site.client
    return house


async def test_trace_goes_from_the_request_to_the_handler(traced, spans):
    """Who follows a request sees the job that it made, and what became of it."""
    operator = await traced.client("operator")
    answer = await operator.post(
        "/api/queue/parcel.deliver/jobs",
        json={"payload": {"tenantId": "acme"}, "id": "a"},
        headers={"traceparent": PARENT},
    )
    assert answer.status_code == 202
    await traced.work()
    sent, processed = spans()
    assert [span.name for span in (sent, processed)] == ["enqueue parcel.deliver", "process parcel.deliver"]
    assert {span.context.trace_id for span in (sent, processed)} == {TRACE}
    assert processed.parent.span_id == sent.context.span_id
    assert (sent.kind, processed.kind) == (trace.SpanKind.PRODUCER, trace.SpanKind.CONSUMER)
    assert processed.attributes["messaging.message.id"] == "a"
    assert processed.attributes["messaging.destination.name"] == "parcel.deliver"
    assert processed.attributes["messaging.system"] == "jobrunner"


async def test_failure_is_told_by_its_type_and_a_wish_is_none(traced, spans):
    """An error's text may hold a token; its type says enough to find the job."""
    await traced.enqueue(parcel(how="fail", token=CANARY), parcel(how="discard", token=CANARY))
    await traced.work()
    failed, wished = sorted(
        (span for span in spans() if span.name.startswith("process")),
        key=lambda span: span.status.is_ok,
    )
    assert (failed.attributes["error.type"], failed.status.description) == ("ValueError", None)
    assert wished.attributes["jobrunner.wish"] == "discard"
    assert not [event for span in spans() for event in span.events]
    assert not [span for span in spans() if CANARY in span.to_json()]


async def test_producer_with_a_trace_of_its_own_keeps_it(traced, spans):
    """A header that is there already was put there on purpose."""
    await traced.site.client.enqueue("note.send", {"to": "me"}, job_id="a", headers={"traceparent": PARENT})
    assert spans() == ()
    await traced.work()
    (processed,) = spans()
    assert processed.context.trace_id == TRACE
    assert (await traced.site.admin.job("note.send", "a")).headers["traceparent"] == PARENT


async def test_bad_trace_headers_change_nothing(traced, spans):
    """They come from outside, too."""
    operator = await traced.client("operator")
    for bad in (b"nonsense", b"00-zz", b"\xff\xfe", b""):
        answer = await operator.post(
            "/api/queue/note.send/jobs", json={"payload": {"to": "me"}}, headers={"traceparent": bad}
        )
        assert answer.status_code == 202
    await traced.work()
    assert len([span for span in spans() if span.name == "process note.send"]) == 4
