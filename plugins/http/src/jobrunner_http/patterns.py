"""What names, cursors and rates look like where requests hold them, each pattern written once, with what it says in words. Pure.

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

_A_CURSOR = "the `next` of an answer before"
_A_TENANT = "a tenant: 1 to 128 of letters, digits and ._:@|+-, a letter or digit first"
WORDS = {
    CURSOR: _A_CURSOR,
    CURSOR_OR_NONE: _A_CURSOR,
    JOB_ID: "a job's id: letters, digits and ._-, a letter or digit first",
    RATE: "a rate: jobs/seconds such as 100/60, 100/60:10 with a burst of 10, or 0 for any",
    TENANT: _A_TENANT,
    TENANT_OR_NONE: _A_TENANT,
    HEADER_TEXT: "printable ASCII on one line",
}


def worded(problem: str) -> str:
    """What is wrong, with a pattern of ours told in words; another problem as it is."""
    for pattern, words in WORDS.items():
        if problem.endswith(f"matching regex {pattern!r}"):
            return f"expected {words}"
    return problem
