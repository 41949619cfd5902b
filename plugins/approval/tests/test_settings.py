"""Settings: what cannot work is told when a worker starts, and not with the first notice."""

from __future__ import annotations

import pytest

from jobrunner import SettingsError
from jobrunner.discovery import Found
from jobrunner.plugins import from_object
from jobrunner_approval import plugin


@pytest.mark.parametrize(
    ("variables", "named", "said"),
    [
        (
            {"REVIEW_URL": "https://app.example.com/{postID}"},
            "JOBRUNNER_APPROVAL_REVIEW_URL",
            "{postID} is none of {tenantId}, {brandId}, {postId}, {approverId}",
        ),
        ({"SMTP_USERNAME": "robot"}, "JOBRUNNER_APPROVAL_SMTP_PASSWORD", "smtp_password"),
        ({"SMTP_PASSWORD": "sesame-77"}, "JOBRUNNER_APPROVAL_SMTP_USERNAME", "smtp_username"),
        ({"SMTP_URL": "mail.example.com"}, "JOBRUNNER_APPROVAL_SMTP_URL", "such as smtp://localhost:25"),
        ({"FROM_ADDRESS": "nobody"}, "JOBRUNNER_APPROVAL_FROM_ADDRESS", "ana@example.com"),
    ],
)
def test_setting_that_cannot_work_is_told_at_the_start(
    variables: dict[str, str], named: str, said: str
) -> None:
    """By its variable, with what to do, and without a password."""
    environ = {f"JOBRUNNER_APPROVAL_{name}": value for name, value in variables.items()}

    with pytest.raises(SettingsError) as caught:
        from_object(plugin, Found(name="approval", target="jobrunner_approval.plugin"), environ)

    assert named in str(caught.value)
    assert said in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_settings_that_work_are_taken() -> None:
    """All four places, and a login on this machine."""
    environ = {
        "JOBRUNNER_APPROVAL_REVIEW_URL": "https://a.example/{tenantId}/{brandId}/{postId}?as={approverId}",
        "JOBRUNNER_APPROVAL_SMTP_USERNAME": "robot",
        "JOBRUNNER_APPROVAL_SMTP_PASSWORD": "sesame-77",
    }

    loaded = from_object(plugin, Found(name="approval", target="jobrunner_approval.plugin"), environ)

    assert loaded.settings.smtp_username == "robot"
