"""Puts a process's wall clock wrong by `CHAOS_CLOCK` seconds; Python imports it first where this folder is on its path."""

import os
import time

_right, _offset = time.time, float(os.environ.get("CHAOS_CLOCK", "0"))

time.time = lambda: _right() + _offset
