"""A queue whose jobs may start at a rate only; apart from the others, since a former release that loads those knows no rates.

Loaded by workers as a file, in place of `chaos_plugin.py`, whose handler and history it has.
"""

from chaos.chaos_plugin import LEASE, Work, jobrunner_event, work
from jobrunner import Queue, RateLimit, hookimpl

__all__ = ["jobrunner_event"]


@hookimpl
def jobrunner_queues() -> list[Queue]:
    rate = RateLimit(jobs=10, per_seconds=1)
    return [Queue("chaos.paced", Work, work, lease=LEASE, rate_limit=rate, rate_limit_per_tenant=rate)]
