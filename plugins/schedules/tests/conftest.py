"""A house of schedules, on a real server."""

import sys
from pathlib import Path

import pytest

# Test files are imported by their path, so the module that they share is found only if its folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from schedule_house import House


@pytest.fixture
def house(tmp_path, store_server):
    house = House(tmp_path, store_server)
    yield house
    house.close()
