"""Who is in the demo: two companies of very different size, their accounts, approvers and customers.

Pure data, and the same for the same numbers. Knows no plugin, and no queue.
"""

from __future__ import annotations

import importlib.resources

import msgspec

from jobrunner_sandbox.service import account_of

PLATFORMS = ("facebook", "instagram", "linkedin", "mastodon", "x")

LARGE, SMALL = "north-harbour", "fjord-bakery"

SHARE = 10
"""The large company has so many times the posts of the small one."""

CUSTOMERS = 3
"""A post in so many stands for one customer who gets the campaign's message."""

TOPICS = (
    *(
        "winter opening hours",
        "the new oven",
        "a walk through the workshop",
        "gifts under twenty",
        "rye bread",
    ),
    *("the market on Saturday", "our oldest recipe", "repairs while you wait", "a day with the team"),
    *("coffee from the harbour", "wool from the islands", "the window display", "packaging without plastic"),
    *("the night shift", "questions we get", "a course for beginners", "the first snow", "local suppliers"),
    *("lunch for six", "the summer menu", "a look at the archive", "new colours", "the loyalty card"),
    *("deliveries by bicycle", "the garden behind the shop", "apprentices wanted", "seconds sale"),
    *("a toast to our guests", "the long table", "closing day"),
)
"""As many as one month's job takes."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One account on one platform.

    Args:
        platform: The platform.
        id: What payloads and the accounts file call it.
        token: Its bearer token.
        ledger: What the stand-ins' ledger calls it.
    """

    platform: str
    id: str
    token: str
    ledger: str


class Approver(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose word is needed."""

    id: str
    name: str
    email: str
    phone: str


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant, with what it publishes in the demo."""

    tenant: str
    brand: str
    tone: str
    colors: tuple[str, ...]
    font: str
    posts: int
    accounts: dict[str, Account]
    approvers: tuple[Approver, ...]
    customers: tuple[str, ...]
    """Phone numbers."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A post's text."""

    post_id: str
    platform: str
    hook: str
    body: str
    hashtags: tuple[str, ...]

    @property
    def whole(self) -> str:
        """The post as people see it: hook, body and hashtags with a blank line between them."""
        tags = " ".join(f"#{tag}" for tag in self.hashtags)
        return "\n\n".join(part for part in (self.hook, self.body, tags) if part)


def cast(posts: int) -> tuple[Company, Company]:
    """Return both companies.

    Args:
        posts: The large one's posts, 1 or more; the small one has a tenth of them, and one at least.
    """
    return (
        Company(
            tenant=LARGE,
            brand="harbour-goods",
            tone="friendly",
            colors=("#0f766e", "#f59e0b"),
            font="Manrope",
            posts=posts,
            accounts=_accounts(LARGE, 1),
            approvers=_approvers(LARGE, ("Ana Alba", "Björn Öst", "Çelik & Co <ops>"), 1),
            customers=_customers(posts, 1),
        ),
        Company(
            tenant=SMALL,
            brand="daily-bread",
            tone="playful",
            colors=("#7c2d12", "#fde68a"),
            font="Fredoka One",
            posts=max(1, posts // SHARE),
            accounts=_accounts(SMALL, 2),
            approvers=_approvers(SMALL, ("Dag Dahl",), 2),
            customers=_customers(max(1, posts // SHARE), 2),
        ),
    )


def packaged(number: int) -> list[dict[str, object]]:
    """The packaged posts as payloads of `publish.dispatch`: over again, under names of their own, beyond the sixtieth."""
    text = (importlib.resources.files("jobrunner_sandbox") / "sample.jsonl").read_text("utf-8")
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in text.splitlines()]
    payloads = []
    for at in range(number):
        one, round_ = dict(lines[at % len(lines)]), at // len(lines)
        if round_:
            content = dict(one["content"])  # type: ignore[call-overload]  # a payload of publish.dispatch
            content["hook"] = f"{content['hook']}, edition {round_ + 1}"
            one |= {"postId": f"{one['postId']}-{round_ + 1}", "content": content}
        payloads.append(one)
    return payloads


def packaged_texts(company: Company) -> list[Text]:
    """The packaged posts as a company's own, spread over the platforms: for a demo in which nobody writes."""
    return [
        Text(
            post_id=f"{company.tenant}-{number:03d}",
            platform=PLATFORMS[number % len(PLATFORMS)],
            **msgspec.convert(one["content"], _Content).fields(),  # type: ignore[arg-type]  # three fields, each of its type
        )
        for number, one in enumerate(packaged(company.posts), start=1)
    ]


class _Content(msgspec.Struct):
    hook: str
    body: str
    hashtags: tuple[str, ...]

    def fields(self) -> dict[str, object]:
        return {"hook": self.hook, "body": self.body, "hashtags": self.hashtags}


def _accounts(tenant: str, number: int) -> dict[str, Account]:
    def account(platform: str, id_: str, *, ledger: str = "") -> Account:
        token = f"demo-{tenant}-{platform}-5120050ed3"
        known_by_token = platform in ("x", "mastodon")
        id_ = account_of(token) if known_by_token else id_
        return Account(platform=platform, id=id_, token=token, ledger=ledger or id_)

    organization = f"55000{number}"
    made = (
        account("facebook", f"770077{number}"),
        account("instagram", f"1784140000846{number}"),
        account("linkedin", organization, ledger=f"urn:li:organization:{organization}"),
        account("mastodon", ""),
        account("x", ""),
    )
    return {one.platform: one for one in made}


def _approvers(tenant: str, names: tuple[str, ...], number: int) -> tuple[Approver, ...]:
    return tuple(
        Approver(
            id=f"approver-{at}",
            name=name,
            email=f"approver-{at}@{tenant}.example",
            phone=f"+4670{number}0000{at:02d}",
        )
        for at, name in enumerate(names, start=1)
    )


def _customers(posts: int, number: int) -> tuple[str, ...]:
    return tuple(f"+4673{number}{at:06d}" for at in range(-(-posts // CUSTOMERS)))
