"""The dashboard in a real headless Chromium: what moves by itself, keys, small screens, colours, and no script of others."""

import pytest
from dashboard_stock import QUEUE, addresses, hostile, stocked
from http_house import parcel, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LOW_CONTRAST = """() => {
  const parse = (text) => { const found = text.match(/[\\d.]+/g).map(Number); return { rgb: found.slice(0, 3), alpha: found[3] ?? 1 }; };
  const light = (rgb) => rgb.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = parse(getComputedStyle(one).backgroundColor);
      if (found.alpha === 1) return found.rgb;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest("title")) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(parse(style.color).rgb), light(ground(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) poor.push(`${walk.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""

UNNAMED = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary, progress, svg[role=img]")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
  .map((one) => one.outerHTML.slice(0, 120))"""


async def test_log_in_look_and_log_out(house, open_page):
    """A form that is sent from a page of ours gets through the check of where it comes from."""
    page = await open_page(QUEUE, role=None)
    await page.get_by_label("Token").fill(await house.token("viewer", name="mara"))
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="parcel.deliver").wait_for()
    assert await page.evaluate("document.cookie") == ""
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_role("heading", name="Log in").wait_for()
    await page.goto(house.url + "/")
    await page.get_by_role("heading", name="Log in").wait_for()


async def test_everything_is_read_and_done_without_javascript(house, open_page):
    """Plain pages and plain forms: a retry, a pause, a clear."""
    ids = await stocked(house)
    page = await open_page(f"{QUEUE}/jobs/{ids['acme']}", java_script_enabled=False)
    await page.get_by_role("button", name="Retry").click()
    await page.get_by_text("1 job in line again.").wait_for()
    await page.goto(house.url + QUEUE)
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_text("The queue is paused").wait_for()
    await page.get_by_text("Clear…").click()
    await page.get_by_label("Delete").select_option("failed")
    await page.get_by_role("button", name="Delete them").click()
    await page.get_by_text("5 jobs deleted.").wait_for()


async def test_overview_follows_what_happens_without_being_loaded_again(house, open_page):
    """Somebody leaves it open on a wall."""
    page = await open_page("/", role="viewer")
    await page.locator("#live[data-on=yes]").wait_for()
    await page.evaluate("window.stillHere = true")
    await house.enqueue(parcel("acme"), parcel("acme", 1))
    waiting = page.locator(".numbers dd").first
    await until(lambda: _is(waiting, "2"))
    assert await page.evaluate("window.stillHere")


async def test_progress_of_a_job_moves_and_an_open_panel_stays_open(house, open_page):
    """What somebody is doing on a page is not undone by what happens elsewhere."""
    (job_id,) = await house.enqueue(parcel("acme"))
    progress = "jr:{parcel.deliver}:progress"
    house.redis.hset(progress, job_id, b'1 [0.25,"begun"]')
    page = await open_page(f"{QUEUE}/jobs/{job_id}")
    await page.locator("#live[data-on=yes]").wait_for()
    await page.get_by_text("Cancel…").click()
    await page.get_by_label("Why").fill("wrong add")
    house.redis.hset(progress, job_id, b'1 [0.75,"nearly done"]')
    await page.get_by_text("nearly done").wait_for()
    assert await page.locator("progress").evaluate("one => one.value") == 0.75
    await page.keyboard.type("ress")
    assert await page.get_by_label("Why").input_value() == "wrong address"
    await page.get_by_role("button", name="Cancel the job").click()
    await page.get_by_text("1 job cancelled.").wait_for()
    assert "done=" not in page.url


async def test_page_is_left_when_its_token_is_revoked(house, open_page):
    """A page that stays open must not show what its token may no longer see."""
    page = await open_page("/workers", role="viewer")
    await page.get_by_text("No worker runs.").wait_for()
    for token_id in await house.site.admin.tokens():
        await house.site.admin.drop_token(token_id)
    await page.get_by_role("heading", name="Log in").wait_for(timeout=20_000)


async def test_everything_is_reached_by_keyboard(house, open_page):
    """Skip link, navigation, a panel that opens with Enter and closes with Escape, and a focus that can be seen."""
    await stocked(house)
    page = await open_page(QUEUE)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
    await page.keyboard.press("Enter")
    panel = page.get_by_text("Clear…")
    for _ in range(8):
        await page.keyboard.press("Tab")
        if await panel.evaluate("one => one === document.activeElement"):
            break
    width = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert width == "2px"
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Delete them").wait_for()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Delete them").wait_for(state="hidden")
    assert await panel.evaluate("one => one === document.activeElement")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_legible_on_a_phone_by_day_and_by_night(house, open_page, scheme):
    """Nothing is wider than 360 pixels, every text has a contrast of 4.5 at least, everything has a name.

    Source: WCAG 2.2, success criteria 1.4.3, 1.4.10 and 4.1.2.
    """
    ids = await stocked(house)
    page = await open_page("/", color_scheme=scheme, viewport={"width": 360, "height": 740})
    for path in addresses(ids):
        await page.goto(house.url + path)
        assert await page.evaluate("document.scrollingElement.scrollWidth") <= 360, path
        assert await page.evaluate(LOW_CONTRAST) == [], path
        assert await page.evaluate(UNNAMED) == [], path


async def test_scripts_in_whatever_is_stored_do_not_run(house, open_page):
    """A browser has the last word on what is text."""
    (job_id,) = await house.enqueue(parcel("acme", how="discard"))
    await house.work()
    hostile(house, job_id)
    page = await open_page("/")
    for path in [*addresses({"it": job_id}), "/queues/evil.queue", "/queues/evil.queue/schema"]:
        await page.goto(house.url + path)
        assert await page.locator("img[src=x]").count() == 0


async def _is(locator, text):
    return await locator.inner_text() == text
