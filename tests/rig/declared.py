"""Prints, at the end of a collection, what each test says that it runs and reads: a line of JSON a test.

A plugin for `pytest --collect-only -p rig.declared`; it changes nothing of what is collected.
"""

import json

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Print `{"test", "runs", "reads", "asks"}` of each collected test; a choice is page, heading and languages."""
    from rig.snippets import (
        named_by,  # here: imported before pytest loads it, its asserts would not be rewritten
    )

    for item in session.items:
        told = {
            name: [(one.page, one.section, one.kinds) for one in choices]
            for name, choices in named_by(item).items()
        }
        asks = "snippets" in getattr(item, "fixturenames", ())
        print("\n" + json.dumps({"test": item.nodeid, "asks": asks, **told}))
