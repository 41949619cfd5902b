"""How a job is made of a payload, without anything that is sent."""

import msgspec
import pytest

from jobrunner.declaration import Declaration, declare
from jobrunner.drafting import Drafter, Options
from jobrunner.errors import InvalidNameError, JobrunnerError
from jobrunner.queue import Queue

TENANTS = ["acme", "a", "x" * 128, "", None, "x" * 129, "with space", "-", "Ä", "a\n", "a:b@c|d+e"]


class Post(msgspec.Struct, rename="camel"):
    brand_id: str | None = None
    text: str = "hello"


async def send(job): ...


QUEUE = Queue("post.send", Post, send, tenant_field="brand_id", priority=4)


def by_plugin(options):
    return Drafter(declare(QUEUE), options, queue=QUEUE)


def by_name(options):
    return Drafter(declare(QUEUE), options)


def outcome(check, payload):
    """What was found, or what was wrong."""
    try:
        return check({"brandId": payload})
    except JobrunnerError as error:
        return type(error), str(error)


@pytest.mark.parametrize("drafter", [by_plugin, by_name])
@pytest.mark.parametrize(
    "options", [Options(), Options(parent_tenant="above"), Options(priority=7), Options(delay=0)]
)
@pytest.mark.parametrize("tenant", [*TENANTS, 5, ["acme"], {"a": 1}, True], ids=repr)
def test_usual_job_is_found_to_be_what_any_other_is(drafter, options, tenant):
    """In fewer steps, and with the same end: a tenant that passes here only would be refused by whoever looks later."""
    usual, other = drafter(options), drafter(options)
    assert usual._is_usual
    other._is_usual = False

    assert outcome(usual.check, tenant) == outcome(other.check, tenant)


@pytest.mark.parametrize(
    "said",
    [{"tenant": "acme"}, {"unique": "k"}, {"job_id": "x"}, {"delay": 5.0}],
    ids=lambda said: next(iter(said)),
)
def test_job_of_which_the_producer_says_something_is_not_usual(said):
    """It is made with all that was said."""
    drafter = by_plugin(Options(**said))
    assert not drafter._is_usual
    made = drafter.draft(Post("acme"))
    assert (made.tenant, made.unique, made.id == "x", made.when) == (
        "acme",
        "acme k" if "unique" in said else "",
        "job_id" in said,
        "5000" if "delay" in said else "0",
    )


def test_wrong_id_is_named_before_a_wrong_payload_is_looked_at():
    """It is what the producer said first."""
    with pytest.raises(InvalidNameError, match="job id"):
        by_plugin(Options()).check({"nonsense": 1}, "a b")


def test_id_that_was_given_beside_the_payload_is_the_jobs():
    """Though the job is usual otherwise: the same id again must be the same job."""
    made = by_plugin(Options()).draft(Post("acme"), "chosen")
    assert made.id == "chosen"
    assert made.record.endswith(b'"]'), "with a fingerprint"


class Ghost(msgspec.Struct):
    """Has a value under every name."""

    text: str = ""

    def __getattr__(self, name):
        return "ghost"


def test_payload_is_not_asked_for_fields_that_the_queue_does_not_name():
    """Whatever it would answer."""
    queue = Queue("odd", Ghost, send)
    made = Drafter(declare(queue), Options(), queue=queue).draft(Ghost())
    assert (made.tenant, made.unique, made.when) == ("", "", "0")


@pytest.mark.parametrize("payload", [{"": "acme"}, {"": "acme", "brandId": None}, {"": 1.5}])
def test_field_without_a_name_says_nothing(payload):
    """A queue without a tenant's field has an empty name for it, and an object may have an empty key."""
    nameless = Drafter(Declaration(name="q"), Options())
    assert (nameless.draft(payload).tenant, nameless.draft(payload).unique) == ("", "")
    assert by_name(Options()).draft(payload).tenant == ""
