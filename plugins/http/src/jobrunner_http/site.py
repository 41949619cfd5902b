"""A site: what all requests share. It opens nothing before it is used, and closes what it opened."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import IO

from jobrunner.admin import Admin
from jobrunner.client import Client
from jobrunner.plugins import Plugins, load
from jobrunner.settings import core_settings
from jobrunner.store.address import from_environment
from jobrunner.store.connect import open_store
from jobrunner_http.addresses import Addresses
from jobrunner_http.changing import Changing
from jobrunner_http.feed import Feed
from jobrunner_http.guesses import Guesses
from jobrunner_http.looking import Looking
from jobrunner_http.rates import Rates
from jobrunner_http.settings import HttpSettings, http_settings
from jobrunner_http.tokens import KeptToken, TokenBook
from jobrunner_http.trail import Trail

RESEND_S = 5.0
"""Seconds for which an enqueue is sent again while the store is away: who asks over HTTP waits for an answer."""


class Site:
    """What all requests share. Used on one event loop only.

    Args:
        environ: The environment: the store's address, the settings.
        plugins: The queues that are known here; None loads those of `JOBRUNNER_PLUGINS`, else all that are installed.
        settings: The HTTP API's; None reads them from the environment.
        local: Tokens of this process alone.
        stream: Where log lines go.

    Attributes:
        looking: What may be seen, each call for a caller: pages and routes read through it.
        feed: What happens, for who listens.
        changing: What may be changed, each call for a caller, with its audit.
        guesses: Wrong tokens, by address.
        addresses: Says where requests come from.

    Raises:
        SettingsError: A variable has a value that cannot be used.
        PluginError: A plugin that was named cannot be loaded.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        plugins: Plugins | None = None,
        settings: HttpSettings | None = None,
        local: tuple[KeptToken, ...] = (),
        stream: IO[str] | None = None,
    ) -> None:
        core = core_settings(environ)
        self.settings = settings or http_settings(environ)
        self.address = from_environment(environ)
        if plugins is None:
            plugins = load(core.plugins, environ, strict=core.plugins is not None)
        self.plugins = plugins
        store = open_store(self.address, core.prefix)
        self.admin = Admin(store, plugins)
        self.client = Client(store, plugins, retry_for=RESEND_S)
        self.trail = Trail(core, stream)
        self.tokens = TokenBook(self.admin, local)
        self.rates = Rates(self.settings.rate)
        self.guesses = Guesses(self.settings.wrong_tokens)
        self.addresses = Addresses(self.settings.proxies)
        self.worker_lives: Callable[[], bool] = lambda: True
        """Whether the worker of this process, where there is one, still serves."""
        self._links: dict[str, str] = {}
        self.feed = Feed(self.admin, self.settings.max_streams)
        self.looking = Looking(self.admin)
        self.changing = Changing(self.admin, self.client, self.looking, self.trail)

    def link(self, token: str) -> str:
        """A code that stands for a token once: for a link, which browsers and proxies remember."""
        code = secrets.token_urlsafe(24)
        self._links[code] = token
        return code

    def redeem(self, code: str) -> str | None:
        """The token that a code stands for, the first time."""
        return self._links.pop(code, None)

    async def close(self) -> None:
        """End the event streams and close the connections to the store."""
        self.feed.close()
        await self.client.close()
