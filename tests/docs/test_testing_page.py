"""The page `docs/how-to/test-a-plugin.md`, run as a reader would run it."""

import pytest
from rig.snippets import ROOT

from jobrunner.testing import Harness, Performed, fixtures

PAGE = "docs/how-to/test-a-plugin.md"
WRONG_DELAY = """

async def test_wrong_delay(perform_job):
    performed = await perform_job(
        "greeting.send", {"tenantId": "t1", "name": "Ada"}, resources={PostOffice: FriendlyOffice()}
    )

    performed.expect_enqueued("greeting.count", {"name": "Ada"}, delay=60)
"""


@pytest.mark.long
@pytest.mark.xdist_group("reader")
@pytest.mark.runs(PAGE)
def test_suite_of_the_page_passes(snippets, shop_terminal):
    """In the order of the page; the schemas of the contract are recorded, and then hold."""
    install, *rest = snippets
    shop_terminal.type(install.text)
    for block in rest:
        if block.title:  # blocks of one title follow each other in one file
            with (shop_terminal.folder / block.title).open("a", encoding="utf-8") as file:
                file.write(block.text + "\n\n")
    failure, record = (block for block in rest if not block.title)

    assert "1 passed" in shop_terminal.type(record.text)
    assert "13 passed" in shop_terminal.type("pytest -W error")

    with (shop_terminal.folder / "test_greeting.py").open("a", encoding="utf-8") as file:
        file.write(WRONG_DELAY)
    told = shop_terminal.type("pytest -k wrong_delay", status=1)
    errors = [line.removeprefix("E").strip() for line in told.splitlines() if line.startswith("E ")]
    assert errors == [line.strip() for line in failure.text.splitlines()]


def test_page_names_every_fixture_and_every_call():
    """What the kit gives is on the page, or nobody finds it."""

    text = (ROOT / PAGE).read_text("utf-8")
    given = [name for name in vars(fixtures) if name.startswith(("jobrunner_", "perform_"))]
    calls = [
        name
        for name in (
            "enqueue",
            "drain",
            "run_due",
            "advance",
            "job",
            "jobs",
            "cancel",
            "events",
            "kill_after",
            "expect_enqueued",
        )
        if hasattr(Harness, name)
    ]
    own = [name for name in Performed.__struct_fields__ if name not in ("queue", "job_id")]

    assert len(given) == 4
    assert [name for name in given if f"`{name}`" not in text and name != "jobrunner_plugin"] == []
    assert [name for name in calls if f"harness.{name}" not in text] == []
    assert [name for name in own if f"`{name}`" not in text and f"performed.{name}" not in text] == []
