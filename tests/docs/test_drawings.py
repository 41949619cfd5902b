"""Drawings in text name what there is."""

import re

import pytest

from jobrunner.model import State


@pytest.mark.reads("docs/explanation/life-of-a-job.md", "the-life-of-a-job")
def test_drawing_of_a_jobs_life_has_every_state_and_no_other(snippets):
    """Whoever looks for a state that a command prints looks there first."""
    (drawing,) = snippets

    assert set(re.findall(r"\[(\w+)\]", drawing.text)) == {state.value for state in State}


@pytest.mark.reads("docs/explanation/architecture.md", "architecture")
def test_drawing_of_the_architecture_has_the_producers_and_the_structures_of_a_queue(snippets):
    """Its words are looked for in the code."""
    from jobrunner.store.keys import QueueKeys

    (drawing,) = snippets
    lines = drawing.text.splitlines()
    (top,) = (number for number, line in enumerate(lines) if "one queue" in line)
    left = lines[top].index("| one queue") + 1
    shown = {word for line in lines[top + 1 : top + 4] for word in line[left : line.index("|", left)].split()}

    assert {"Client", "SyncClient"} <= set(re.findall(r"\w+", drawing.text))
    assert len(shown) > 5
    keys = QueueKeys("jr", "a.b")
    assert [name for name in shown - {"..."} if not keys[name]] == []
