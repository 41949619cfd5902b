"""The files of `deploy/` name commands, options, variables, keys and times that exist and fit each other.

The tools that read them are not here in most places, so everything is checked that can be without them; `test_tools`
holds them to those that are.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from jobrunner.cli import cli
from jobrunner.plugins import load
from jobrunner.settings import VARIABLES, Settings, variable_name
from jobrunner.store.keys import QueueKeys

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
STORE = {"REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB"}
GIVE_BACK_S = 5
"""Seconds after the grace that a worker may take for giving back what did not end, and some more."""


def documents(name):
    return [one for one in yaml.safe_load_all((DEPLOY / name).read_text("utf-8")) if one]


def compose():
    (found,) = documents("compose.yaml")
    return found["services"]


def deployment():
    (found,) = documents("kubernetes/worker.yaml")
    return found


def container():
    (found,) = deployment()["spec"]["template"]["spec"]["containers"]
    return found


def unit():
    """The service's lines: name -> values, in their order."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "jobrunner@.service").read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def parses(words):
    """Parse a command as the command line does, without running it: its arguments and options."""
    command: click.Command = cli
    # With what it inherits: click keeps a command's help option from the first context that it is given.
    context, rest = click.Context(cli, info_name="jobrunner", **cli.context_settings), list(words)
    while isinstance(command, click.Group):
        name, *rest = rest
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
    return command.make_context(name, rest, parent=context).params


def known_variables():
    found = {*VARIABLES.values(), *STORE}
    for plugin in load(None, {}):
        found |= {variable_name(plugin.name, field) for field in plugin.settings_type.__struct_fields__}
        found |= {queue.concurrency_env for queue in plugin.queues.values() if queue.concurrency_env}
    return found


def grace_of(variables):
    return float(variables.get("JOBRUNNER_GRACE", Settings().grace))


def seconds(text):
    return int(str(text).removesuffix("s"))


COMMANDS = [
    compose()["worker"]["command"],
    compose()["worker"]["healthcheck"]["test"][2:],
    container()["args"],
    container()["startupProbe"]["exec"]["command"][1:],
    container()["readinessProbe"]["exec"]["command"][1:],
    shlex.split(unit()["ExecStart"][0].replace("%i", "publish"))[1:],
    ["plugins", "check"],
    ["run"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_one_of_ours(words):
    """An option that was renamed would show on the day of a deployment."""
    parses(words)


def test_commands_that_do_not_exist_are_noticed():
    """What the test before this one relies on."""
    with pytest.raises(click.UsageError):
        parses(["run", "--plugins", "publish"])


def test_every_variable_is_read_by_somebody():
    """A setting with a wrong name is one that silently stays at its default."""
    image = re.findall(r"^\s+(?:ENV )?([A-Z_]+)=\S", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    named = {
        *compose()["worker"]["environment"],
        *(one["name"] for one in container()["env"]),
        *(value.partition("=")[0] for value in unit()["Environment"]),
        *(name for name in image if not name.startswith("PYTHON") and name != "PATH"),
    }

    assert named >= {"JOBRUNNER_GRACE", "JOBRUNNER_LOG_FORMAT", "PUBLISH_WORKER_CONCURRENCY"}
    assert named - known_variables() == set()


def test_every_stop_is_longer_than_its_grace():
    """Whoever kills before the grace is over makes a crash of every stop."""
    pod = deployment()["spec"]["template"]["spec"]
    env = {one["name"]: one.get("value", "") for one in pod["containers"][0]["env"]}
    service = dict(value.split("=", 1) for value in unit()["Environment"])
    worker = compose()["worker"]

    assert pod["terminationGracePeriodSeconds"] >= grace_of(env) + GIVE_BACK_S
    assert seconds(worker["stop_grace_period"]) >= grace_of(worker["environment"]) + GIVE_BACK_S
    assert seconds(unit()["TimeoutStopSec"][0]) >= grace_of(service) + GIVE_BACK_S


def test_plugins_that_are_named_are_those_of_the_image():
    """A worker asks for a plugin by name and ends with status 2 where it is not there."""
    (default,) = re.findall(
        r'^ARG PLUGINS="([^"]+)"', (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    built = compose()["worker"]["build"]["args"]["PLUGINS"].split()

    assert parses(compose()["worker"]["command"])["plugin_names"] == tuple(built)
    assert list(parses(container()["args"])["plugin_names"]) == default.split()
    for name in {*built, *default.split()}:
        assert (ROOT / "plugins" / name / "pyproject.toml").is_file()


def test_image_takes_what_is_there_and_runs_as_nobody_in_particular():
    """Every path that is copied exists, and no process in it is root's."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    stages = text.split("\nFROM ")
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()

    for source in re.findall(r"^COPY (\w\S*) ", text, re.MULTILINE):
        assert (ROOT / source).exists(), source
    assert len(stages) == 3
    assert "pip install" not in stages[-1]
    user = re.search(r"^USER (\d+):(\d+)$", stages[-1], re.MULTILINE)
    security = deployment()["spec"]["template"]["spec"]["securityContext"]
    assert user is not None
    assert (security["runAsUser"], security["runAsGroup"]) == tuple(map(int, user.groups()))
    assert 'ENTRYPOINT ["jobrunner"]' in stages[-1]
    for pattern in (line[1:] for line in ignored if line.startswith("!")):
        assert list(ROOT.glob(pattern)), pattern


def test_budget_and_deployment_select_the_same_pods():
    """A budget that selects nothing protects nothing, and says so to nobody."""
    (budget,) = documents("kubernetes/disruption.yaml")
    labels = deployment()["spec"]["template"]["metadata"]["labels"]

    assert deployment()["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["maxUnavailable"] == 1
    assert deployment()["spec"]["replicas"] > budget["spec"]["maxUnavailable"]


def test_scaling_looks_at_keys_that_the_queue_has():
    """A key with another name is an empty list, and an empty list is no reason for a worker."""
    (scaled,) = documents("kubernetes/scaling.yaml")
    (plugin,) = parses(container()["args"])["plugin_names"]
    (queue,) = next(one for one in load((plugin,), {})).queues
    keys = QueueKeys(Settings().prefix, queue)
    env = {one["name"]: one.get("value", "") for one in container()["env"]}

    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment()["metadata"]["name"]
    assert [one["metadata"]["listName"] for one in scaled["spec"]["triggers"]] == [
        keys["wait"],
        keys["active"],
    ]
    assert scaled["spec"]["minReplicaCount"] >= 1
    for trigger in scaled["spec"]["triggers"]:
        about = trigger["metadata"]
        assert about["address"] == f"{env['REDIS_HOST']}:{env['REDIS_PORT']}"
        assert about["passwordFromEnv"] in STORE
    running = scaled["spec"]["triggers"][1]["metadata"]["listLength"]
    assert running == env["PUBLISH_WORKER_CONCURRENCY"]


def test_store_of_the_compose_file_keeps_jobs():
    """The two settings that a worker's own check and the guide insist on."""
    words = compose()["redis"]["command"]
    given = dict(zip(words[1::2], words[2::2], strict=True))

    assert (given["--appendonly"], given["--maxmemory-policy"]) == ("yes", "noeviction")
    assert compose()["worker"]["environment"]["REDIS_URL"].startswith("redis://redis:6379")


def test_systemd_takes_the_unit(tmp_path):
    """Read by systemd's own parser, with a program that is there in place of the one that will be."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "jobrunner@.service").read_text("utf-8")
    (tmp_path / "jobrunner@.service").write_text(text.replace("/opt/jobrunner/bin/jobrunner", sys.executable))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "jobrunner@publish.service"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
    )

    assert [line for line in done.stderr.splitlines() if "jobrunner" in line or "Unknown" in line] == []
