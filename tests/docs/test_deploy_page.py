"""`docs/how-to/deploy.md`: its figures are those that were measured, its sums come out, its commands exist."""

import re
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from deploy.test_deploy import STORE, container, parses
from rig.snippets import ROOT

from jobrunner.settings import Settings
from jobrunner.store.link import CONNECTIONS

from .pages import program

NAME = "docs/how-to/deploy.md"
PAGE = (ROOT / NAME).read_text("utf-8")
MEASURED = program("build_performance").read()


def number(text):
    return float(text.replace(",", ""))


@pytest.mark.parametrize(
    ("quoted", "what"),
    [
        ("20,000", "drain, 50 in flight, a log line a job"),
        ("20,000", "drain, 50 in flight, 10,000 tenants"),
        ("50,000", "enqueue in bulk, 1 tenants"),
    ],
)
def test_rates_that_it_plans_with_are_no_higher_than_what_was_measured(quoted, what):
    """A guide that plans with more than was measured plans an outage; with much less, idle machines."""
    assert quoted in PAGE
    assert number(quoted) <= MEASURED.figure(what) <= 3 * number(quoted)


def test_memory_that_it_plans_with_is_what_was_measured():
    """Redis that is full refuses jobs."""
    (row,) = [row for name, row in MEASURED.rows.items() if name.startswith("memory, redis")]
    assert "470 bytes" in PAGE
    assert abs(row.figure - 470) <= 0.03 * 470


def test_sums_come_out():
    """They are copied with other numbers in them."""
    sums = re.findall(r"`([\d.,]+(?: [x+/] [\d.,]+)+)`\s+(?:are|=)\s+([\d.,]+)(?: ([GM]B))?", PAGE)
    told = {text: number(result.rstrip(".,")) for text, result, _ in sums}

    assert set(told) == {"100 x 2 / 50", "100 x 0.00505", "1,000,000 x 1,270", "40 x 34 + 20 x 32"}
    for text, result in told.items():
        exact = eval(text.replace(",", "").replace("x", "*"))  # digits and signs, by the pattern above
        scale = 1e9 if result < 10 < exact / 1e6 else 1
        assert abs(exact / scale - result) <= 0.03 * result, (text, exact, result)


def test_connections_and_grace_are_the_codes_own():
    """Both are constants of the code, and the page quotes them."""
    assert f"{CONNECTIONS} for what its" in PAGE
    assert f"up to {CONNECTIONS + 2}:" in PAGE
    assert f"`JOBRUNNER_GRACE` ({Settings().grace:g} s)" in PAGE


def test_files_and_links_of_the_page_are_there():
    """Every file that a command names, and every page that is linked."""
    for file in re.findall(r"deploy/[\w./@-]+\w", PAGE):
        assert (ROOT / file).exists(), file
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE):
        assert (ROOT / "docs" / "how-to" / target).exists(), target


def test_commands_of_the_page_parse():
    """Those of ours, as they stand there."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    ours = [shlex.split(line)[1:] for line in lines if line.startswith("jobrunner ")]

    assert [words for words in ours if parses([word for word in words if word != "--embedded"]) is None] == []
    assert parses(["run", "--plugin", "./greeting.py", "--reload"])["reloads"] is True


LAST_LINE = "systemctl daemon-reload && systemctl enable --now jobrunner@publish\n"


@pytest.mark.long
@pytest.mark.xdist_group("reader")
@pytest.mark.reads(NAME, "1-one-machine")
def test_one_machine_is_set_up_below_another_root(snippets, shop, open_terminal, tmp_path):
    """All that the page does without containers but the last line: the unit is enabled, and there is nobody to start it.

    Of the line with containers, the file is there, its service too, and what is run in it is one of our commands.
    """
    containers, without = snippets
    root = tmp_path / "root"
    (root / "etc/systemd/system").mkdir(parents=True)
    assert without.text.endswith(LAST_LINE)
    steps = (
        without.text.removesuffix(LAST_LINE).replace("/opt/", f"{root}/opt/").replace("/etc/", f"{root}/etc/")
    )
    lent = Path(shop["PIP_FIND_LINKS"]).parent / "lent"  # what a new environment gets from the index
    terminal = open_terminal(shop, PYTHONPATH=str(lent))
    for name in ("core", "plugins", "deploy"):
        (terminal.folder / name).symlink_to(ROOT / name)

    terminal.type(steps)

    written = root / "etc/jobrunner/env"
    assert written.read_text() == "REDIS_URL=redis://:password@localhost:6379/0\n"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "publish.dispatch" in terminal.type(f"{root}/opt/jobrunner/bin/jobrunner plugins list")
    if shutil.which("systemctl"):
        terminal.type(f"systemctl --root={root} enable jobrunner@publish")
        assert (root / "etc/systemd/system/multi-user.target.wants/jobrunner@publish.service").is_symlink()

    for line in containers.text.splitlines():
        words = shlex.split(line)
        assert words[:3] == ["docker", "compose", "-f"]
        services = yaml.safe_load((ROOT / words[3]).read_text("utf-8"))["services"]
        if words[4] == "exec":
            assert words[5] in services
            assert words[6] == "jobrunner"
            parses(words[7:])


@pytest.mark.reads(NAME, "2-more-workers")
def test_files_for_kubernetes_are_read_by_its_own_program(snippets):
    """Without a cluster `kubectl` reads files and makes secrets all the same; the workers ask for that secret."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    (commands,) = snippets
    create, *applied = (shlex.split(line, comments=True) for line in commands.text.splitlines())

    def told(*words):
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    secret = yaml.safe_load(told(*create, "--dry-run=client", "-o", "yaml"))
    kinds = []
    for words in applied:
        assert words[:2] == ["kubectl", "apply"]
        kinds += told("kubectl", "label", "--local", *words[2:], "read=yes", "-o", "name").split()

    assert kinds == [
        "deployment.apps/jobrunner-publish",
        "poddisruptionbudget.policy/jobrunner-publish",
        "scaledobject.keda.sh/jobrunner-publish",
    ]
    assert container()["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert set(secret["data"]) <= STORE
