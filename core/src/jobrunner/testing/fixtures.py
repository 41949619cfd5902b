"""The pytest plugin: fixtures for those who test plugins.

pytest loads it in every run of an environment that has jobrunner, so it imports nothing until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # see above: what is not used must not be imported
    from jobrunner.testing.harness import Harness
    from jobrunner.testing.performing import Performed


@pytest.fixture
def jobrunner_plugin() -> object:
    """The plugin under test: override it in your `conftest.py` to return its name, its file, or its module.

    As it stands it is None: `perform_job` and `jobrunner_harness` look through all that are installed.
    """
    return None


@pytest.fixture
def perform_job(jobrunner_plugin: object) -> Callable[..., Awaitable[Performed]]:
    """Run one attempt of a job of the plugin under test.

    It is `jobrunner.testing.perform_job` with `plugin=` given: `await perform_job("greeting.send", {...})`.
    """
    from jobrunner.testing.performing import perform_job as perform  # noqa: PLC0415 - see the module's docstring

    return partial(perform, plugin=jobrunner_plugin)


@pytest.fixture
def perform_job_sync(jobrunner_plugin: object) -> Callable[..., Performed]:
    """Run one attempt of a job of the plugin under test, for tests that do not await."""
    from jobrunner.testing.performing import perform_job_sync as perform  # noqa: PLC0415 - as above

    return partial(perform, plugin=jobrunner_plugin)


@pytest.fixture
def jobrunner_harness(jobrunner_plugin: object) -> Callable[..., Harness]:
    """Make harnesses for the plugin under test.

    It is `jobrunner.testing.Harness` with its first plugin given: `async with jobrunner_harness() as harness:`. Further plugins and queues are given by position.
    """
    from jobrunner.testing.harness import Harness  # noqa: PLC0415 - as above

    return Harness if jobrunner_plugin is None else partial(Harness, jobrunner_plugin)
