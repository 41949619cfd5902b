"""`core/README.md` is followed: installed by pip, and a plugin of one's own declared and checked."""

import pytest

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("reader")]

PLUGIN = """
import msgspec
from jobrunner import Job, Queue, hookimpl


class Greeting(msgspec.Struct):
    name: str


async def greet(job: Job[Greeting]) -> None:
    job.log.info("greeted")


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [Queue("greeting.send", Greeting, greet)]
"""
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "my-package"
version = "1.0"
"""


@pytest.mark.runs("core/README.md", "jobrunner-core")
def test_core_is_installed_and_a_plugin_is_found_by_its_entry_point(snippets, shop_terminal):
    """It is the page that the package index shows."""
    install, entry_point = snippets
    shop_terminal.write("pyproject.toml", PROJECT + entry_point.text)
    shop_terminal.write("my_package/__init__.py", "")
    shop_terminal.write("my_package/plugin.py", PLUGIN)

    shop_terminal.type(install.text)
    shop_terminal.type("pip install .")
    checked = shop_terminal.type("jobrunner plugins check greeting")
    shop_terminal.type("pip uninstall --yes my-package")

    assert checked == "sound  plugin greeting (my-package 1.0): 1 queue, 1 hook\n"
