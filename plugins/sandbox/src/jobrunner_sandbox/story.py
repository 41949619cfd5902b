"""The demo's story: a month of posts is written, drawn, approved, published and counted, for two companies at once.

Enqueues by the queues' names, and goes on by what a producer can read: results, and the table of posts. Never looks into a
plugin, and judges nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jobrunner.client import Client
from jobrunner.views import JobView
from jobrunner_sandbox import orders, shelves
from jobrunner_sandbox.cast import PLATFORMS, Company, Text, packaged_texts
from jobrunner_sandbox.parts import QUEUES, Parts
from jobrunner_sandbox.watch import Watch

LOOK_S = 0.2

AHEAD_EVERY = 12
AHEAD_S = 3.0
"""Every twelfth post is scheduled so many seconds ahead of the moment at which it is approved."""


class Story:
    """One telling.

    Args:
        client: Enqueues.
        watch: Tells when a job has ended.
        companies: Who is in it.
        parts: What is told of it.
        folder: Where the plugins leave their files.
        approvers: Waits until the approvers are known.

    Attributes:
        asked: All that was asked for so far.
        done: How many things of a part are done, by part and tenant.
        through: Seconds after which a tenant's story had ended.
    """

    def __init__(
        self,
        *,
        client: Client,
        watch: Watch,
        companies: Sequence[Company],
        parts: Parts,
        folder: Path,
        approvers: Callable[[], Awaitable[None]],
    ) -> None:
        self._client = client
        self._watch = watch
        self._parts = parts
        self._folder = folder
        self._approvers = approvers
        self._begun = time.monotonic()
        self._post_ids: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.companies = companies
        self.asked = orders.Orders()
        self.done: Counter[tuple[str, str]] = Counter()
        self.through: dict[str, float] = {}

    def total(self, part: str, company: Company) -> int:
        """How many things of a part a company will have in all."""
        match part:
            case "whatsapp":
                return len(company.customers)
            case "analytics":
                return len(PLATFORMS)
            case "rewriting":
                return len(orders.to_be_rewritten(company))
            case _:
                return company.posts

    @property
    def jobs(self) -> int:
        """How many jobs there will be in all, those that a job enqueues among them."""
        count = 0
        for company in self.companies:
            count += sum(self.total(part, company) for part in self._parts.told if part != "content")
            if "content" in self._parts:
                count += len(orders.months(company, datetime.now(UTC)))
            if "approval" in self._parts and "whatsapp" in self._parts:
                count += len(orders.by_whatsapp(company))
        return count

    async def play(self) -> None:
        """Tell it to its end, both companies at once."""
        async with asyncio.TaskGroup() as group:
            for company in self.companies:
                group.create_task(self._of(company))

    async def _of(self, company: Company) -> None:
        async with asyncio.TaskGroup() as group:
            if "whatsapp" in self._parts:
                for message in orders.messages(company):
                    self.asked.messages.append(message)
                    group.create_task(self._one("whatsapp", company, message.job_id, message.payload))
            nth = 0
            async for text in self._texts(company):
                group.create_task(self._post(company, text, nth))
                nth += 1
        if "analytics" in self._parts:
            await self._counted(company)
        self.through[company.tenant] = time.monotonic() - self._begun

    async def _counted(self, company: Company) -> None:
        pulls = orders.pulls(company, datetime.now(UTC), post_ids=self._post_ids[company.tenant])
        self.asked.pulls += pulls

        async def on(platform: str) -> None:
            mine = [pull for pull in pulls if pull.platform == platform]
            await asyncio.gather(
                *(self._enqueue("analytics", company, pull.job_id, pull.payload) for pull in mine)
            )
            self.done["analytics", company.tenant] += 1

        await asyncio.gather(*(on(platform) for platform in PLATFORMS))

    async def _texts(self, company: Company) -> AsyncIterator[Text]:
        """A company's posts, each as soon as it is written."""
        if "content" not in self._parts:
            for text in packaged_texts(company):
                yield text
            return
        months = orders.months(company, datetime.now(UTC))
        self.asked.months += months
        async with asyncio.TaskGroup() as group:
            writing = [
                group.create_task(self._enqueue("content", company, month.job_id, month.payload))
                for month in months
            ]
            seen: set[str] = set()
            over = False
            while not over:
                over = all(
                    task.done() for task in writing
                )  # before the look: what comes later is in the next one
                for text in shelves.written(self._folder, company.tenant):
                    if text.post_id not in seen:
                        seen.add(text.post_id)
                        self.done["content", company.tenant] += 1
                        yield text
                await asyncio.sleep(LOOK_S)

    async def _post(self, company: Company, text: Text, nth: int) -> None:
        if "rewriting" in self._parts and nth in orders.to_be_rewritten(company):
            text = await self._rewritten(company, text, nth)
        path = await self._drawn(company, text, nth) if "image" in self._parts else None
        if "approval" in self._parts:
            await self._approved(company, text, nth)
        if "publish" in self._parts:
            due = time.time() + AHEAD_S if nth % AHEAD_EVERY == AHEAD_EVERY - 1 else 0.0
            ordered = orders.publication(company, text, due=due, picture_path=path)
            self.asked.publications.append(ordered)
            view = await self._one("publish", company, ordered.job_id, ordered.payload, due=due)
            self._post_ids[company.tenant][text.platform] += _post_ids(view)

    async def _rewritten(self, company: Company, text: Text, nth: int) -> Text:
        """A post's text once it is written anew; all that comes later goes by that."""
        ordered = orders.rewriting(company, text, nth)
        self.asked.rewritings.append(ordered)
        await self._one("rewriting", company, ordered.job_id, ordered.payload)
        return shelves.written_one(self._folder, company.tenant, text.post_id) or text

    async def _drawn(self, company: Company, text: Text, nth: int) -> str | None:
        ordered = orders.picture(company, text, nth)
        self.asked.pictures.append(ordered)
        view = await self._one("image", company, ordered.job_id, ordered.payload)
        path = view.result.get("path") if isinstance(view.result, dict) else None
        return str(path) if path else None

    async def _approved(self, company: Company, text: Text, nth: int) -> None:
        """The approver is told, and says yes at once."""
        await self._approvers()
        ordered = orders.notice(company, text, nth, whatsapp="whatsapp" in self._parts)
        self.asked.notices.append(ordered)
        view = await self._one("approval", company, ordered.job_id, ordered.payload)
        notices = view.result.get("notices") if isinstance(view.result, dict) else None
        for told in notices if isinstance(notices, list) else ():
            if told.get("status") == "enqueued":
                await self._watch.end(QUEUES["whatsapp"], str(told.get("jobId")))

    async def _one(
        self, part: str, company: Company, job_id: str, payload: dict[str, object], *, due: float = 0.0
    ) -> JobView:
        view = await self._enqueue(part, company, job_id, payload, due=due)
        self.done[part, company.tenant] += 1
        return view

    async def _enqueue(
        self, part: str, company: Company, job_id: str, payload: dict[str, object], *, due: float = 0.0
    ) -> JobView:
        """Enqueue a job and wait for its end. A message's payload names no tenant, so it is given beside it."""
        tenant = company.tenant if part == "whatsapp" else None
        await self._client.enqueue(QUEUES[part], payload, job_id=job_id, tenant=tenant)
        return await self._watch.end(QUEUES[part], job_id, due=due)


def _post_ids(view: JobView) -> list[str]:
    """The ids that platforms gave a job's posts, as far as it knows them."""
    platforms = view.result.get("platforms") if isinstance(view.result, dict) else None
    listed = platforms if isinstance(platforms, list) else []
    return [str(one["postId"]) for one in listed if isinstance(one, dict) and one.get("postId")]
