"""Producers and settings: the same job, whichever way it is asked for; wrong values show at the start."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import pytest

from jobrunner import PayloadError, SettingsError, plugin_settings
from jobrunner.testing import Harness
from jobrunner_approval import Approval, ApprovalNotify, ApprovalSettings, SyncApproval
from jobrunner_approval.desk import Desk
from jobrunner_approval.plugin import jobrunner_resources

FIELDS = {
    "tenant_id": "acme",
    "post_id": "post-1",
    "brand_id": "brand-1",
    "approver_ids": ["ana", "bo"],
    "notification_type": "both",
    "due_date": datetime(2026, 12, 24, 18, 0, tzinfo=UTC),
    "message": "Please look",
}


async def test_all_producers_enqueue_the_same_job() -> None:
    """Typed or by the factory, with or without `await`."""
    async with Harness("approval") as harness:
        typed = await Approval(harness.client).notify(**FIELDS, priority=8, job_id="one")
        factory = await harness.client.approval.notify(**FIELDS, priority=8, job_id="one")
        sync = SyncApproval(harness.sync_client).notify(**FIELDS, priority=8, job_id="one")
        (job,) = harness.jobs("approval.notify")

    assert (typed.created, factory.created, sync.created) == (True, False, False)
    assert (job.tenant, job.priority) == ("acme", 8)
    assert job.payload == ApprovalNotify(**{**FIELDS, "approver_ids": ("ana", "bo")})


async def test_wrong_field_is_named_by_the_typed_producers_too() -> None:
    """Before anything is sent."""
    async with Harness("approval") as harness:
        for producer in (Approval(harness.client).notify, harness.client.approval.notify):
            with pytest.raises(PayloadError) as caught:
                await producer(**{**FIELDS, "approver_ids": ["ana", "ana"]})
            assert caught.value.field == "approverIds"
        assert harness.jobs() == []


@pytest.mark.parametrize("producer", [Approval, SyncApproval])
def test_typed_producers_have_the_payload_s_fields(producer: type) -> None:
    """A field that is added to the payload must not be missing here."""
    arguments = set(inspect.signature(producer.notify).parameters)

    assert arguments >= {field.name for field in msgspec.structs.fields(ApprovalNotify)}
    assert arguments >= {"priority", "delay", "at", "job_id", "headers"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("smtp_url", "mail.example.com"),
        ("smtp_url", "http://mail.example.com"),
        ("smtp_url", "smtp://robot:hunter2@mail.example.com"),
        ("smtp_url", "smtp://mail.example.com:70000"),
        ("smtp_url", "smtp://mail.example.com/\nX"),
        ("database_url", "mysql://robot:hunter2@db/x"),
        ("from_address", "nobody"),
        ("from_address", "a@b.example\r\nBcc: eve@evil.example"),
        ("from_name", "A\nB"),
        ("review_url", "javascript:alert(1)"),
        ("review_url", 'https://app.example.com/"onclick='),
        ("on_unknown", "guess"),
        ("timeout", "0"),
    ],
)
def test_setting_that_cannot_be_used_names_its_variable(field: str, value: str) -> None:
    """At the start, and without a password that stands in it."""
    variable = f"JOBRUNNER_APPROVAL_{field.upper()}"

    with pytest.raises(SettingsError, match=variable) as caught:
        plugin_settings("approval", ApprovalSettings, {variable: value})

    assert "hunter2" not in str(caught.value)


def test_password_goes_out_in_clear_to_this_machine_only() -> None:
    """A relay on the same host needs no encryption; everything else does."""
    login = {"JOBRUNNER_APPROVAL_SMTP_USERNAME": "robot", "JOBRUNNER_APPROVAL_SMTP_PASSWORD": "hunter2"}
    url = "JOBRUNNER_APPROVAL_SMTP_URL"
    for fine in ("smtp://localhost", "smtp://[::1]:2525", "smtps://m.example", "smtp+starttls://m.example"):
        plugin_settings("approval", ApprovalSettings, {**login, url: fine})

    with pytest.raises(SettingsError, match="in clear"):
        plugin_settings("approval", ApprovalSettings, {**login, url: "smtp://mail.example.com"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://localhost", ("localhost", 25, "none")),
        ("smtp+starttls://mail.example.com", ("mail.example.com", 587, "starttls")),
        ("smtps://mail.example.com/", ("mail.example.com", 465, "tls")),
        ("smtp://[::1]:2525", ("::1", 2525, "none")),
    ],
)
def test_address_says_host_port_and_encryption(url: str, expected: tuple[str, int, str]) -> None:
    """One setting for the three, with the ports that providers use."""
    server = ApprovalSettings(smtp_url=url).mail_server()

    assert (server.host, server.port, server.tls) == expected


@pytest.mark.parametrize("port", ["port", "0", "70000"])
def test_port_that_is_none_is_refused_before_anything_is_opened(port: str) -> None:
    """The database is opened by the first job, which must not be the one to find a typing mistake."""
    variable = "JOBRUNNER_APPROVAL_DATABASE_URL"
    url = f"postgresql://u:hunter2@host:{port}/db"

    with pytest.raises(SettingsError, match=f"{variable}.*port") as caught:
        plugin_settings("approval", ApprovalSettings, {variable: url})
    assert "hunter2" not in str(caught.value)


def test_defaults_are_valid() -> None:
    """A worker starts without any variable."""
    assert plugin_settings("approval", ApprovalSettings, {}) == ApprovalSettings()
    msgspec.convert(msgspec.to_builtins(ApprovalSettings()), ApprovalSettings)


async def test_worker_starts_without_database_and_mail_server() -> None:
    """It may serve other queues; what is away shows with the first job."""
    settings = ApprovalSettings(smtp_url="smtp://127.0.0.1:1", database_url="sqlite:////no/such/folder/a.db")

    async with jobrunner_resources(settings) as resources:
        (late,) = resources
        assert isinstance(await late.get(), Desk)


def test_plugin_loads_without_database_and_smtp() -> None:
    """Every `jobrunner enqueue` loads the plugin."""
    code = (
        "import sys, jobrunner_approval.plugin as p, jobrunner_approval.producers;"
        "p.jobrunner_queues(); sys.exit(bool({'sqlalchemy', 'aiosmtplib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
