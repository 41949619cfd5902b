"""Where the demo looks for each effect, and that a change of any one thing there is seen."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import msgspec
import pytest

from jobrunner.views import JobView
from jobrunner_sandbox import orders, shelves
from jobrunner_sandbox.cast import PLATFORMS, Text, cast, packaged_texts
from jobrunner_sandbox.evidence import Evidence
from jobrunner_sandbox.ledger import Ledger, Published
from jobrunner_sandbox.mail_room import Mail
from jobrunner_sandbox.parts import QUEUES, choose
from jobrunner_sandbox.pictures import fingerprint, flat_png

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARTS = choose(set(QUEUES))


class World:
    """Everything as it is when all is well, for one company of five posts; tests change one thing of it."""

    def __init__(self, folder):
        self.folder = folder
        self.companies = cast(5)
        self.company = self.companies[0]
        self.asked = orders.Orders(months=orders.months(self.company, NOW))
        self.ended = {}
        self.posts = []
        self.mails = []
        self.rows = []
        self.excusing = False
        self.written = list(self.asked.months[0].post_ids)
        self.former = []
        for nth, (hook, body) in enumerate((("old", "b"), ("h", "old"))):
            text = Text(post_id=self.written[nth], platform="x", hook=hook, body=body, hashtags=())
            rewriting = orders.rewriting(self.company, text, nth)
            self.asked.rewritings.append(rewriting)
            self.former.append((text.post_id, 1, hook, body, "[]", rewriting.part, rewriting.job_id))
        for nth, (text, post_id) in enumerate(zip(packaged_texts(self.company), self.written, strict=True)):
            self._add(msgspec.structs.replace(text, post_id=post_id), nth)
        self.asked.messages = orders.messages(self.company)
        for message in self.asked.messages:
            self._publish("whatsapp", message.to, f"[{orders.TEMPLATE}] {message.text}")

    def _add(self, text, nth):
        content = flat_png(hashlib.sha256(text.post_id.encode()).digest(), orders.SIDE, orders.SIDE)
        picture = orders.picture(self.company, text, nth)
        path = f"north/{text.post_id}.png"
        file = self.folder / shelves.IMAGES / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        said = {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        self._end("image", picture.job_id, result=said | {"width": orders.SIDE, "height": orders.SIDE})
        self.asked.pictures.append(picture)

        notice = orders.notice(self.company, text, nth, whatsapp=nth == 0)
        self.asked.notices.append(notice)
        self.mails.append(self.mail(notice.approver.email, notice.link))
        if notice.both:
            self._publish(
                "whatsapp", notice.approver.phone, f"[{orders.TEMPLATE}] Hello, look: {notice.link}"
            )

        due = NOW.timestamp() if nth == 1 else 0.0
        ordered = orders.publication(self.company, text, due=due, picture_path=path)
        self.asked.publications.append(ordered)
        fetched = text.platform in ("facebook", "instagram")
        media = ordered.media if fetched else (fingerprint(content),)
        post = self._publish(text.platform, ordered.account.ledger, text.whole, media=media)
        self.rows += [(text.platform, post.post_id, metric) for metric in orders.METRICS]

    @staticmethod
    def mail(to, link):
        content = f"To: {to}\r\nSubject: Approval needed\r\n\r\nLook at it here: {link}\r\n".encode()
        return Mail(sender="a@b.example", recipients=(to,), content=content, at=0)

    def _publish(self, platform, account, text, *, media=()):
        number = str(1000 + len(self.posts))
        post = Published(
            platform=platform,
            account=account,
            post_id=number,
            url="",
            text=text,
            media=media,
            at=NOW.timestamp(),
        )
        self.posts.append(post)
        return post

    def _end(self, part, job_id, **fields):
        shown = {"tenant": "", "priority": 0, "attempt": 1, "runs": 1, "crashes": 0, "enqueued_at": 0}
        key = (QUEUES[part], job_id)
        self.ended[key] = JobView(id=job_id, queue=key[0], state="completed", **shown, **fields)

    def findings(self):
        ledger = Ledger()
        for post in self.posts:
            ledger.publish(post)
        tables = {
            shelves.POSTS: (
                "content_posts (tenant_id, post_id, platform, hook, body, hashtags)",
                [("north-harbour", post_id, "x", "h", "b", "[]") for post_id in self.written],
            ),
            "former": (
                "content_post_versions (tenant_id, post_id, version, hook, body, hashtags, part, replaced_by)",
                [("north-harbour", *row) for row in self.former],
            ),
            shelves.METRICS: (
                "metrics (tenant, platform, post, metric)",
                [("north-harbour", *row) for row in self.rows],
            ),
        }
        for name, (table, rows) in tables.items():
            file = shelves.POSTS if name == "former" else name
            with closing(sqlite3.connect(self.folder / file)) as database, database:
                database.execute(f"CREATE TABLE {table}")
                for row in rows:
                    database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        evidence = Evidence(
            asked=self.asked,
            ended=self.ended,
            ledger=ledger,
            mails=self.mails,
            folder=self.folder,
            excusing=self.excusing,
        )
        return evidence.findings(PARTS, self.companies)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def faults(findings):
    """The kinds in which something is wrong, and what."""
    names = ("missing", "twice", "early", "wrong", "strangers")
    return {(kind, name) for kind, finding in findings.items() for name in names if getattr(finding, name)}


def test_everything_is_found_where_it_should_be(world):
    """Else each fault below would be found whatever the change."""
    findings = world.findings()
    assert faults(findings) == set()
    assert {kind: finding.once for kind, finding in findings.items()} == {
        "posts written": 5,
        "posts rewritten": 2,
        "images drawn": 5,
        "mails": 5,
        "messages": 3,
        "posts published": 5,
        "metric rows": 15,
    }
    assert {text.platform for text in packaged_texts(world.company)} == set(PLATFORMS)


def image(world, nth=0):
    return world.folder / shelves.IMAGES / "north" / f"{world.written[nth]}.png"


def replace_post(world, platform, **changes):
    at = next(at for at, post in enumerate(world.posts) if post.platform == platform)
    world.posts[at] = msgspec.structs.replace(world.posts[at], **changes)


def keep_text(world, nth, hook, body):
    """Let a post have been this before it was rewritten, and the job have known it so."""
    post_id, version, _, _, tags, *rest = world.former[nth]
    world.former[nth] = (post_id, version, hook, body, tags, *rest)
    order = world.asked.rewritings[nth]
    text = msgspec.structs.replace(order.text, hook=hook, body=body)
    world.asked.rewritings[nth] = msgspec.structs.replace(order, text=text)


CHANGES = {
    "post not written": (lambda w: w.written.pop(), {("posts written", "missing")}),
    "post nobody asked for": (lambda w: w.written.append("other-001"), {("posts written", "strangers")}),
    "rewriting lost": (lambda w: w.former.pop(), {("posts rewritten", "missing")}),
    "rewriting nobody asked for": (
        lambda w: w.former.append((w.written[2], 1, "old", "b", "[]", "full", "job-x")),
        {("posts rewritten", "strangers")},
    ),
    "post rewritten twice": (
        lambda w: w.former.append((w.written[0], 2, "h", "b", "[]", "full", "rewriting-other")),
        {("posts rewritten", "strangers")},
    ),
    "text as it was not kept": (
        lambda w: w.former.__setitem__(0, (*w.former[0][:2], "older", *w.former[0][3:])),
        {("posts rewritten", "wrong")},
    ),
    "rewriting that changed nothing": (lambda w: keep_text(w, 0, "h", "b"), {("posts rewritten", "wrong")}),
    "rewriting that changed more": (lambda w: keep_text(w, 1, "old", "old"), {("posts rewritten", "wrong")}),
    "image gone": (lambda w: image(w).unlink(), {("images drawn", "missing")}),
    "image altered": (
        lambda w: image(w, 2).write_bytes(image(w, 3).read_bytes()),
        {("images drawn", "wrong"), ("posts published", "wrong")},
    ),
    "image cut off": (
        lambda w: image(w, 4).write_bytes(image(w, 4).read_bytes()[:-9]),
        {("images drawn", "wrong")},
    ),
    "temporary file left": (
        lambda w: image(w).with_suffix(".tmp").write_bytes(b"half"),
        {("images drawn", "strangers")},
    ),
    "mail lost": (lambda w: w.mails.pop(), {("mails", "missing")}),
    "mail twice": (lambda w: w.mails.append(w.mails[0]), {("mails", "twice")}),
    "mail to somebody else": (
        lambda w: w.mails.__setitem__(0, w.mail("someone@else.example", w.asked.notices[0].link)),
        {("mails", "missing"), ("mails", "strangers")},
    ),
    "mail of another post": (
        lambda w: w.mails.__setitem__(0, w.mail(w.asked.notices[0].approver.email, w.asked.notices[1].link)),
        {("mails", "missing"), ("mails", "strangers")},
    ),
    "message lost": (lambda w: w.posts.pop(), {("messages", "missing")}),
    "message twice": (lambda w: w.posts.append(w.posts[-1]), {("messages", "twice")}),
    "post twice": (lambda w: w.posts.append(w.posts[1]), {("posts published", "twice")}),
    "post on another account": (
        lambda w: replace_post(w, "x", account="user-else"),
        {("posts published", "missing"), ("posts published", "strangers"), ("metric rows", "strangers")},
    ),
    "post with another text": (
        lambda w: replace_post(w, "x", text="Another"),
        {("posts published", "missing"), ("posts published", "strangers")},
    ),
    "post without its picture": (lambda w: replace_post(w, "x", media=()), {("posts published", "wrong")}),
    "post with another's address": (
        lambda w: replace_post(w, "facebook", media=("https://pictures.example.com/other.png",)),
        {("posts published", "wrong")},
    ),
    "row missing": (lambda w: w.rows.pop(), {("metric rows", "missing")}),
    "row of nothing": (lambda w: w.rows.append(("x", "1", "likes")), {("metric rows", "strangers")}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_of_any_one_thing_is_seen(name, world):
    """In its own kind; and no number alone would have told."""
    change, seen = CHANGES[name]
    change(world)
    assert faults(world.findings()) == seen


def test_post_before_its_time_is_seen(world):
    """People would have read it too soon."""
    scheduled = world.asked.publications[1]
    replace_post(world, scheduled.account.platform, at=scheduled.due - 1)
    assert faults(world.findings()) == {("posts published", "early")}


@pytest.mark.parametrize("excusing", [True, False])
def test_mail_whose_job_says_unknown_is_excused_only_where_answers_were_lost(excusing, world):
    """Else a bug that says unknown would pass for bad luck."""
    notice = world.asked.notices[0]
    world.mails.pop(0)
    world._end("approval", notice.job_id, steps={"told": {"channel": "email", "status": "unknown"}})
    world.excusing = excusing
    findings = world.findings()
    name = [f"{notice.approver.email} {notice.post_id}"]
    assert (findings["mails"].unknown, findings["mails"].missing) == ((name, []) if excusing else ([], name))
