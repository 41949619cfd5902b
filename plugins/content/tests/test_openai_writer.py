"""The writer behind a chat endpoint: what it asks, what it takes for an answer, and how each refusal is sorted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest
from content_chat import Chat, Reply, completion, raw

from jobrunner import SettingsError
from jobrunner_content import (
    Brief,
    ContentSettings,
    PostText,
    RefusedError,
    TransientError,
    UnusableError,
    limits_of,
)
from jobrunner_content.writers.openai import MOST_BYTES, open_writer

KEY = "sk-a-secret-key-77"


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as chat:
        yield chat


def make_brief(**changes: object) -> Brief:
    fields = {
        "tenant_id": "acme-tenant",
        "brand_id": "brand-123",
        "post_id": "december-001",
        "platform": "x",
        "limits": limits_of("x"),
        "day": date(2024, 12, 1),
        "number": 1,
        "tone": "friendly",
        "topic": "winter coffee",
        "hashtags": ("newin",),
        **changes,
    }
    return Brief(**fields)


async def write(chat: Chat, brief: Brief | None = None, **settings: object) -> PostText:
    made = ContentSettings(**{"openai_url": chat.url, "openai_key": KEY, "openai_model": "m-1", **settings})
    async with open_writer(made) as writer:
        return await writer.write(brief or make_brief())


def answering(reply: Reply) -> Callable[[int], Reply]:
    return lambda _: reply


async def test_text_is_asked_for_in_one_call_in_the_shape_of_a_post(chat: Chat) -> None:
    """The key is in its header alone; the brief is data, without the ids that no model needs."""
    text = await write(chat)

    assert text == PostText(hook="One chair", body="Forty hours of work.", hashtags=("oak", "craft"))
    (asked,) = chat.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(asked.body)
    assert asked.body["model"] == "m-1"
    assert asked.body["response_format"]["json_schema"]["strict"] is True
    assert asked.brief == {
        "platform": "x",
        "brand": "brand-123",
        "day": "2024-12-01",
        "number": 1,
        "maxCharacters": 238,
        "maxHashtags": 5,
        "tone": "friendly",
        "topic": "winter coffee",
        "hashtags": ["newin"],
    }
    assert set(asked.body) == {"model", "messages", "response_format"}


async def test_settings_that_some_models_refuse_are_sent_only_if_they_are_set(chat: Chat) -> None:
    """Reasoning models take no temperature, and some servers no token limit."""
    await write(chat, openai_temperature=0.5, openai_max_tokens=900)

    assert chat.asked[0].body["temperature"] == 0.5
    assert chat.asked[0].body["max_completion_tokens"] == 900


async def test_server_without_a_key_is_sent_none(chat: Chat) -> None:
    """Such as one on the same machine."""
    await write(chat, openai_key="")

    assert "authorization" not in chat.asked[0].headers


async def test_rewriting_shows_the_former_text_and_names_the_part(chat: Chat) -> None:
    """The new hook has to fit the body that stays."""
    former = PostText(hook="Old", body="Body", hashtags=("a",))

    await write(chat, make_brief(former=former, part="hook", style="short"))

    assert chat.asked[0].brief["former"] == {"hook": "Old", "body": "Body", "hashtags": ["a"]}
    assert chat.asked[0].brief["style"] == "short"
    assert "Rewrite its hook" in chat.asked[0].body["messages"][0]["content"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>hello</html>"),
        Reply(body=b""),
        Reply(body=b"\xff\xfe"),
        Reply(body=b"[" * 100_000),
        Reply(body=b'{"more": ' + b"[" * 100_000),
        Reply(body=b'{"choices": [{"message": {"content": "\xff"}}]}'),
        raw('{"more": ' + "[" * 100_000),
        Reply(body=b'{"choices": []}'),
        Reply(body=b'{"choices": [{"message": "hello"}]}'),
        Reply(body=b'{"choices": {"a": 1}}'),
        raw(None),
        raw(""),
        raw("Sure! Here is your post."),
        raw('{"hook": "a"}'),
        raw('{"hook": 1, "body": "", "hashtags": []}'),
        raw('{"hook": "", "body": "", "hashtags": []}'),
        raw('{"hook": "a", "body": "", "hashtags": "no list"}'),
        raw('{"hook": "nul \\u0000", "body": "", "hashtags": []}'),
        completion(hook="h" * 1001),
        completion(body="b" * 20_001),
        completion(hashtags=["t"] * 61),
        completion(hashtags=["t" * 141]),
        raw('{"hook": "a", "body": "', finish="length"),
        Reply(body=b"x" * (MOST_BYTES + 1)),
        Reply(body=b"{}", headers={"content-length": "9999"}),
    ],
)
async def test_answer_that_does_not_fit_is_asked_for_again(reply: Reply, chat: Chat) -> None:
    """A model's next answer is another one; nothing of a bad one is used."""
    chat.reply = answering(reply)

    with pytest.raises(TransientError) as caught:
        await write(chat)
    assert caught.value.retry_after is None
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "reply",
    [
        Reply(
            body=json.dumps({"choices": [{"message": {"content": None, "refusal": "I cannot."}}]}).encode()
        ),
        raw("", finish="content_filter"),
        Reply(status=400, body=b'{"error": {"code": "context_length_exceeded", "message": "too long"}}'),
        Reply(status=422, body=b'{"detail": "no"}'),
    ],
)
async def test_text_that_is_refused_is_not_asked_for_again(reply: Reply, chat: Chat) -> None:
    """The same question gets the same refusal."""
    chat.reply = answering(reply)

    with pytest.raises(RefusedError):
        await write(chat)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": {"message": f"Incorrect key {KEY}"}}, "JOBRUNNER_CONTENT_OPENAI_KEY"),
        (403, {"error": {"message": f"{KEY} may not"}}, "JOBRUNNER_CONTENT_OPENAI_KEY"),
        (404, {"error": {"code": "model_not_found"}}, "JOBRUNNER_CONTENT_OPENAI_MODEL"),
        (402, {}, "top up"),
        (429, {"error": {"code": "insufficient_quota"}}, "top up"),
        (429, {"error": {"type": "insufficient_quota", "code": None}}, "top up"),
        (301, {}, "JOBRUNNER_CONTENT_OPENAI_URL"),
    ],
)
async def test_what_somebody_has_to_change_is_named(status: int, body: object, said: str, chat: Chat) -> None:
    """Trying again changes nothing, and neither does another post."""
    headers = {"location": "http://127.0.0.1:9/elsewhere", "retry-after": "1"}
    chat.reply = answering(Reply(status=status, body=json.dumps(body).encode(), headers=headers))

    with pytest.raises(UnusableError, match=said) as caught:
        await write(chat)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("40", 40),
        ("1.5", 1.5),
        ("", 60),
        ("0", 60),
        ("-5", 60),
        ("soon", 60),
        ("nan", 60),
        ("inf", 86_400),
        ("999999999", 86_400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        (f"Mon, 01 Jan {'2026' + '0' * 30} 00:00:00 GMT", 60),
    ],
)
async def test_rate_limit_is_waited_for_as_long_as_it_says(header: str, wait: float, chat: Chat) -> None:
    """A minute where it says nothing that can be read, and a day at most."""
    chat.reply = answering(Reply(status=429, headers={"retry-after": header} if header else {}))

    with pytest.raises(TransientError) as caught:
        await write(chat)
    assert caught.value.retry_after == wait


async def test_date_to_wait_for_is_held_against_the_servers_clock(chat: Chat) -> None:
    """A worker whose clock is off waits as long as any other."""
    then = datetime(2031, 5, 1, 12, 0, 0, tzinfo=UTC)
    headers = {
        "date": format_datetime(then, usegmt=True),
        "retry-after": format_datetime(then + timedelta(seconds=90), usegmt=True),
    }
    chat.reply = answering(Reply(status=503, headers=headers))

    with pytest.raises(TransientError) as caught:
        await write(chat)
    assert caught.value.retry_after == 90


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 529])
async def test_trouble_that_passes_is_asked_again(status: int, chat: Chat) -> None:
    """Also where the body is no JSON, as behind a gateway."""
    chat.reply = answering(Reply(status=status, body=b"<html>Bad gateway</html>"))

    with pytest.raises(TransientError):
        await write(chat)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"error": "\xff"}', b"null", b'{"error": {"message": 5, "code": {}}}']
)
async def test_refusal_that_cannot_be_read_is_sorted_by_its_status(body: bytes, chat: Chat) -> None:
    """It is never a bug of the writer's."""
    chat.reply = answering(Reply(status=400, body=body))

    with pytest.raises(RefusedError, match="answered 400: no message"):
        await write(chat)


@pytest.mark.parametrize("error", [{"message": "the model is loading", "code": 503}, "the model is loading"])
async def test_error_inside_a_success_is_told(error: object, chat: Chat) -> None:
    """Some gateways answer 200 and say in the body what went wrong."""
    chat.reply = answering(Reply(body=json.dumps({"error": error}).encode()))

    with pytest.raises(TransientError, match="the model is loading"):
        await write(chat)


async def test_server_that_does_not_answer_is_left_after_the_timeout(chat: Chat) -> None:
    """Whatever it does meanwhile, the job goes on."""
    released = threading.Event()

    def hold(_: int) -> Reply:
        released.wait(30)
        return completion()

    chat.reply = hold
    try:
        with pytest.raises(TransientError, match="no answer in 1 s"):
            await write(chat, openai_timeout=1.0)
    finally:
        released.set()


async def test_server_that_cannot_be_reached_is_tried_again(unused_tcp_port: int) -> None:
    """Nothing listens there at the moment."""
    settings = ContentSettings(openai_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    async with open_writer(settings) as writer:
        with pytest.raises(TransientError, match="cannot be reached"):
            await writer.write(make_brief())


async def test_openai_itself_is_not_asked_without_a_key() -> None:
    """Every job would fail; a worker that does not start is noticed."""
    with pytest.raises(SettingsError, match="JOBRUNNER_CONTENT_OPENAI_KEY"):
        async with open_writer(ContentSettings()):
            pass
