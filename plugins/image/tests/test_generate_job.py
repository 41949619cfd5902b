"""The handler as a worker runs it: real payload, real resources, real files, against the sandbox's endpoint."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from jobrunner.testing import Harness, perform_job
from jobrunner_image import Dimensions, ImageSettings, SyncImage
from jobrunner_image import Image as Images

KEY = "sk-secret-key-77"


def order(**changes):
    return {
        "tenantId": "demo-tenant",
        "postId": "post-1",
        "brandId": "brand-123",
        "prompt": "Open late this Friday",
        "style": "minimalist",
        "dimensions": {"width": 300, "height": 200},
        **changes,
    }


async def generate(folder, payload, *, job_id="job-1", settings=None, **more):
    return await perform_job(
        "image.generate",
        payload,
        plugin="image",
        settings={"output_url": str(folder), **(settings or {})},
        job_id=job_id,
        **more,
    )


async def test_card_is_stored_and_the_result_says_what_it_is(tmp_path):
    """The result is what the next job reads: path, size and digest of a file that is there."""
    done = (await generate(tmp_path, order())).expect("completed")

    result = done.result
    file = tmp_path / result["path"]
    assert result["url"] == file.as_uri()
    assert result["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (result["bytes"], result["mimeType"], result["engine"], result["postId"]) == (
        file.stat().st_size,
        "image/png",
        "card",
        "post-1",
    )
    with Image.open(file) as image:
        assert (image.format, image.size) == ("PNG", (result["width"], result["height"]))
        assert image.info == {}


async def test_retry_writes_the_same_file_again(tmp_path):
    """One job, one picture, whatever became of the first attempt's answer."""
    first = await generate(tmp_path, order())
    again = await generate(tmp_path, order(), attempt=2)

    assert first.result == again.result
    assert len(list(tmp_path.rglob("*.*"))) == 1


async def test_step_of_an_earlier_attempt_is_not_done_again(tmp_path, sandbox):
    """A picture of an endpoint costs money."""
    settings = {"engine": "openai", "openai_url": sandbox.services()["openai"], "openai_key": KEY}
    first = await generate(tmp_path, order(), settings=settings)

    again = await generate(tmp_path, order(), settings=settings, attempt=2, steps=first.steps)

    assert again.expect("completed").result == first.result
    assert len(sandbox.ledger.requests("openai")) == 1


async def test_picture_of_an_endpoint_is_cropped_to_the_wanted_size(tmp_path, sandbox):
    """The endpoint knows three sizes, posts have many."""
    settings = {
        "engine": "openai",
        "openai_url": sandbox.services()["openai"],
        "openai_key": KEY,
        "format": "jpeg",
    }
    payload = order(dimensions={"width": 1200, "height": 628})

    result = (await generate(tmp_path, payload, settings=settings)).expect("completed").result

    with Image.open(tmp_path / result["path"]) as image:
        assert (image.format, image.size) == ("JPEG", (1200, 628))
    assert result["mimeType"] == "image/jpeg"
    assert result["path"].endswith(".jpg")


async def test_refused_prompt_fails_at_once_and_is_logged_as_an_error(tmp_path, sandbox):
    """Seven more attempts would be refused like the first."""
    settings = {"engine": "openai", "openai_url": sandbox.services()["openai"], "openai_key": KEY}

    done = await generate(tmp_path, order(prompt="something not-allowed"), settings=settings)

    assert done.outcome == "failed"
    assert "content policy" in done.error.message
    assert [(line["event"], line["level"]) for line in done.logs] == [("image.refused", "error")]
    assert KEY not in repr((done.error, done.logs, done.steps))


async def test_rate_limit_is_waited_for(tmp_path, sandbox):
    """The wait is the endpoint's."""
    sandbox.faults.next("openai", status=429, retry_after=40)
    settings = {"engine": "openai", "openai_url": sandbox.services()["openai"], "openai_key": KEY}

    done = await generate(tmp_path, order(), settings=settings)

    assert done.outcome == "retried"
    assert 40 <= done.delay <= 44


@pytest.mark.parametrize("tenant", ["a..b", "A:b", "t|x"])
async def test_file_stays_in_the_output_folder(tmp_path, tenant):
    """Ids with dots and signs are ids, and no paths."""
    out = tmp_path / "out"

    payload = order(tenantId=tenant, postId="../../../etc/passwd", brandId="/")
    result = (await generate(out, payload)).expect("completed").result

    assert [path.relative_to(out).as_posix() for path in out.rglob("*.png")] == [result["path"]]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


async def test_folder_that_went_away_is_a_retry(tmp_path):
    """A volume that is not mounted comes back."""
    async with Harness("image", settings={"output_url": str(tmp_path / "out")}) as harness:
        handle = await harness.enqueue("image.generate", order())
        (tmp_path / "out").touch()
        await harness.run_due()

        assert harness.job(handle).state == "delayed"

        (tmp_path / "out").unlink()
        await harness.advance("1h")
        assert harness.job(handle).state == "completed"


async def test_typed_producers_enqueue_what_the_factory_does(tmp_path):
    """Three ways to say the same."""
    fields = {
        "tenant_id": "t",
        "brand_id": "b",
        "prompt": "Hi",
        "style": "cartoon",
        "dimensions": Dimensions(width=100, height=100),
        "brand_colors": ["#fff"],
    }
    async with Harness("image", settings={"output_url": str(tmp_path)}) as harness:
        one = await Images(harness.client).generate(**fields, job_id="one")
        same = await harness.client.image.generate(**fields, job_id="one")
        other = SyncImage(harness.sync_client).generate(**fields, job_id="two", delay=60)
        await harness.advance("1h")

        assert (one.created, same.created, other.created) == (True, False, True)
        assert [harness.job(handle.id).state for handle in (one, other)] == ["completed", "completed"]


def test_settings_reach_the_worker_by_their_variables():
    """Names that an operator sets."""
    from jobrunner.testing import perform_job_sync

    with pytest.raises(Exception, match="JOBRUNNER_IMAGE_DRAW_THREADS"):
        perform_job_sync(
            "image.generate", order(), plugin="image", environ={"JOBRUNNER_IMAGE_DRAW_THREADS": "0"}
        )
    assert ImageSettings().engine == "card"
    assert not Path("jobrunner-images").exists()
