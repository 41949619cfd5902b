"""The engine `openai` against an images endpoint: what it asks, and what each answer means."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from image_endpoint import Canned
from PIL import Image

from jobrunner import Discard, PluginError, Retry
from jobrunner_image import Drawn, ImageSettings, Order, Workshop
from jobrunner_image.engines import openai
from jobrunner_sandbox import SandboxServer

KEY = "sk-secret-key-77"
ORDER = Order(
    seed="t/j",
    tenant_id="t",
    brand_id="b",
    prompt="A harbour at night",
    style="cartoon",
    width=1200,
    height=628,
    colors=("#0f766e",),
)


@pytest.fixture
async def threads() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


async def draw(threads: ThreadPoolExecutor, url: str, order: Order = ORDER, **changes: object) -> Drawn:
    settings = ImageSettings(engine="openai", openai_url=url, **{"openai_key": KEY, **changes})  # type: ignore[arg-type]  # as the test names them
    async with openai.open_engine(Workshop(settings, threads)) as engine:
        return await engine.draw(order)


def png(width: int = 64, height: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#336699").save(out, "PNG")
    return out.getvalue()


def sent(canned: Canned) -> dict[str, object]:
    (request,) = canned.received
    return msgspec.json.decode(request.partition(b"\r\n\r\n")[2], type=dict[str, object])


async def test_picture_comes_in_the_nearest_size(threads: ThreadPoolExecutor, sandbox: SandboxServer) -> None:
    """The sandbox refuses what the API does not know."""
    drawn = await draw(threads, sandbox.services()["openai"])

    assert drawn.image.size == (1536, 1024)
    assert [request.path for request in sandbox.ledger.requests()] == ["/v1/images/generations"]


async def test_address_with_a_version_is_taken_as_it_is(
    threads: ThreadPoolExecutor, sandbox: SandboxServer
) -> None:
    """Both ways in which compatible servers are documented."""
    await draw(threads, f"{sandbox.services()['openai']}/v1/")

    assert [request.path for request in sandbox.ledger.requests()] == ["/v1/images/generations"]


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1080, 1080, "1024x1024"),
        (1080, 1920, "1024x1536"),
        (1920, 1080, "1536x1024"),
        (1100, 1000, "1024x1024"),
        (64, 4096, "1024x1536"),
    ],
)
def test_size_that_loses_least_by_cropping_is_asked_for(width: int, height: int, expected: str) -> None:
    """What is cut away was paid for."""
    assert openai.nearest_size(width, height, ImageSettings().openai_sizes) == expected


async def test_request_says_what_the_payload_says(threads: ThreadPoolExecutor, canned: Canned) -> None:
    """Style and colours are words in the prompt: the API has no field for them."""
    canned.reply(200, msgspec.json.encode({"data": [{"b64_json": base64.b64encode(png()).decode()}]}))

    await draw(threads, canned.url)

    asked = sent(canned)
    assert asked["model"] == "gpt-image-2.5-flare"
    assert asked["n"] == 1
    assert "response_format" not in asked
    for part in ("A harbour at night", "cartoon", "#0f766e"):
        assert part in str(asked["prompt"])
    assert f"\r\nauthorization: bearer {KEY}\r\n".encode() in canned.received[0].lower()


async def test_older_models_are_asked_for_the_picture_itself(
    threads: ThreadPoolExecutor, canned: Canned
) -> None:
    """They would answer with an address, and no address from outside is fetched."""
    canned.reply(200, msgspec.json.encode({"data": [{"b64_json": base64.b64encode(png()).decode()}]}))

    await draw(threads, canned.url, openai_model="dall-e-3", openai_sizes=("1792x1024",))

    assert sent(canned)["response_format"] == "b64_json"
    assert sent(canned)["size"] == "1792x1024"


async def test_fonts_are_told_to_be_unused(threads: ThreadPoolExecutor, sandbox: SandboxServer) -> None:
    """What was asked for and not done is said."""
    order = msgspec.structs.replace(ORDER, fonts=("Manrope",))

    assert (await draw(threads, sandbox.services()["openai"], order)).notes != ()


async def test_rate_limit_waits_as_long_as_it_says(
    threads: ThreadPoolExecutor, sandbox: SandboxServer
) -> None:
    """A server's Retry-After is never shortened."""
    sandbox.faults.next("openai", status=429, retry_after=40)

    with pytest.raises(Retry) as caught:
        await draw(threads, sandbox.services()["openai"])

    assert caught.value.after == 40


@pytest.mark.parametrize(
    ("status", "code", "headers", "low", "high"),
    [
        (429, "rate_limit_exceeded", {}, 1, 60),
        (429, "rate_limit_exceeded", {"retry_after": "soon"}, 1, 60),
        (429, "rate_limit_exceeded", {"retry_after": "1e300"}, 86_400, 86_400),
        (429, "rate_limit_exceeded", {"retry_after": "nan"}, 1, 60),
        (429, "rate_limit_exceeded", {"retry_after_ms": "1500"}, 1.5, 1.5),
        (429, "insufficient_quota", {"retry_after": "1"}, 600, 3600),
        (503, "", {"retry_after": "7"}, 7, 7),
        (429, "rate_limit_exceeded", {"retry_after": "0"}, 1, 60),
        (429, "rate_limit_exceeded", {"retry_after": "-5"}, 1, 60),
        (429, 429, {}, 1, 60),
        (429, "", {"retry_after": f"Mon, 01 Jan {'2026' + '0' * 30} 00:00:00 GMT"}, 1, 60),
        (429, "", {"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400, 86_400),
        (402, "", {}, 600, 3600),
    ],
)
async def test_wait_is_read_from_the_answer_and_bounded(
    threads: ThreadPoolExecutor,
    canned: Canned,
    status: int,
    code: object,
    headers: dict[str, str],
    low: float,
    high: float,
) -> None:
    """No header must put a job off for years; an empty account is not asked every second."""
    canned.reply(status, msgspec.json.encode({"error": {"message": "no", "code": code}}), **headers)

    with pytest.raises(Retry) as caught:
        await draw(threads, canned.url)

    assert low <= caught.value.after <= high


async def test_content_policy_discards(threads: ThreadPoolExecutor, sandbox: SandboxServer) -> None:
    """The same prompt is refused every time."""
    order = msgspec.structs.replace(ORDER, prompt="something not-allowed")

    with pytest.raises(Discard, match="content policy"):
        await draw(threads, sandbox.services()["openai"], order)


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (401, "JOBRUNNER_IMAGE_OPENAI_KEY"),
        (403, "_KEY"),
        (404, "JOBRUNNER_IMAGE_OPENAI_MODEL"),
        (400, "400"),
        (302, "redirects are not followed"),
    ],
)
async def test_refusal_that_no_retry_helps_names_the_setting(
    threads: ThreadPoolExecutor, canned: Canned, status: int, named: str
) -> None:
    """An operator reads one line and knows what to do. A redirect is not followed: the key would go along."""
    canned.reply(status, b'{"error": {"message": "no", "code": null}}', location="http://127.0.0.1:1/")

    with pytest.raises(Discard, match=named) as caught:
        await draw(threads, canned.url)

    assert KEY not in caught.value.reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"url": "http://127.0.0.1:1/x.png"}]}',
        b'{"data": [{"b64_json": 7}]}',
        b'{"data": [{"b64_json": "***"}]}',
        b'{"data": [{"b64_json": "aGVsbG8="}]}',
        b'{"more": ' + b"[" * 10_000,
        b'{"data": [{"b64_json": "\xff"}]}',
        b'{"error": "the model is loading"}',
    ],
)
async def test_answer_without_a_picture_is_tried_again(
    threads: ThreadPoolExecutor, canned: Canned, body: bytes
) -> None:
    """A proxy's page, a broken picture: it may work the next time; an address in it is not fetched."""
    canned.reply(200, body)

    with pytest.raises(openai.EndpointError):
        await draw(threads, canned.url)

    assert len(canned.received) == 1


@pytest.mark.parametrize("status", [500, 502, 504, 408])
async def test_outage_is_tried_again_with_backoff(
    threads: ThreadPoolExecutor, canned: Canned, status: int
) -> None:
    """Nobody says when, so the queue's own backoff decides."""
    canned.reply(status, b"\xff\xfe not text")

    with pytest.raises(openai.EndpointError, match=str(status)):
        await draw(threads, canned.url)


async def test_server_in_trouble_that_says_at_once_gets_the_backoff(
    threads: ThreadPoolExecutor, canned: Canned
) -> None:
    """Else all attempts of a job would be spent in a moment."""
    canned.reply(503, b"", retry_after="0")

    with pytest.raises(openai.EndpointError, match="503"):
        await draw(threads, canned.url)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "no such size", "code": 400}}', "400: no such size"),
        (b'{"object": "error", "message": "no such size", "type": "BadRequestError"}', "no such size"),
        (b'{"error": "no such size"}', "400: no such size"),
        (b'{"detail": "no such size"}', "400: no such size"),
        (b'{"error": {"message": "\xff"}}', "400"),
        (b"[" * 100_000, "400"),
        (b"null", "400: no message"),
        (b'{"error": {"message": ["a"], "code": {}}}', "400: no message"),
    ],
)
async def test_refusal_is_read_in_any_form_that_compatible_servers_give_it(
    threads: ThreadPoolExecutor, canned: Canned, body: bytes, said: str
) -> None:
    """What is wrong with the order is read in the job, and not a piece of JSON."""
    canned.reply(400, body)

    with pytest.raises(Discard) as caught:
        await draw(threads, canned.url)

    assert said in caught.value.reason
    assert '{"' not in caught.value.reason or b"\xff" in body


async def test_error_inside_a_success_is_told(threads: ThreadPoolExecutor, canned: Canned) -> None:
    """Some gateways answer 200 and say in the body what went wrong."""
    canned.reply(200, b'{"error": {"message": "the model is loading", "code": 503}}')

    with pytest.raises(openai.EndpointError, match="the model is loading"):
        await draw(threads, canned.url)


async def test_key_that_the_endpoint_quotes_is_struck_out_before_the_text_is_cut(
    threads: ThreadPoolExecutor, canned: Canned
) -> None:
    """Of one that stands where the text is cut, half would be left."""
    said = f"Incorrect API key provided: {KEY} " + "." * 247 + KEY
    canned.reply(401, msgspec.json.encode({"error": {"message": said}}))

    with pytest.raises(Discard) as caught:
        await draw(threads, canned.url)

    assert KEY[:9] not in caught.value.reason
    assert "provided: ***" in caught.value.reason


async def test_answer_that_drips_is_left_after_the_timeout(
    threads: ThreadPoolExecutor, canned: Canned
) -> None:
    """Each byte comes within the timeout of a read, so that alone would hold the job for ever."""
    canned.reply(200, b" " * 1_000_000)
    canned.drip_s = 0.05

    with pytest.raises(openai.EndpointError, match=r"gave no answer in 0\.3 s"):
        await draw(threads, canned.url, openai_timeout=0.3)


async def test_endpoint_that_is_not_there_is_tried_again(threads: ThreadPoolExecutor, canned: Canned) -> None:
    """The connection is closed without an answer."""
    with pytest.raises(openai.EndpointError, match="did not answer"):
        await draw(threads, canned.url)


async def test_endless_answer_is_cut_off(
    threads: ThreadPoolExecutor, canned: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never stops must not fill the worker's memory."""
    monkeypatch.setattr(openai, "MOST_ANSWER", 1 << 20)
    canned.reply(200, b"x" * (4 << 20))

    with pytest.raises(openai.EndpointError, match="more than 1 MiB"):
        await draw(threads, canned.url)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schl\u00fcssel"])
async def test_key_that_no_header_can_carry_stops_the_worker(threads: ThreadPoolExecutor, key: str) -> None:
    """At its start, naming the variable and never the key."""
    with pytest.raises(PluginError, match="JOBRUNNER_IMAGE_OPENAI_KEY") as caught:
        await draw(threads, "http://127.0.0.1:1", openai_key=key)

    assert not key or key not in str(caught.value)
