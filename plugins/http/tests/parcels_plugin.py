"""The queues of the tests as a plugin that a process can load by its path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from http_house import Module

jobrunner_queues = Module.jobrunner_queues
