"""All that an author of a plugin has to say to the test kit."""

import sys
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parent)
)  # a distribution would be installed; this sample is a single file


@pytest.fixture
def jobrunner_plugin() -> object:
    import parcels

    return parcels
