"""The sandbox without a server: all services, what they share, and the one application that serves them.

Wires only; listening is the server's.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette

from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.control import Control
from jobrunner_sandbox.fates import Fates
from jobrunner_sandbox.faults import Faults
from jobrunner_sandbox.gate import Gate
from jobrunner_sandbox.ledger import Ledger
from jobrunner_sandbox.mail_room import MailRoom
from jobrunner_sandbox.service import Context, Service
from jobrunner_sandbox.services.graph import GraphService
from jobrunner_sandbox.services.linkedin import LinkedInService
from jobrunner_sandbox.services.mastodon import MastodonService
from jobrunner_sandbox.services.media import MediaService
from jobrunner_sandbox.services.openai import OpenAIService
from jobrunner_sandbox.services.smtp import SmtpService
from jobrunner_sandbox.services.whatsapp import WhatsAppService
from jobrunner_sandbox.services.x import XService


class Sandbox:
    """All stand-ins, each under its name as a path prefix of one application.

    Args:
        behaviour: How the services behave at first.
        now: The clock, Unix time in seconds.
        smtp_tls: What the mail server does STARTTLS with; None does not offer it.
        pictures: The folder that the media service serves as `https://pictures.example.com/`; None for none.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        now: Callable[[], float] = time.time,
        smtp_tls: ssl.SSLContext | None = None,
        pictures: Path | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.mail_room = MailRoom()
        self.faults = Faults()
        self._fates = Fates(behaviour or Behaviour(), self.faults)
        self._context = context = Context(
            ledger=self.ledger, behaviour=lambda: self._fates.behaviour, now=now
        )
        self._services: tuple[Service, ...] = (
            GraphService(context),
            LinkedInService(context),
            XService(context),
            MastodonService(context),
            MediaService(context, folder=pictures),
            OpenAIService(context),
            WhatsAppService(context),
        )
        self.smtp = SmtpService(
            room=self.mail_room,
            ledger=self.ledger,
            fates=self._fates,
            faults=self.faults,
            now=now,
            tls=smtp_tls,
        )
        control = Control(ledger=self.ledger, fates=self._fates, faults=self.faults, reset=self.reset)
        gates = [Gate(service, context=context, fates=self._fates) for service in self._services]
        self.app = Starlette(
            routes=[*control.routes(), *(route for gate in gates for route in gate.routes())]
        )

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force. Setting it begins the random sources anew, from its seed."""
        return self._fates.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._fates.behaviour = behaviour

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the services of the application; the mail server is none of them."""
        return tuple(service.name for service in self._services)

    def stop(self) -> None:
        """Let the requests that a latency holds up go, without an effect and without an answer."""
        self._context.stopping.set()

    def reset(self) -> None:
        """Forget everything received, published, uploaded and planned; the behaviour stays, its seed begins anew.

        To be called where the application runs, or while no request is under way.
        """
        for service in self._services:
            service.clear()
        self.mail_room.clear()
        self.faults.clear()
        self._fates.restart()
        self.ledger.clear()
