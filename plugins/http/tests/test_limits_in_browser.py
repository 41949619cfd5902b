"""The forms of a queue's limits in a real headless Chromium: what is set is seen, what is wrong is told where it was typed."""

import pytest
from dashboard_stock import QUEUE
from http_house import parcel

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LIMITS = "/api/queue/parcel.deliver"


async def by_hand(house):
    """What operators set: (tenant, limit) -> value."""
    rows = (await (await house.client()).get(LIMITS)).json()["limits"]
    return {(row["tenant"], row["name"]): row["byHand"] for row in rows if row["byHand"] is not None}


def row(page, name):
    return page.locator("table.limits tr", has_text=name)


async def fill(page, *, limit, value, tenant=""):
    await page.get_by_text("Change a limit…").click()
    form = page.locator("form[action$=limits]")
    await form.get_by_role("combobox").select_option(label=limit)
    await form.get_by_role("textbox", name="Tenant").fill(tenant)
    await form.get_by_role("textbox", name="Value").fill(value)
    return form


@pytest.mark.parametrize("script", [True, False])
async def test_limit_that_is_set_is_seen_at_once_and_forgotten_again(house, open_page, script):
    """With our script and without it: the form is plain, and what it did stands in the table."""
    page = await open_page(QUEUE, role="operator", java_script_enabled=script)
    form = await fill(page, limit="Jobs at once", value="7")
    await form.get_by_role("button", name="Set").click()
    await page.get_by_text("The limit holds from now on").wait_for()
    assert "7" in await row(page, "Jobs at once").inner_text()
    form = await fill(page, limit="Rate", value="30/60", tenant="acme")
    await form.get_by_role("button", name="Set").click()
    await row(page, "acme").wait_for()
    assert "30/60" in await row(page, "acme").inner_text()
    assert await by_hand(house) == {("", "max_active"): 7, ("acme", "rate"): "30/60"}

    form = await fill(page, limit="Jobs at once", value="")
    await form.get_by_role("button", name="Set").click()
    await row(page, "Jobs at once").wait_for(state="detached")
    assert await by_hand(house) == {("acme", "rate"): "30/60"}


@pytest.mark.parametrize(
    ("limit", "tenant", "value", "field", "told"),
    [
        (
            "Jobs at once",
            "",
            "many",
            "Value",
            "“Jobs at once” is a whole number up to 1,000,000,000, 0 for any",
        ),
        ("Jobs at once", "", "-1", "Value", "“Jobs at once” is a whole number"),
        ("Rate", "", "fast", "Value", "“Rate” is jobs/seconds such as 100/60"),
        ("Rate, a tenant", "", "1/60:9", "Value", "“Rate, a tenant”: burst is 1 to jobs (1), not 9"),
        ("Weight of a tenant", "acme", "nan", "Value", "“Weight of a tenant” is a number from 0.001 to 64"),
        ("Weight of a tenant", "", "2", "Tenant", "“Weight of a tenant” is of one tenant: name it"),
        ("Jobs that may wait", "acme", "5", "Tenant", "is of the whole queue: leave the tenant out"),
        ("Jobs at once", "no tenant", "5", "Tenant", "expected a tenant: 1 to 128 of letters"),
        ("Jobs at once", '"><img src=x>', "5", "Tenant", "expected a tenant: 1 to 128 of letters"),
    ],
)
async def test_wrong_limit_is_told_beside_the_form_and_nothing_is_typed_again(
    house, open_page, limit, tenant, value, field, told
):
    """Who mistypes one of three values gets all three back, with the cursor in the wrong one."""
    page = await open_page(QUEUE, role="operator")
    form = await fill(page, limit=limit, value=value, tenant=tenant)
    await form.get_by_role("button", name="Set").click()

    await form.get_by_text(told).wait_for()
    assert await page.locator(".door").count() == 0
    wanted = {"Limit": limit, "Tenant": tenant, "Value": value}
    shown = {
        "Limit": await form.get_by_role("combobox").evaluate("one => one.selectedOptions[0].textContent"),
        "Tenant": await form.get_by_role("textbox", name="Tenant").input_value(),
        "Value": await form.get_by_role("textbox", name="Value").input_value(),
    }
    assert shown == wanted
    wrong = form.get_by_role("textbox", name=field)
    assert await wrong.evaluate("one => one === document.activeElement && one.ariaInvalid") == "true"
    described = await wrong.get_attribute("aria-describedby")
    assert told in await page.locator(f"#{described.split()[0]}").inner_text()
    assert await page.locator("img[src=x]").count() == 0
    assert await by_hand(house) == {}


async def test_wrong_limit_is_mended_by_keyboard_alone(house, open_page):
    """The cursor stands where the mistake is: type over it and press Enter."""
    page = await open_page(QUEUE, role="operator")
    panel = page.get_by_text("Change a limit…")
    await panel.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Rate")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.type("thirty")
    await page.keyboard.press("Enter")
    await page.locator("#limit-wrong").wait_for()

    await page.keyboard.press("ControlOrMeta+A")
    await page.keyboard.type("30/60")
    await page.keyboard.press("Enter")
    await page.get_by_text("The limit holds from now on").wait_for()
    assert await by_hand(house) == {("", "rate"): "30/60"}


async def test_tenant_that_is_none_is_told_beside_the_form_that_pauses(house, open_page):
    """The same for the other form: a tenant's name is easily mistyped."""
    page = await open_page(QUEUE, role="operator")
    await page.get_by_text("Pause a tenant…").click()
    form = page.locator("details.change form[action$=pause]")
    await form.get_by_role("textbox", name="Tenant").fill("no tenant")
    await page.keyboard.press("Enter")
    await form.get_by_text("is not allowed").wait_for()
    assert await form.get_by_role("textbox", name="Tenant").input_value() == "no tenant"
    await page.keyboard.press("ControlOrMeta+A")
    await page.keyboard.type("acme")
    await page.keyboard.press("Enter")
    await page.get_by_text("acme is paused").wait_for()


async def test_forms_are_there_for_those_who_may_use_them(house, open_page):
    """A viewer and a token of one tenant see the limits that are theirs to see, and no form that would refuse them."""
    await house.enqueue(parcel("acme"))
    operator = await house.client("operator")
    for tenant in ("acme", "globex"):
        await operator.post(f"{LIMITS}/limits", json={"tenant": tenant, "maxActive": 2})
    viewer = await open_page(QUEUE, role="viewer")
    limited = await open_page(QUEUE, role="admin", limits={"tenants": ("acme",)})
    for page, seen in ((viewer, 2), (limited, 1)):
        assert await page.locator("table.limits tr", has_text="Jobs at once").count() == seen
        assert await page.locator("details.change, form[action$=limits], form[action$=pause]").count() == 0
    assert await limited.get_by_text("globex").count() == 0
