"""Take the pictures of the dashboard in `docs/images`: a real server, store and worker, seen by a headless Chromium.

uv run --group browser python docs/build_dashboard_pictures.py

The hour before the pictures is written into the minutes' counters, since nobody waits an hour for a picture.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO, StringIO
from pathlib import Path

import dashboard_scene as scene
from PIL import Image
from playwright.async_api import Browser, async_playwright

from jobrunner import State
from jobrunner.discovery import Found
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins, from_object
from jobrunner.settings import core_settings
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.worker.worker import Worker, WorkerOptions
from jobrunner_http.access import Role
from jobrunner_http.app import App, create_app
from jobrunner_http.server import Server
from jobrunner_http.settings import HttpSettings
from jobrunner_http.tokens import make_token

IMAGES = Path(__file__).parent / "images"
SERVED = ("publish.post", "publish.story", "image.render", "whatsapp.send", "analytics.collect")
TENANTS = ("bluebird", "harbour", "lumen", "northwind", "orchard")
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}

Shot = tuple[str, str, dict[str, int], str]


async def main() -> None:
    """Play the scene and take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {"REDIS_URL": f"embedded://{folder}/store", "JOBRUNNER_LOG_LEVEL": "info"}
        plugins = Plugins([from_object(scene, Found(name="agency", target="dashboard_scene"), environ)])
        token, kept = make_token("mara", Role.ADMIN)
        app = create_app(
            environ, plugins=plugins, settings=HttpSettings(rate=1000), local=(kept,), stream=StringIO()
        )
        async with serving(app) as address, working(plugins, environ):
            shots = await play(app)
            link = f"{address}/login/{app.site.link(token)}"
            async with async_playwright() as driver:
                program = shutil.which("chromium") or shutil.which("google-chrome")
                browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
                await take(browser, address, link, shots)
                await browser.close()


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    """Serve the dashboard."""
    server = Server(app, "127.0.0.1", 0, app.site.settings)
    running = asyncio.create_task(server.run())
    try:
        yield server.address
    finally:
        server.stop()
        await running
        await app.site.close()


@asynccontextmanager
async def working(plugins: Plugins, environ: dict[str, str]) -> AsyncIterator[None]:
    """Run a worker for most of the queues."""
    settings = core_settings(environ)
    options = WorkerOptions(queues=SERVED, grace=0.2)
    address = parse_url(environ["REDIS_URL"])
    worker = Worker(plugins, address, settings, environ, options, Logs(settings, StringIO()), listen=False)
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.shutdown.ask("the pictures are taken")
        await running


async def play(app: App) -> list[Shot]:
    """Let things happen; the pictures to take."""
    client, admin, chance = app.site.client, app.site.admin, random.Random(7)  # noqa: S311 - no secret
    await past(app, chance)

    def posts(number: int, fate: str) -> list[scene.Post]:
        return [
            scene.Post(
                tenant_id=chance.choice(TENANTS),
                account=f"shop{at}-{fate}",
                text="New in store",
                access_token="ya29.a0-of-the-scene",  # noqa: S106 - to be seen masked
            )
            for at in range(number)
        ]

    await client.enqueue_many("publish.post", posts(190, "fine"))
    for number, fate in ((31, "limited"), (12, "expired"), (4, "odd")):
        await client.enqueue_many("publish.post", posts(number, fate))
    await client.enqueue_many("publish.story", [*posts(70, "fine"), *posts(9, "expired")])
    pictures = [scene.Picture(tenant_id=chance.choice(TENANTS), prompt="a calm sea") for _ in range(40)]
    large = scene.Picture(tenant_id="lumen", prompt="a harbour at dawn, gouache, wide", width=2160)
    running = (await client.enqueue_many("image.render", [large] * 4))[1]
    await client.enqueue_many("image.render", pictures)
    flaky = scene.Message(tenant_id="orchard", to="+49 151 5550 100", text="flaky: your order is ready")
    tried = await client.enqueue("whatsapp.send", flaky)
    texts = [
        scene.Message(tenant_id=chance.choice(TENANTS), to=f"+49 151 5550 {at}", text="hi")
        for at in range(60)
    ]
    await client.enqueue_many("whatsapp.send", texts)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=5)
    await client.enqueue_many("whatsapp.send", texts[:38], at=later)
    await client.enqueue_many("approval.remind", texts[:23])
    await client.enqueue_many("content.generate", pictures[:12], at=later)
    for fields in (
        {"max_active": 60, "rate": "600 60000 600"},
        {"max_active:northwind": 4, "weight:lumen": 2},
    ):
        await admin.limits.set("publish.post", fields)
    await admin.pause("publish.post", "harbour")
    held = [scene.Post(tenant_id="harbour", account="shop9-fine", text="New in store") for _ in range(18)]
    await client.enqueue_many("publish.post", held)
    await admin.pause("analytics.collect")
    await client.enqueue_many("analytics.collect", texts[:47])
    await tried.result(timeout=60)
    await asyncio.sleep(4)
    failed = next(
        one
        for one in await admin.page("publish.post", State.FAILED)
        if one.last_error.startswith(
            "Discard"
        )  # its picture shows no path of the machine that it was taken on
    )
    job = f"/queues/image.render/jobs/{running.id}"
    return [
        ("dashboard-overview-light", "/", DESK, "light"),
        ("dashboard-overview-dark", "/", DESK, "dark"),
        ("dashboard-overview-phone", "/", PHONE, "light"),
        ("dashboard-queue-light", "/queues/publish.post?state=failed", DESK, "light"),
        ("dashboard-queue-phone", "/queues/publish.post?state=failed", PHONE, "dark"),
        ("dashboard-limits-light", "/queues/publish.post?state=parked#limits", DESK, "light"),
        ("dashboard-limits-phone", "/queues/publish.post?state=parked#limits", PHONE, "dark"),
        ("dashboard-job-light", job, DESK, "light"),
        ("dashboard-job-dark", f"/queues/whatsapp.send/jobs/{tried.id}", DESK, "dark"),
        ("dashboard-job-phone", f"/queues/publish.post/jobs/{failed.id}", PHONE, "light"),
        ("dashboard-failures-light", "/failures", DESK, "light"),
        ("dashboard-workers-dark", "/workers", DESK, "dark"),
        ("dashboard-schema-light", "/queues/publish.post/schema", DESK, "light"),
    ]


async def past(app: App, chance: random.Random) -> None:
    """Write the hour before into the minutes' counters."""
    store = app.site.admin.store
    now = await store.run(calls.server_ms()) // 60_000
    busy = {"publish.post": 420, "publish.story": 140, "image.render": 24, "whatsapp.send": 160}
    for name, most in busy.items():
        fields: list[object] = []
        for minute in range(now - 359, now):
            wave = 0.55 + 0.35 * math.sin(minute / 11) + chance.uniform(-0.15, 0.15)
            done = round(most * wave)
            storm = 8 < (now - minute) < 15 and name == "publish.post"
            failed = round(most * 0.12) if storm else int(chance.random() < 0.12)
            retried = round(most * 0.2) if storm else int(chance.random() < 0.3)
            slot = f"{minute} {done + failed + retried} {done} {failed} {retried}"
            fields += [f"m{minute % 1440}", slot]
        await store.run(calls.command("HSET", store.keys(name)["stats"], *fields))


async def take(browser: Browser, address: str, link: str, shots: list[Shot]) -> None:
    """Take the pictures: the window's upper part, a phone's at its own sharpness."""
    state = await (first := await browser.new_context()).new_page()
    await state.goto(link)
    cookies = await first.cookies()
    for name, path, size, scheme in shots:
        context = await browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1)
        await context.add_cookies(cookies)
        page = await context.new_page()
        await page.goto(address + path)
        await page.locator("#live[data-on=yes]").or_(page.locator("body:not([data-events])")).first.wait_for()
        if "limits" in name:
            await page.locator(".change > summary").last.click()
        taken = await page.screenshot(full_page="--full" in sys.argv)
        small = Image.open(BytesIO(taken)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(IMAGES / f"{name}.png", optimize=True)
        print(name)
        await context.close()


if __name__ == "__main__":
    asyncio.run(main())
