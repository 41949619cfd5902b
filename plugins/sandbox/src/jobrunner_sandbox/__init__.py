"""Local stand-ins for the services that jobrunner's plugins talk to, and the proof of what they published.

Public names only, no logic. Nothing here opens a connection or knows a plugin.
"""

from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.faults import Fault, Faults
from jobrunner_sandbox.ledger import Generated, Ledger, Published, Received
from jobrunner_sandbox.mail_room import Mail
from jobrunner_sandbox.pictures import Picture, fingerprint, picture
from jobrunner_sandbox.server import SandboxServer
from jobrunner_sandbox.service import account_of

__all__ = [
    "Behaviour",
    "Fault",
    "Faults",
    "Generated",
    "Ledger",
    "Mail",
    "Picture",
    "Published",
    "Received",
    "SandboxServer",
    "account_of",
    "fingerprint",
    "picture",
]
