"""What names, cursors and rates look like where requests hold them, each pattern written once. Pure; it checks nothing.

They end in a look ahead: a `$` lets a line break through at the end of the text, in Python though not in JavaScript, and
the same patterns stand in the OpenAPI document.
"""

from __future__ import annotations

END = r"(?![\s\S])"
"""The end of the text in every dialect of regular expressions."""

_CURSOR = r"-?[0-9]{1,20}:[A-Za-z0-9._-]{1,250}"
_TENANT = r"[A-Za-z0-9][A-Za-z0-9._:@|+-]{0,127}"

CURSOR = f"^{_CURSOR}{END}"
CURSOR_OR_NONE = f"^({_CURSOR})?{END}"
JOB_ID = rf"^[A-Za-z0-9][A-Za-z0-9._-]*{END}"
RATE = rf"^(0|[1-9][0-9]{{0,5}}/[1-9][0-9]{{0,5}}(:[1-9][0-9]{{0,5}})?){END}"
TENANT = f"^{_TENANT}{END}"
TENANT_OR_NONE = f"^({_TENANT})?{END}"

HEADER_TEXT = f"^[ -~]*{END}"
"""Printable ASCII on one line: a key or a value of a job's headers."""

ORIGIN = rf"^https?://[^\s/?#@]+{END}"
SITE_OR_NONE = rf"^(https?://[^\s/?#@]+/?)?{END}"
