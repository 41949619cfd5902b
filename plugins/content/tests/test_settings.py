"""Settings: their bounds, what a worker opens with them, and what stays hidden."""

from __future__ import annotations

import msgspec
import pytest

from jobrunner import SettingsError
from jobrunner_content import ContentSettings, PostStore
from jobrunner_content.plugin import jobrunner_resources
from jobrunner_content.studio import Studio


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("writer", ""),
        ("writer", "my writer"),
        ("database_url", "posts.db"),
        ("database_url", "sqlite://"),
        ("database_url", "sqlite:///:memory:"),
        ("database_url", "sqlite:///posts.db?mode=memory"),
        ("database_url", "mysql://host/posts"),
        ("database_url", "postgresql+asyncpg://host/posts"),
        ("database_url", "postgresql://"),
        ("database_url", "postgresql://u:p@host:port/posts"),
        ("database_url", "postgresql://u:p@host:70000/posts"),
        ("openai_url", "api.openai.com"),
        ("openai_url", "ftp://api.openai.com"),
        ("openai_url", "https://user:password@api.openai.com"),
        ("openai_url", "https://api.openai.com/v1?key=1"),
        ("openai_key", "two words"),
        ("openai_key", "line\nbreak"),
        ("openai_key", "k\u00f6y"),
        ("openai_model", ""),
        ("openai_timeout", 0.5),
        ("openai_timeout", 601),
        ("openai_temperature", 2.1),
        ("openai_max_tokens", -1),
    ],
)
def test_value_that_cannot_be_used_is_refused(field: str, value: object) -> None:
    """A wrong value shows at the start, not with the first post."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, ContentSettings)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database_url", "sqlite:////var/lib/posts.db"),
        ("database_url", "sqlite+aiosqlite:///posts.db"),
        ("database_url", "postgres://u:p@host:5432/posts?sslmode=require"),
        ("database_url", "postgresql+psycopg://host/posts"),
        ("openai_url", "http://127.0.0.1:11434/v1"),
        ("openai_temperature", 0),
    ],
)
def test_usual_values_are_taken(field: str, value: object) -> None:
    """As other tools take them."""
    assert getattr(msgspec.convert({field: value}, ContentSettings), field) == value


def test_defaults_are_valid() -> None:
    """A worker starts without any variable."""
    msgspec.convert(msgspec.to_builtins(ContentSettings()), ContentSettings)


async def test_worker_gets_the_writer_and_the_posts(database: str, tmp_path: object) -> None:
    """The writer at the start, where its mistakes are told; the posts with the first job."""
    async with jobrunner_resources(ContentSettings(database_url=database)) as resources:
        (late,) = resources
        assert list(tmp_path.iterdir()) == []
        studio = await late.get()

    assert isinstance(studio, Studio)
    assert isinstance(studio.posts, PostStore)


async def test_writer_that_is_not_installed_stops_the_worker_before_anything_is_made(
    database: str, tmp_path: object
) -> None:
    """No file is left behind by a spelling mistake."""
    with pytest.raises(SettingsError, match="JOBRUNNER_CONTENT_WRITER"):
        async with jobrunner_resources(ContentSettings(writer="nobody", database_url=database)):
            pass
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_in_no_repr() -> None:
    """Settings end up in tracebacks and debuggers sooner or later."""
    from jobrunner.testing import check_plugin

    check_plugin("content", examples={}, settings={"openai_key": "sk-123456789"})
    settings = ContentSettings(openai_key="sk-123456789", database_url="postgresql://u:hunter2222@h/d")

    assert "sk-123456789" not in repr(settings)
    assert "hunter2222" not in repr(settings)
