"""jobrunner: a plugin-based job runner on Redis or Valkey.

Public names only; each is imported when it is first used, since a producer should not pay for a worker.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner.errors import (
        ConflictError as ConflictError,
    )
