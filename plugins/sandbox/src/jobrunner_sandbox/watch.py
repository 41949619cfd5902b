"""Tells when jobs have ended, and lends a hand as an operator would: waits are brought forward, failures retried.

Looks at all jobs of a queue in two commands, however many are awaited. Never changes what a handler decided for good.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

from jobrunner.admin import Admin
from jobrunner.model import State
from jobrunner.store import calls, looks
from jobrunner.views import JobView

BY_HAND = 20
"""Times that one job is retried by hand."""

DUE_MS = 500
"""Milliseconds after its time in which a scheduled job is left to start by itself."""

DISCARDED = "Discard"

Key = tuple[str, str]
"""Queue and job id."""


class Watch:
    """Watches jobs.

    Args:
        admin: The store's operator side.

    Attributes:
        ended_jobs: Every job that was awaited and has ended, by queue and id.
        forwarded: Waits that were brought forward.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._awaited: dict[Key, asyncio.Future[JobView]] = {}
        self._due_ms: dict[Key, float] = {}
        self._by_hand: Counter[Key] = Counter()
        self.ended_jobs: dict[Key, JobView] = {}
        self.forwarded = 0

    async def end(self, queue: str, job_id: str, *, due: float = 0.0) -> JobView:
        """Wait until a job has completed, or has failed for good.

        Args:
            queue: Its queue.
            job_id: Its id.
            due: Unix time in seconds before which it is not brought forward.
        """
        key = (queue, job_id)
        if due:
            self._due_ms[key] = due * 1000
        future = self._awaited.setdefault(key, asyncio.get_running_loop().create_future())
        return await future

    async def look(self) -> None:
        """Look once at all jobs that are awaited, and lend a hand."""
        for queue in {queue for queue, _ in self._awaited}:
            ids = [job_id for name, job_id in self._awaited if name == queue]
            for job_id in await self._there(queue, "done", ids):
                await self._settle((queue, job_id))
            dead = await self._there(queue, "dead", ids)
            again = [job_id for job_id in dead if not await self._is_over((queue, job_id))]
            if again:
                await self._admin.retry(queue, again)
            self.forwarded += await self._bring_forward(queue)

    async def _there(self, queue: str, part: str, ids: Iterable[str]) -> list[str]:
        asked = list(ids)
        keys = self._admin.store.keys(queue)
        scores = await self._admin.store.run(calls.command("ZMSCORE", keys[part], *asked)) if asked else []
        assert isinstance(scores, list)
        return [job_id for job_id, score in zip(asked, scores, strict=True) if score is not None]

    async def _settle(self, key: Key) -> None:
        view = await self._admin.job(*key)
        self.ended_jobs[key] = view
        self._awaited.pop(key).set_result(view)

    async def _is_over(self, key: Key) -> bool:
        view = await self._admin.job(*key)
        errors = [entry for entry in view.history if entry.what == "error"]
        given_up = bool(errors) and errors[-1].error_type == DISCARDED
        if given_up or self._by_hand[key] >= BY_HAND:
            await self._settle(key)
            return True
        self._by_hand[key] += 1
        return False

    async def _bring_forward(self, queue: str) -> int:
        """Let what waits for its next attempt start now: people who watch should not wait for a backoff of minutes."""
        keys, now_ms = self._admin.store.keys(queue), time.time() * 1000
        delayed = await self._admin.store.run(looks.page(keys, State.DELAYED, start=0, limit=looks.MAX_PAGE))
        again = [job_id for job_id, _ in delayed if self._due_ms.get((queue, job_id), 0) + DUE_MS < now_ms]
        return len(await self._admin.promote(queue, again)) if again else 0
