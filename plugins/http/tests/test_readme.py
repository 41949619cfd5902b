"""The README says what there is: settings with their true defaults, every route, every event."""

import re
from pathlib import Path

import msgspec

from jobrunner_http.settings import HttpSettings
from jobrunner_http.trail import HTTP_EVENTS

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_every_setting_is_in_the_table():
    """A variable that is not written down is not there for an operator."""
    wanted = {f"JOBRUNNER_HTTP_{field.name.upper()}" for field in msgspec.structs.fields(HttpSettings)}
    table = README.partition("## Settings")[2].partition("## Metrics")[0]
    assert set(re.findall(r"`(JOBRUNNER_HTTP_\w+)`", table)) == wanted


def test_defaults_in_the_table_are_true():
    """Numbers in a table rot first."""
    defaults = HttpSettings()
    for field, shown in (
        ("host", "127.0.0.1"),
        ("port", "3000"),
        ("header_timeout", "10"),
        ("receive_timeout", "30"),
        ("max_connections", "2000"),
        ("max_streams", "200"),
        ("rate", "50"),
        ("metrics_port", "0"),
        ("grace", "5"),
    ):
        row = next(
            line
            for line in README.splitlines()
            if f"`JOBRUNNER_HTTP_{field.upper()}`" in line and "|" in line
        )
        assert f"`{shown}`" in row
        value = getattr(defaults, field)
        assert str(value) == shown or float(value) == float(shown)
    assert (defaults.max_body, defaults.max_header) == (1 << 20, 32 << 10)


async def test_every_route_is_in_the_table(house):
    """What the document has, the README has; the roles stand in it too."""
    admin = await house.client()
    paths = (await admin.get("/api/openapi.json")).json()["paths"]
    routes = README.partition("## Routes")[2].partition("**Event stream.**")[0]
    shown = routes.replace("{id}", "{job_id}")
    for path in paths:
        if "parcel" in path or "note" in path:
            continue
        head, _, last = path.rpartition("/")
        assert path in shown or (f".../{last}" in shown and f"{head}/" in shown), path


def test_events_that_it_names_are_there():
    """People search their logs by these words."""
    names = {kind.__struct_config__.tag for kind in HTTP_EVENTS}
    told = set(re.findall(r"`(http\.\w+)`", README))
    assert told <= names
    assert {"http.changed", "http.denied", "http.failed"} <= told
