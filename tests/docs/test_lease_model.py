"""The model of the lease protocol in `docs/model`: its promises hold in every state, and each of its rules is needed."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/model.md"
FILE = ROOT / "docs/model/lease_model.py"


@pytest.fixture(scope="module")
def model():
    spec = importlib.util.spec_from_file_location("lease_model", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lease_model"] = module
    sys.path.insert(0, str(FILE.parent))  # as Python does for a script
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FILE.parent))
    return module


@pytest.mark.parametrize(
    ("jobs", "nonces"),
    [
        (2, 2),
        (1, 3),
        pytest.param(1, 4, marks=pytest.mark.chaos),
    ],
)
def test_promises_hold_in_every_state(model, jobs, nonces):
    """Whatever is lost, repeated, delayed or killed, in any order: no test by example sees all of it."""
    report = model.explore(model.Model(model.Bounds(jobs=jobs, nonces=nonces)))

    assert report.states > 9000, "a model that goes nowhere breaks nothing"
    assert report.problem == "", report.trace
    assert report.stuck == 0, "from every state the jobs can still end"


@pytest.mark.long
@pytest.mark.runs("docs/explanation/model.md", "the-lease-protocol-as-a-model")
def test_commands_of_the_page_tell_what_it_says(snippets, terminal):
    """Two jobs with three leases among them, which is the larger of the two bounds; and a trace without a rule.

    The last command ends with status 1, for it shows what goes wrong.
    """
    (commands,) = snippets
    terminal.environ |= {"UV_PROJECT": str(ROOT), "UV_NO_SYNC": "1"}
    (terminal.folder / "docs").symlink_to(ROOT / "docs")

    told = terminal.type(commands.text, status=1)

    assert told.count("every promise holds in every state") == 2
    assert re.findall(r"^([\d,]+) states", told, re.MULTILINE)[0] in PAGE.read_text("utf-8")
    assert "a job is reserved for an exchange that nobody waits for" in told


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("nonce", "a settlement ends another run's lease"),
        ("memory", "one nonce names two reservations"),
        ("serial", "a job is reserved for an exchange that nobody waits for"),
        ("lease", "a job is taken back while its lease holds"),
    ],
)
def test_model_without_one_rule_breaks_a_promise(model, rule, problem):
    """Else the model would not tell a protocol that works from one that does not."""
    report = model.explore(model.Model(model.Bounds(nonces=3), [rule]))

    assert report.problem == problem
    assert report.trace


def test_every_rule_is_explained_and_left_out_somewhere(model):
    """A rule that is added to the model is tried without, too."""
    tried = {
        mark.args[1][n][0]
        for mark in test_model_without_one_rule_breaks_a_promise.pytestmark
        for n in range(4)
    }
    assert tried == set(model.RULES)
