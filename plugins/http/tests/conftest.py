"""A served API on a real store, and a browser that looks at it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

# Test files are imported by their path, so the module that they share is found only if its folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from http_house import House

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
async def open_house(shared_server):
    """Return a function that serves an API with settings of the test's own."""
    server = shared_server("valkey")
    with server.client() as client:
        client.flushall()
    opened = []

    async def make(**settings) -> House:
        house = House(server.url, **settings)
        context = house.open()
        await context.__aenter__()
        opened.append(context)
        return house

    yield make
    for context in opened:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def house(open_house) -> House:
    """Serve an API as it is set up by default."""
    return await open_house()


@pytest.fixture
async def chromium():
    """Start a Chromium, or skip where there is none."""
    driving = pytest.importorskip("playwright.async_api")
    if PROGRAM is None:
        pytest.skip("no Chromium is installed here")
    async with driving.async_playwright() as driver:
        program = await driver.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield program
        await program.close()


@pytest.fixture
async def open_page(chromium, house):
    """Return a function that opens a page as a token's owner; at the end nothing was refused and nothing had failed."""
    troubles, contexts = [], []

    async def make(path="/", role="admin", *, limits=None, **options):
        context = await chromium.new_context(**options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        if role:
            token = await house.token(role, **(limits or {}))
            await page.goto(f"{house.url}/login/{house.site.link(token)}")
        await page.goto(house.url + path)
        return page

    yield make
    for context in contexts:
        await context.close()
    # A page that is not there, the log-in page in its place, and a form that comes back are told of as errors too.
    expected = ("status of 40", "status of 422")
    assert [one for one in troubles if not any(one_of in one for one_of in expected)] == []
