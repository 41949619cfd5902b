"""Who may do what: roles, and the tenants and queues that a token is limited to. Pure; it knows neither HTTP nor the store."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Role(IntEnum):
    """What a token is good for; each role may do what those below it may."""

    METRICS = 1
    """Scrape the metrics, and nothing else."""
    VIEWER = 2
    """Look at queues, jobs and workers."""
    OPERATOR = 3
    """Enqueue; retry, cancel and promote jobs; pause and resume queues; set limits."""
    ADMIN = 4
    """Remove jobs and clear queues."""

    @property
    def label(self) -> str:
        """The role as people write it."""
        return self.name.lower()


ROLES = {role.label: role for role in Role}


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever makes a request.

    Attributes:
        token_id: The public part of the token.
        name: What the token was named when it was made.
        role: What it may do.
        tenants: The tenants whose jobs it sees and changes; None is all, and the queues as a whole.
        queues: The queues that it sees; None is all.
        by_cookie: Whether a browser sent the token by itself, from the log-in cookie.
        asked_tenant: The tenant that the request narrowed itself to, if it did.
        expires_ms: When the token stops, in ms since 1970; None is never.
        address: Where the request comes from.
    """

    token_id: str
    name: str
    role: Role
    tenants: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    by_cookie: bool = False
    asked_tenant: str = ""
    expires_ms: int | None = None
    address: str = ""

    @property
    def is_limited(self) -> bool:
        """Whether it is held to some tenants, and so may not see or touch a queue as a whole."""
        return self.tenants is not None

    def may(self, role: Role) -> bool:
        """Whether it has a role, or a higher one."""
        return self.role >= role

    def sees_queue(self, queue: str) -> bool:
        """Whether it may know of a queue."""
        return self.queues is None or queue in self.queues

    def sees_tenant(self, tenant: str) -> bool:
        """Whether it may know of a tenant's jobs; jobs without a tenant are for those who see everything."""
        return self.tenants is None or tenant in self.tenants

    def narrowed(self, tenant: str) -> Caller | None:
        """The same caller held to one tenant; None where that is not one of its own."""
        if not self.sees_tenant(tenant):
            return None
        return msgspec.structs.replace(self, tenants=(tenant,), asked_tenant=tenant)
