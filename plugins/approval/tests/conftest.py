"""The sandbox with a mail server that encrypts, a table of approvers, and one job that tells them."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from jobrunner.testing import Performed, perform_job
from jobrunner_approval import ApprovalSettings, Approver, Directory, open_directory
from jobrunner_sandbox import SandboxServer

# Test files are imported by their path, so the module that they share is found only if its folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from approval_desk import Notify, Scripted


@pytest.fixture
def jobrunner_plugin() -> str:
    return "approval"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def sandbox(server_tls: ssl.SSLContext) -> Iterator[SandboxServer]:
    with SandboxServer.in_thread(smtp_tls=server_tls) as server:
        yield server


@pytest.fixture
def settings(sandbox: SandboxServer, tmp_path: Path) -> dict[str, object]:
    return {
        "smtp_url": sandbox.services()["smtp"],
        "database_url": f"sqlite:///{tmp_path / 'approvers.db'}",
        "from_address": "approvals@brand.example",
    }


@pytest.fixture
async def directory(settings: dict[str, object]) -> AsyncIterator[Directory]:
    async with open_directory(ApprovalSettings(**settings)) as directory:
        await directory.save(
            [
                Approver(
                    tenant_id="acme",
                    approver_id="ana",
                    name="Ana Alba",
                    email="ana@example.com",
                    phone="+4915123456789",
                ),
                Approver(tenant_id="acme", approver_id="bo", name="Bo", email="bo@example.com"),
                Approver(tenant_id="acme", approver_id="cy", name="Cy", phone="+4915123456780"),
                Approver(tenant_id="acme", approver_id="gone", email="unknown@example.com"),
                Approver(tenant_id="acme", approver_id="grey", email="greylisted@example.com"),
                Approver(tenant_id="other", approver_id="ana", email="ana@other.example"),
            ]
        )
        yield directory


@pytest.fixture
def notify(settings: dict[str, object], directory: Directory) -> Notify:
    """Run one attempt at a notice: `await notify("ana", "bo", how="both", attempt=2, steps=first.steps)`."""

    async def attempt(
        *approver_ids: str,
        how: str = "email",
        changed: dict[str, object] | None = None,
        payload: dict[str, object] | None = None,
        **more: object,
    ) -> Performed:
        fields = {
            "tenantId": "acme",
            "postId": "post-1",
            "brandId": "brand-1",
            "approverIds": list(approver_ids),
            "notificationType": how,
        }
        return await perform_job(
            "approval.notify",
            fields | (payload or {}),
            plugin="approval",
            job_id="job-1",
            settings=settings | (changed or {}),
            **more,  # type: ignore[arg-type]  # arguments of perform_job
        )

    return attempt


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    async with await asyncio.start_server(scripted.serve, "127.0.0.1", 0) as server:
        scripted.port = server.sockets[0].getsockname()[1]
        yield scripted
