"""What lies ready in the demo's folder before it begins, and what is put there at its end.

Settings of the plugins, an accounts file for figures, a file of approvers; and the mails. Starts nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec

from jobrunner_sandbox import orders, shelves
from jobrunner_sandbox.cast import Company
from jobrunner_sandbox.server import SandboxServer

ACCOUNTS, PEOPLE = "accounts.json", "approvers.csv"

IMPORT = ("approvers", "import", PEOPLE)
"""The command that takes the approvers over."""

SETTINGS = {
    "JOBRUNNER_CONTENT_DATABASE_URL": f"sqlite:///{shelves.POSTS}",
    "JOBRUNNER_APPROVAL_DATABASE_URL": f"sqlite:///{shelves.APPROVERS}",
    "JOBRUNNER_APPROVAL_REVIEW_URL": orders.REVIEW,
    "JOBRUNNER_APPROVAL_FROM_ADDRESS": "approvals@demo.example",
    "JOBRUNNER_ANALYTICS_DATABASE_URL": f"sqlite:///{shelves.METRICS}",
    "JOBRUNNER_ANALYTICS_ACCOUNTS": ACCOUNTS,
    "JOBRUNNER_IMAGE_OUTPUT_URL": shelves.IMAGES,
    "JOBRUNNER_IMAGE_FORMAT": "jpeg",
    "JOBRUNNER_WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    "JOBRUNNER_WHATSAPP_ACCESS_TOKEN": "demo-token-of-the-sender",
    "JOBRUNNER_WHATSAPP_TEMPLATE": orders.TEMPLATE,
    "JOBRUNNER_PUBLISH_POLL_INTERVAL": "0.2",
    "PUBLISH_WORKER_CONCURRENCY": "8",
}
"""Of the worker, whose folder this is: relative paths are meant from there."""


def lay(folder: Path, companies: Sequence[Company]) -> None:
    """Put the accounts and the approvers of some companies into a folder."""
    accounts = [
        {"tenant": company.tenant, "platform": account.platform, "id": account.id, "token": account.token}
        for company in companies
        for account in company.accounts.values()
    ]
    file = folder / ACCOUNTS
    file.touch(mode=0o600)  # before there is a token in it
    file.write_bytes(msgspec.json.encode({"accounts": accounts}))
    with (folder / PEOPLE).open("w", encoding="utf-8", newline="") as people:
        rows = csv.writer(people)
        rows.writerow(["tenantId", "approverId", "name", "email", "phone"])
        for company in companies:
            for one in company.approvers:
                rows.writerow([company.tenant, one.id, one.name, one.email, one.phone])


def file_mails(folder: Path, server: SandboxServer) -> None:
    """Write every mail that was taken into a folder, in their order, to be opened by a mail program."""
    folder.mkdir(exist_ok=True)
    for number, mail in enumerate(server.mails, start=1):
        recipient = mail.recipients[0].partition("@")[0] if mail.recipients else "nobody"
        name = "".join(char if char.isalnum() or char in "-_" else "-" for char in recipient)
        (folder / f"{number:04d}-{name}.eml").write_bytes(mail.content)
