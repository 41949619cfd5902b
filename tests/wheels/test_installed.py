"""Wheels in empty environments: the core alone by plain pip, everything on the oldest and on the newest that is allowed."""

import json
import shutil
import sys
import tomllib

import pytest

from .conftest import clean_environ, do, newest_python
from .distributions import FOLDERS, ROOT, requirements, wheel_of

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("wheels")]

PLUGINS = {"analytics", "approval", "content", "image", "publish", "whatsapp"}


def test_core_alone_makes_installs_and_runs_a_plugin_of_somebody_else(dist, tmp_path, shared_server):
    """By pip and venv, as they come with Python: nothing of this repository but one wheel."""
    pytest.importorskip("ensurepip", reason="python3 -m venv needs ensurepip")
    do(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python, jobrunner = (tmp_path / "venv" / "bin" / name for name in ("python", "jobrunner"))
    do(python, "-m", "pip", "install", "-q", wheel_of("core", dist), cwd=tmp_path)
    do(jobrunner, "plugins", "new", "mail", "--queue", "mail.send", cwd=tmp_path)
    do(python, "-m", "pip", "install", "-q", "./jobrunner-mail", cwd=tmp_path)
    do(python, "-m", "pip", "check", cwd=tmp_path)

    server = shared_server("valkey")
    with server.client() as raw:
        raw.flushall()
    payload = json.dumps({"tenantId": "acme", "recipient": "ada", "text": "Hello"})
    job_id = do(jobrunner, "enqueue", "mail.send", payload, cwd=tmp_path, REDIS_URL=server.url).strip()
    do(jobrunner, "run", "--burst", "--fail-on-failed", cwd=tmp_path, REDIS_URL=server.url)
    shown = do(jobrunner, "jobs", "show", "mail.send", job_id, "--json", cwd=tmp_path, REDIS_URL=server.url)
    assert json.loads(shown)["state"] == "completed"


@pytest.mark.parametrize(
    ("resolution", "python_of"),
    [
        pytest.param("lowest-direct", lambda: sys.executable, id="lowest versions"),
        pytest.param("highest", newest_python, id="newest versions, newest Python"),
    ],
)
def test_all_distributions_work_together(dist, tmp_path, uv, start_process, resolution, python_of):
    """The demo uses all seven queues, all stand-ins and the embedded server, and ends well only if all arrived once.

    A bound that is too low is seen here alone: every other test runs with the newest versions.
    """
    inside = tmp_path / "venv" / "bin"
    do(uv, "venv", "-q", "--python", python_of(), tmp_path / "venv", cwd=tmp_path)
    wheels = sorted(dist.glob("*.whl"))
    asked = [*wheels, *requirements(wheels)]
    do(
        uv,
        "pip",
        "install",
        "-q",
        "--python",
        inside / "python",
        "--resolution",
        resolution,
        *asked,
        cwd=tmp_path,
    )
    do(uv, "pip", "check", "--python", inside / "python", cwd=tmp_path)

    listed = json.loads(do(inside / "jobrunner", "plugins", "list", "--json", cwd=tmp_path))
    assert {one["name"] for one in listed} >= PLUGINS
    demo = start_process(
        [str(inside / "jobrunner"), "demo", "--jobs", "12"], env=clean_environ(), cwd=tmp_path
    )
    assert demo.wait(timeout_s=170) == 0, demo.output()[-3000:]


OTHERS = sorted(PLUGINS - {"whatsapp"} | {"http", "schedules"})


def needs_of_tests(plugin):
    """What a plugin's tests need beside the wheels, as the workspace says it: the plugin's extras, and the tools."""
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = [
        need for need in workspace["project"]["dependencies"] if need.startswith(f"jobrunner-{plugin}[")
    ]
    return [*extras, *workspace["dependency-groups"]["dev"]]


@pytest.mark.parametrize(
    "name", ["whatsapp", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_plugins_own_suite_passes_on_wheels(dist, tmp_path, uv, name):
    """What is imported is what was built: a file that only the repository has would be missed."""
    python = tmp_path / "venv" / "bin" / "python"
    do(uv, "venv", "-q", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    core = f"jobrunner-core[crypto,embedded,schema,testing] @ {wheel_of('core', dist).as_uri()}"
    wheels = [core, *(path for path in sorted(dist.glob("*.whl")) if "jobrunner_core" not in path.name)]
    do(uv, "pip", "install", "-q", "--python", python, *wheels, *needs_of_tests(name), cwd=tmp_path)

    tree = tmp_path / "tree"
    shutil.copytree(
        FOLDERS[name], tree / "plugins" / name, ignore=shutil.ignore_patterns("src", "__pycache__")
    )
    shutil.copytree(ROOT / "tests" / "rig", tree / "tests" / "rig")
    shutil.copytree(ROOT / "deploy", tree / "deploy")
    shutil.copy(ROOT / "conftest.py", tree)
    shutil.copy(ROOT / "pyproject.toml", tree)
    addopts = ["-o", "addopts=", "-m", "not long and not slow and not cluster and not browser and not chaos"]
    command = [
        python,
        "-P",
        "-m",
        "pytest",
        "-q",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        *addopts,
    ]
    done = do(*command, f"plugins/{name}", cwd=tree)
    assert " passed" in done
