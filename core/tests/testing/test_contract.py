"""`check_plugin`: each promise that every plugin makes, broken once."""

import sys
from pathlib import Path

import pytest

from jobrunner import PluginError
from jobrunner.testing import ContractError, check_plugin

pytestmark = pytest.mark.long

PLUGIN = """
import asyncio, os, pathlib, signal, socket, subprocess, sys, threading
from typing import Annotated
import msgspec
from jobrunner import Job, Queue, Retry, Secret, SyncJob, hookimpl

{top}

class Post(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    tenant_id: str
    title: {title}
    token: Annotated[str, Secret] = ""
    {extra}

async def send(job: {job}) -> None:
    {body}

@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [Queue("post.send", Post, send, version={version}, upgrades={{1: lambda plain: plain}} if {version} > 1 else None)]
"""

EXAMPLES = {"post.send": [{"tenantId": "t1", "title": "Hello", "token": "hush-hush-hush"}]}


def plugin(
    folder: Path, *, top="", title="str", extra="", job="Job[Post]", version=1, body="await asyncio.sleep(60)"
) -> str:
    file = folder / "poster.py"
    file.write_text(PLUGIN.format(top=top, title=title, extra=extra, job=job, version=version, body=body))
    return str(file)


def breaches(name: str, **options) -> list[str]:
    with pytest.raises(ContractError) as seen:
        check_plugin(name, **options)
    return seen.value.breaches


@pytest.fixture(autouse=True)
def fresh_module():
    """Each test writes its own `poster.py`; none may be taken for another's."""
    yield
    sys.modules.pop("jobrunner_file_poster", None)


def test_good_plugin_keeps_its_contract(tmp_path: Path) -> None:
    """And what could not be checked is said, rather than passed over."""
    report = check_plugin(plugin(tmp_path, extra="tags: tuple[str, ...] = ()"), examples=EXAMPLES)

    assert (report.plugin, report.queues) == ("poster", ["post.send"])
    assert report.skipped == ["schemas were not compared with recorded ones: no folder was given"]


@pytest.mark.parametrize(
    ("top", "effect"),
    [
        ("print('hello')", "prints 'hello'"),
        ("pathlib.Path(__file__).with_name('made.txt').write_text('x')", "writes the file"),
        ("os.environ['POSTER_SEEN'] = '1'", "sets the environment variable b'POSTER_SEEN'"),
        (
            "threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()",
            "starts the thread 'poller'",
        ),
        ("subprocess.run([sys.executable, '-c', ''])", "starts the program"),
        ("socket.socket().bind(('127.0.0.1', 0))", "listens on ('127.0.0.1', 0)"),
        ("signal.signal(signal.SIGUSR2, lambda *_: None)", "handles the signal SIGUSR2"),
    ],
)
def test_loading_has_no_effects(tmp_path: Path, top: str, effect: str) -> None:
    """Help, producers and every worker load plugins; one that acts when it is imported acts in all of them."""
    guarded = (
        f"if 'pytest' not in sys.modules:\n    {top}"  # not in this process, but in the one that is watched
    )

    found = breaches(plugin(tmp_path, top=guarded))

    assert any(breach.startswith(f"loading it {effect}") for breach in found), found


def test_plugin_that_loads_only_here_is_blamed(tmp_path: Path) -> None:
    """What works in the test's process and in no other would not work in a worker."""
    found = breaches(
        plugin(tmp_path, top="if 'pytest' not in sys.modules:\n    raise RuntimeError('no pytest here')")
    )

    assert found == [
        "it cannot be loaded in a process of its own: plugin poster cannot be imported: RuntimeError: no pytest here"
    ]


def test_plugin_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    """The loader's own message, which names what is wrong."""
    with pytest.raises(PluginError, match="cannot be imported: ZeroDivisionError"):
        check_plugin(plugin(tmp_path, top="1 / 0"))


@pytest.mark.parametrize(
    ("job", "breach"),
    [
        ("SyncJob[Post]", "post.send: its handler is an `async def` over SyncJob; it is given a Job"),
        (
            "Job[msgspec.Struct]",
            "post.send: its handler is annotated with <class 'msgspec.Struct'>, and its payload is Post",
        ),
    ],
)
def test_handler_is_annotated_with_what_it_gets(tmp_path: Path, job: str, breach: str) -> None:
    """A handler written for another queue is found without running it."""
    assert breaches(plugin(tmp_path, job=job)) == [breach]


def test_invalid_example_is_named(tmp_path: Path) -> None:
    """By queue and field."""
    found = breaches(plugin(tmp_path), examples={"post.send": [{"tenantId": "t1"}], "post.sent": []})

    assert found == [
        "there are examples for post.sent, and it declares no such queue",
        "an example is not valid: post.send: title: missing",
    ]


def test_secret_in_a_repr_is_found(tmp_path: Path) -> None:
    """A mark on one field hides nothing in the next."""
    example = {"tenantId": "t1", "title": "signed with hush-hush-hush", "token": "hush-hush-hush"}

    (breach,) = breaches(plugin(tmp_path), examples={"post.send": [example]})

    assert breach.startswith("post.send: the repr of Post shows a secret")


def test_schema_that_changes_from_process_to_process_is_found(tmp_path: Path) -> None:
    """Producers that enqueue by name are checked by what a worker registered; it must not depend on which one."""
    wavering = "LIMIT = 5 if 'pytest' in sys.modules else 6"

    found = breaches(plugin(tmp_path, top=wavering, title="Annotated[str, msgspec.Meta(max_length=LIMIT)]"))

    assert found == [
        "post.send: its JSON Schema is another in another process, at $defs.Post.properties.title.maxLength"
    ]


def test_schema_is_held_to_the_recorded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of a payload under the same version is a change for jobs in flight; a new version is recorded anew."""
    schemas = tmp_path / "schemas"
    first = breaches(plugin(tmp_path), schemas=schemas)
    monkeypatch.setenv("JOBRUNNER_UPDATE_SCHEMAS", "1")
    check_plugin(plugin(tmp_path), schemas=schemas)
    monkeypatch.delenv("JOBRUNNER_UPDATE_SCHEMAS")
    check_plugin(plugin(tmp_path), schemas=schemas)

    del sys.modules["jobrunner_file_poster"]
    changed = breaches(plugin(tmp_path, title="int"), schemas=schemas)
    del sys.modules["jobrunner_file_poster"]
    raised = breaches(plugin(tmp_path, title="int", version=2), schemas=schemas)

    assert "its schema is not recorded in" in first[0]
    assert "JOBRUNNER_UPDATE_SCHEMAS=1" in first[0]
    assert "recorded for version 1, at $defs.Post.properties.title.type; jobs in flight" in changed[0]
    assert "post.send.v2.json" in raised[0]


# ---- handlers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "breach"),
    [
        (
            "try:\n        await asyncio.sleep(60)\n    except BaseException:\n        pass",
            "post.send: its handler goes on when it is cancelled, and ends as completed: let asyncio.CancelledError through",
        ),
        (
            "try:\n        await asyncio.sleep(60)\n    except BaseException:\n        raise Retry(after=1) from None",
            "post.send: its handler goes on when it is cancelled, and ends as retried: let asyncio.CancelledError through",
        ),
    ],
)
def test_handler_that_swallows_its_cancelling_breaks_the_contract(
    tmp_path: Path, body: str, breach: str
) -> None:
    """It would keep a worker from stopping, and a cancelled job from ending."""
    assert breaches(plugin(tmp_path, body=body), examples=EXAMPLES) == [breach]


@pytest.mark.parametrize(
    "body",
    [
        "await job.step('post', job.resource(pathlib.Path).send, job.payload.title)",
        "async with job.resource(pathlib.Path) as way:\n        await way.send(1)",
        "async for part in job.resource(pathlib.Path).parts():\n        pass",
        "try:\n        await asyncio.sleep(60)\n    finally:\n        raise ValueError('in its clean-up')",
    ],
)
def test_handler_that_stops_keeps_the_contract(tmp_path: Path, body: str) -> None:
    """With stand-ins for its resources it gets as far as its first wait, and no further."""
    report = check_plugin(plugin(tmp_path, body=body), examples=EXAMPLES)

    assert not [line for line in report.skipped if "cancelling" in line]


@pytest.mark.parametrize(
    "body",
    [
        "pathlib.Path(r'{file}').write_text('x')",
        "socket.create_connection(('127.0.0.1', 9))",
        "subprocess.run(['touch', r'{file}'])",
    ],
)
def test_handler_does_nothing_outside_while_it_is_tried(tmp_path: Path, body: str) -> None:
    """A contract that posted something in passing would be worse than none."""
    file = tmp_path / "made"

    report = check_plugin(plugin(tmp_path, body=body.format(file=file)), examples=EXAMPLES)

    assert not file.exists()
    (line,) = [line for line in report.skipped if "cancelling" in line]
    assert "check_plugin lets nothing outside while it tries a handler" in line


def test_what_a_handler_imports_late_is_imported_now(tmp_path: Path) -> None:
    """A worker would find out with its first job."""
    (tmp_path / "late_effect.py").write_text("import os\nos.environ['SEEN'] = '1'\n")
    sys.path.insert(0, str(tmp_path))
    try:
        found = breaches(plugin(tmp_path, body="from late_effect import os"), examples=EXAMPLES)
        missing = breaches(plugin(tmp_path, body="import not_there_at_all"), examples=EXAMPLES)
    finally:
        sys.path.remove(str(tmp_path))

    assert found == ["loading it sets the environment variable b'SEEN'"]
    assert missing == [
        "post.send: its handler imports not_there_at_all, which is not there: No module named 'not_there_at_all'"
    ]


def test_description_is_no_part_of_the_recorded_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A docstring binds no job; and Python 3.13 strips its indentation, which would be another schema."""
    monkeypatch.setenv("JOBRUNNER_UPDATE_SCHEMAS", "1")
    check_plugin(plugin(tmp_path, extra='"""One text."""'), schemas=tmp_path)
    monkeypatch.delenv("JOBRUNNER_UPDATE_SCHEMAS")
    file = tmp_path / "post.send.v1.json"
    file.write_text(file.read_text().replace('"title": "Post"', '"description": "Another.", "title": "Post"'))

    assert check_plugin(plugin(tmp_path), schemas=tmp_path).queues == ["post.send"]
