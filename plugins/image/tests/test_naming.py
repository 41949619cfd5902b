"""Names of files: whatever the ids hold, the file lies in the tenant's folder, and nowhere else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from jobrunner_image.naming import picture_path

ANYTHING = st.text(min_size=1, max_size=200) | st.sampled_from(
    [
        "..",
        ".",
        "../../etc/passwd",
        "a/b",
        "C:\\x",
        "CON",
        "\x00",
        "-rf",
        "~root",
        "a\nb",
        "%2e%2e",
        "ÄÖ",
        "\ud800",
    ]
)


def path(tenant: str, subject: str, job: str) -> str:
    return picture_path(tenant_id=tenant, subject=subject, job_id=job, suffix="png")


@given(ANYTHING, ANYTHING, ANYTHING)
def test_path_has_one_folder_and_harmless_characters(tenant: str, subject: str, job: str) -> None:
    """A tenant's id is the producer's; it must not choose a folder."""
    made = path(tenant, subject, job)

    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}/[a-z0-9][a-z0-9-]{0,80}\.png", made)


@given(ANYTHING, ANYTHING, st.sampled_from(["job-1", "JOB-1"]))
def test_tenants_never_share_a_folder(one: str, other: str, job: str) -> None:
    """Also where the file system takes upper and lower case for the same."""
    same = path(one, "p", job).split("/")[0] == path(other, "p", job).split("/")[0]

    assert same == (one == other)


def test_job_is_told_by_its_exact_id() -> None:
    """A retry writes over its own picture, and over no other one."""
    assert path("t", "p", "job-1") == path("t", "p", "job-1")
    assert len({path("t", "p", job) for job in ("job-1", "JOB-1", "job_1")}) == 3
    assert path("acme-retail", "Post 7", "j").startswith("acme-retail-")
