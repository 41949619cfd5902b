"""The files of `deploy/` before the tools that read them: what they say is the last word."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BUILD_S = 900


def run(*words, **more):
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_S, check=False, **more
    )


@pytest.mark.slow
def test_manifests_are_what_kubernetes_takes():
    """By its own schemas, and with no field that it does not know; those of KEDA's kind are not among them."""
    manifests = [str(DEPLOY / "kubernetes" / name) for name in ("worker.yaml", "disruption.yaml")]

    done = run("uv", "tool", "run", "kubernetes-validate", "--strict", *manifests)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_image_is_built_with_the_plugins_that_are_named():
    """The build itself ends with `jobrunner plugins check` of what it has installed."""
    builder = builder_here()
    if builder is None:
        pytest.skip("neither a Docker engine nor buildah is here")
    build = [
        *builder,
        "--file",
        "deploy/Dockerfile",
        "--build-arg",
        "PLUGINS=publish analytics",
        "--tag",
        "jobrunner-test",
    ]

    done = run(*build, ".")

    told = done.stdout + done.stderr
    if done.returncode and ("pull" in told or "registry" in told):
        pytest.skip(f"the image that ours begins with cannot be had: {told[-200:]}")
    assert done.returncode == 0, told
    for name in ("analytics", "publish"):
        assert f"sound  plugin {name} " in told, told


def builder_here():
    """The words that build an image, or None."""
    if shutil.which("docker") and run("docker", "info").returncode == 0:
        return ["docker", "build", "--progress", "plain"]
    if shutil.which("buildah"):
        ignore = str(DEPLOY / "Dockerfile.dockerignore")  # Docker finds it by its name
        # A chroot is all that a machine allows which is itself a container.
        return ["buildah", "build", "--isolation", "chroot", "--pull=missing", "--ignorefile", ignore]
    return None
