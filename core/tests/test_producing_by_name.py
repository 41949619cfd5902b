"""Enqueueing to queues whose plugin is not installed: by what workers declared, and by the schema that they gave."""

import subprocess
import sys
import textwrap
from typing import Annotated, Literal

import msgspec
import pytest

from jobrunner import PayloadError, Queue, UnknownQueueError
from jobrunner.declaration import Declaration, declare, payload_schema
from jobrunner.drafting import Options
from jobrunner.plugins import Plugins
from jobrunner.queuebook import QueueBook


class Account(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    account_id: str


class Post(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    brand_id: str
    accounts: list[Account] = []
    mood: Literal["warm", "formal"] = "warm"
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    extra: object = None


async def send(job): ...


QUEUE = Queue("post.send", Post, send, tenant_field="brand_id", priority=4)


def book(schema=None, **changes):
    declared = msgspec.structs.replace(declare(QUEUE), **changes)
    made = QueueBook(Plugins([]))
    assert not made.knows("post.send")
    raw = msgspec.json.encode(payload_schema(QUEUE)) if schema is None else schema
    made.learn("post.send", msgspec.json.encode(declared), raw)
    return made


def draft(payload, made=None, **options):
    return (made or book()).drafter("post.send", Options(**options)).draft(payload)


def test_job_by_name_has_the_queues_priority_and_its_payloads_tenant():
    """As if the plugin were here."""
    made = draft({"brandId": "acme", "accounts": [{"accountId": "a"}], "extra": {"any": [1]}})
    assert (made.tenant, made.priority, made.queue) == ("acme", 4, "post.send")
    assert draft({"brandId": "acme"}, priority=9).priority == 9


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "brandId"),
        ({"brandId": 5}, "brandId"),
        ({"brandId": "a", "accounts": [{"accountId": 5}]}, "accounts[0].accountId"),
        ({"brandId": "a", "accounts": [{}]}, "accounts[0].accountId"),
        ({"brandId": "a", "mood": "sour"}, "mood"),
        ({"brandId": "a", "count": 10}, "count"),
        ({"brandId": "a", "more": 1}, ""),
        ([], ""),
        ("text", ""),
        (None, ""),
    ],
)
def test_payload_that_does_not_fit_the_schema_is_refused_by_its_producer(payload, field):
    """Rather than at night, by a worker."""
    with pytest.raises(PayloadError) as caught:
        draft(payload)
    assert caught.value.field == field


def test_value_that_does_not_fit_is_not_shown():
    """Where the plugin is not here, nobody knows which fields are secret."""
    with pytest.raises(PayloadError) as caught:
        draft({"brandId": "a", "mood": "my-password"})
    assert str(caught.value) == 'post.send: mood: it does not keep the schema\'s rule: enum ["formal","warm"]'


@pytest.mark.parametrize(
    "schema",
    [
        b"not json",
        b"5",
        b'{"type": "no such type"}',
        b'{"$ref": "http://127.0.0.1:9/evil.json"}',
        b'{"$ref": "file:///etc/passwd"}',
        b'{"$ref": "#/nowhere"}',
        b'{"$ref": "#"}',
        b'{"pattern": "("}',
        b"[" * 5000,
    ],
)
def test_schema_from_the_store_is_data_and_can_do_no_harm(schema):
    """It is never fetched, compiled or believed: a job is taken or refused with our own error."""
    made = book(schema)
    try:
        assert draft({"brandId": "acme"}, made).tenant == "acme"
    except PayloadError:
        return


def test_declaration_from_the_store_cannot_give_the_queue_another_name():
    """Keys are made from the name that the producer used."""
    assert book(name="other.queue").declared("post.send").name == "post.send"


def test_tenant_of_the_call_must_be_that_of_the_payload():
    """Two tenants of one job is a mistake that bills the wrong one."""
    with pytest.raises(PayloadError, match="they must be the same") as caught:
        draft({"brandId": "acme"}, tenant="other")
    assert caught.value.field == "brandId"
    assert draft({"brandId": "acme"}, tenant="acme").tenant == "acme"
    assert draft({"brandId": ""}, tenant="other").tenant == "other"
    assert draft({"brandId": "acme"}, parent_tenant="parent").tenant == "acme"
    assert draft({"brandId": ""}, parent_tenant="parent").tenant == "parent"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delay": "60"}, "delay is 0 seconds to ten years"),
        ({"delay": True}, "delay is"),
        ({"at": "tomorrow"}, "at is a datetime"),
        ({"priority": 1.5}, "priority is a whole number"),
        ({"priority": -1}, "priority is"),
        ({"headers": {"a": 5}}, "header"),
        ({"headers": {5: "a"}}, "header"),
        ({"headers": {"a": "x" * 1025}}, "header"),
        ({"headers": {"JobRunner-Due": "5"}}, "own"),
    ],
)
def test_option_of_the_wrong_kind_is_refused_in_our_words(options, said):
    """Whatever an API server hands on unchecked."""
    with pytest.raises(PayloadError, match=said):
        draft({"brandId": "acme"}, **options)


def test_unknown_queue_says_what_to_do():
    """Install its plugin, or start a worker."""
    with pytest.raises(UnknownQueueError, match="install its plugin, or start a worker"):
        QueueBook(Plugins([])).learn("nope", None, None)
    with pytest.raises(UnknownQueueError, match="cannot be read"):
        QueueBook(Plugins([])).learn("nope", b'{"name": 5}', None)
    assert msgspec.json.decode(b'{"name":"q","later":1}', type=Declaration).name == "q"


def test_without_jsonschema_a_job_is_taken_as_it_is():
    """The library is an extra; the worker looks at the payload in any case."""
    source = """
        import sys

        sys.modules["jsonschema"] = None
        from jobrunner.drafting import Options
        from jobrunner.plugins import Plugins
        from jobrunner.queuebook import QueueBook

        book = QueueBook(Plugins([]))
        assert not book.knows("q")
        book.learn("q", b'{"name":"q"}', b'{"type":"object","required":["a"]}')
        print(book.drafter("q", Options(job_id="x")).draft({}).id)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("x\n", "")
