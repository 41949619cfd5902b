"""Producers: the same job, whichever way it is asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys

import msgspec
import pytest

from jobrunner import ConflictError, PayloadError
from jobrunner.testing import Harness
from jobrunner_whatsapp import SyncWhatsApp, WhatsApp, WhatsAppMessage, WhatsAppSettings
from jobrunner_whatsapp.cloud_api import CloudApi
from jobrunner_whatsapp.plugin import jobrunner_resources


async def test_all_producers_enqueue_the_same_job() -> None:
    """Typed or by the factory, with or without `await`."""
    fields = {"to": "0049 151 234 567 89", "message": "Hello", "campaign_id": "spring"}
    async with Harness("whatsapp") as harness:
        typed = await WhatsApp(harness.client).send(**fields, tenant="acme", priority=8, job_id="one")
        factory = await harness.client.whatsapp.send(**fields, tenant="acme", priority=8, job_id="one")
        sync = SyncWhatsApp(harness.sync_client).send(**fields, tenant="acme", priority=8, job_id="one")
        (job,) = harness.jobs("whatsapp-messages")

    assert (typed.created, factory.created, sync.created) == (True, False, False)
    assert (job.tenant, job.priority) == ("acme", 8)
    assert job.payload == WhatsAppMessage(to="+4915123456789", message="Hello", campaign_id="spring")


async def test_same_number_in_another_spelling_is_the_same_job() -> None:
    """The form is settled before the fingerprint is taken."""
    async with Harness("whatsapp") as harness:
        producer = WhatsApp(harness.client)
        await producer.send(to="+49 151 23456789", message="Hello", job_id="one")
        again = await producer.send(to="0049-151-23456789", message="Hello", job_id="one")
        with pytest.raises(ConflictError):
            await producer.send(to="+49 151 23456780", message="Hello", job_id="one")

    assert not again.created


async def test_wrong_number_is_refused_before_anything_is_sent() -> None:
    """By the field's name, to the typed producers, too."""
    async with Harness("whatsapp") as harness:
        for producer in (WhatsApp(harness.client).send, harness.client.whatsapp.send):
            with pytest.raises(PayloadError) as caught:
                await producer(to="0151 23456789", message="Hello")
            assert caught.value.field == "to"
        assert harness.jobs() == []


@pytest.mark.parametrize("producer", [WhatsApp, SyncWhatsApp])
def test_typed_producers_have_the_payload_s_fields(producer: type) -> None:
    """A field that is added to the payload must not be missing here."""
    arguments = set(inspect.signature(producer.send).parameters)

    assert arguments >= {field.name for field in msgspec.structs.fields(WhatsAppMessage)}
    assert arguments >= {"tenant", "priority", "delay", "at", "job_id", "headers"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("graph_url", "graph.facebook.com"),
        ("version", "25"),
        ("phone_number_id", "+4915123456789"),
        ("access_token", "EAAG\r\nX-Evil: 1"),
        ("template", "Team Note"),
        ("template_language", "english"),
        ("on_unknown", "guess"),
        ("timeout", 0),
    ],
)
def test_setting_that_cannot_be_used_is_refused(field: str, value: object) -> None:
    """A wrong value shows at the start, not with the first message."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, WhatsAppSettings)


async def test_worker_starts_without_any_setting() -> None:
    """It may serve other queues; what is missing shows with the first message."""
    msgspec.convert(msgspec.to_builtins(WhatsAppSettings()), WhatsAppSettings)
    async with jobrunner_resources(WhatsAppSettings()) as resources:
        assert [type(one) for one in resources] == [CloudApi]


def test_plugin_loads_without_the_http_client() -> None:
    """Every `jobrunner enqueue` loads the plugin, and the client takes longer than all the rest."""
    code = (
        "import sys, jobrunner_whatsapp.plugin as p, jobrunner_whatsapp.producers;"
        "p.jobrunner_queues(); sys.exit('httpx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
