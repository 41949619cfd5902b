"""`jobrunner plugins new` and `plugins stubs`: what they write, and what they refuse."""

import ast
import inspect
import subprocess
import sys

import pytest

from jobrunner import Client, SyncClient
from jobrunner.stubs import OPTIONS

RICH = '''
import enum
from datetime import datetime
from typing import Annotated, Literal
import msgspec
from msgspec import Meta
from jobrunner import Job, Queue, hookimpl


class Mood(enum.Enum):
    WARM = "warm"
    FORMAL = "formal"


class Client(msgspec.Struct):
    """It has the name of the module's own client."""
    name: str


class Letter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A letter.

    Args:
        text: What it says,
            over two lines.
    """
    text: Annotated[str, Meta(min_length=1)]
    to: Client
    payload: int
    priority: str
    mood: Mood = Mood.WARM
    kind: Literal["a", "b"] | None = None
    copies: tuple[Client, ...] = ()
    weights: list[float] = msgspec.field(default_factory=lambda: [1.0])
    signed: bool = False
    at: Annotated[datetime, Meta(tz=True)] | None = None
    marks: dict[str, set[int]] = {}


class Bare(msgspec.Struct):
    tenant_id: str = "none"


async def write(job: Job[Letter]) -> None: ...
async def bare(job: Job[Bare]) -> None: ...


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [
        Queue("letters.write-now", Letter, write, route="letters/write-now"),
        Queue("class", Bare, bare),
    ]
'''

USE = """
from jobrunner import Client, SyncClient
from rich_types import Client as Addressee, Mood
from producers import Letters, RichTypes, SyncLetters, SyncRichTypes


async def enqueue(client: Client) -> str:
    to = Addressee(name="ada")
    handle = await Letters(client).write_now(text="x", to=to, payload=1, priority="high", weights=[2.0], tenant="t1")
    await RichTypes(client).enqueue_class(delay=5)
    return handle.id


def enqueue_sync(client: SyncClient) -> str:
    to = Addressee(name="ada")
    SyncRichTypes(client).enqueue_class(tenant_id="t1")
    return SyncLetters(client).write_now(text="x", to=to, payload=1, priority="high", mood=Mood.FORMAL).id
"""


NONE = """
@hookimpl
def jobrunner_queues():
    return []
"""

INNER = """
class Outer:
    class Inner(msgspec.Struct):
        x: int


async def run(job): ...


@hookimpl
def jobrunner_queues():
    return [Queue("a.b", Outer.Inner, run)]
"""


@pytest.fixture
def rich(desk):
    (desk.folder / "rich_types.py").write_text(RICH)
    done = desk.run("plugins", "stubs", "./rich_types.py", "--output", "producers.py")
    assert (done.status, done.err) == (0, "")
    return desk


# ---- new ---------------------------------------------------------------------------------------------------------


def test_new_plugin_prints_its_files_and_the_next_three_commands(desk):
    """Who has just made a plugin is told what to do with it, in lines to be copied."""
    done = desk.run("plugins", "new", "mail", "--queue", "mail.send", "--directory", "my mail")

    assert done.status == 0, done.err
    listed = [line.strip() for line in done.out.splitlines() if line.startswith("  my mail/")]
    assert listed == sorted(
        str(file.relative_to(desk.folder)) for file in (desk.folder / "my mail").rglob("*") if file.is_file()
    )
    assert done.out.splitlines()[-3:] == [
        "  pip install -e './my mail[dev]'",
        "  pytest './my mail'",
        "  jobrunner --embedded run --plugin mail",
    ]


def test_nothing_is_written_over(desk):
    """A folder with a day's work in it looks like any other to a command."""
    assert desk.run("plugins", "new", "mail").status == 0
    readme = desk.folder / "jobrunner-mail" / "README.md"
    readme.write_text("mine")

    again = desk.run("plugins", "new", "mail")

    assert (again.status, readme.read_text()) == (2, "mine")
    assert (
        again.error
        == "jobrunner-mail is there already, and nothing is written over; choose another --directory"
    )
    assert [path.name for path in desk.folder.iterdir() if path.name.startswith(".")] == []


def test_folder_that_cannot_be_written_is_one_line(desk):
    """And nothing is left of the attempt."""
    (desk.folder / "file").write_text("")

    done = desk.run("plugins", "new", "mail", "--directory", "file/mail")

    assert (done.status, done.error) == (2, "file/mail cannot be written: file is no folder")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["Mail"], "plugin name 'Mail' is not allowed"),
        (["../mail"], "plugin name '../mail' is not allowed"),
        (["a--b"], "plugin name 'a--b' is not allowed"),
        (["m" * 25], "use 1 to 24 of lower-case letters"),
        (["mail", "--queue", "mail.send it"], "queue name 'mail.send it' is not allowed"),
        (["mail", "--queue", "Mail.Send"], "use lower-case words that begin with a letter"),
        (["mail", "--queue", "mail.2fa"], "use lower-case words that begin with a letter"),
        (["mail", "--queue", "mail."], "use lower-case words that begin with a letter"),
        (["mail", "--queue", "mail.import"], "'import' is a word of Python's own"),
        (["none"], "'None' is a word of Python's own"),
        (["mail", "--queue", "q" * 41], "is too long for a new plugin"),
        (["mail", "--queue", "parcel.deliver"], "plugin parcel declares the queue parcel.deliver"),
        (["mail", "--queue", "store.put"], "would shadow the client's own `store`"),
        (["core"], "the distribution jobrunner-core"),
        (["publish"], "is installed and has that name"),
    ],
)
def test_names_that_cannot_work_are_refused(desk, words, problem):
    """A plugin whose name is wrong is found out at its first job, if nobody says so before."""
    done = desk.run("plugins", "new", *words)

    assert (done.status, problem in done.error) == (2, True), done.err
    assert not list(desk.folder.glob("jobrunner-*"))


@pytest.mark.parametrize(
    "names", [("a", "b"), ("m" * 24, f"{'q' * 19}.{'r' * 20}"), ("two-words", "a_b.c-d.e"), ("x", "x")]
)
def test_any_names_give_code_that_is_laid_out_and_typed(desk, names):
    """Templates are laid out for one name; a longer one must not break lines, nor a short one join them."""
    name, queue = names
    done = desk.run("plugins", "new", name, "--queue", queue, "--directory", "made")
    assert done.status == 0, done.err
    folder = desk.folder / "made"

    for command in (["ruff", "check", "."], ["ruff", "format", "--diff", "."]):
        ran = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    package = f"jobrunner_{name.replace('-', '_')}"
    source = f"""
import sys
from pathlib import Path
from jobrunner.discovery import Found, load_module
from jobrunner.plugins import from_object
from jobrunner.stubs import producers_source
found = Found(name={name!r}, target="{package}.plugin")
written = Path("src/{package}/producers.py").read_text()
sys.exit(written != producers_source(from_object(load_module(found), found, {{}})))
"""
    current = subprocess.run(
        [sys.executable, "-c", source],
        cwd=folder,
        env=desk.environ | {"PYTHONPATH": "src"},
        capture_output=True,
    )
    assert current.returncode == 0, current.stderr.decode()


# ---- stubs -------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_stubs_type_check_as_a_caller_uses_them(rich):
    """Their whole use is that a type checker and an editor know the arguments."""
    (rich.folder / "use.py").write_text(USE)

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "use.py", "producers.py"],
        cwd=rich.folder,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    (rich.folder / "use.py").write_text(
        USE.replace('text="x", to=to, payload=1', "text=5, to=to, payload=1", 1)
    )
    wrong = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "use.py"], cwd=rich.folder, capture_output=True, text=True
    )
    assert 'Argument "text" to "write_now" of "Letters" has incompatible type "int"' in wrong.stdout


def test_stubs_enqueue_what_they_are_given(rich):
    """Defaults of the payload's type stand where nothing is given, also those that cannot be written down."""
    (rich.folder / "use.py").write_text(USE)
    program = (
        "from use import *\n"
        "from jobrunner import SyncClient\n"
        "import asyncio\n"
        "with SyncClient.from_env() as client:\n"
        "    enqueue_sync(client)\n"
        "async def main():\n"
        "    async with Client.from_env() as client:\n"
        "        print(await enqueue(client))\n"
        "asyncio.run(main())\n"
    )
    (rich.folder / "main.py").write_text(program)
    environ = rich.environ | {"JOBRUNNER_PLUGINS": "rich_types"}

    done = subprocess.run(
        [sys.executable, "main.py"], cwd=rich.folder, env=environ, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    shown = rich.run(
        "jobs",
        "show",
        "letters.write-now",
        done.stdout.strip(),
        "--json",
        JOBRUNNER_PLUGINS="rich_types",
    )
    job = shown.json
    assert job["payload"]["weights"] == [2.0]
    assert job["tenant"] == "t1"
    (other,) = [
        one
        for one in rich.run(
            "jobs", "list", "letters.write-now", "--json", JOBRUNNER_PLUGINS="rich_types"
        ).json
        if one["id"] != job["id"]
    ]
    assert other["tenant"] == ""
    delayed = rich.run("stats", "class", "--json", JOBRUNNER_PLUGINS="rich_types").json[0]
    assert (delayed["waiting"], delayed["delayed"]) == (1, 1)


def test_options_are_those_of_the_client():
    """An argument that the client learns and the stubs do not would be missing in every plugin."""
    for client in (Client, SyncClient):
        own = [
            name
            for name, one in inspect.signature(client.enqueue).parameters.items()
            if one.kind is one.KEYWORD_ONLY
        ]
        assert list(OPTIONS) == own


def test_check_tells_current_stubs_from_old_ones(rich):
    """For CI: another layout is the same code, another payload is not."""
    file = rich.folder / "producers.py"
    file.write_text(ast.unparse(ast.parse(file.read_text())))
    assert rich.run("plugins", "stubs", "./rich_types.py", "--check", "producers.py").status == 0
    source = rich.folder / "rich_types.py"
    source.write_text(RICH.replace("signed: bool", "stamped: bool"))

    done = rich.process("plugins", "stubs", "./rich_types.py", "--check", "producers.py")

    assert done.status == 1
    assert done.err.strip() == (
        "producers.py is not current: run `jobrunner plugins stubs ./rich_types.py --output producers.py`"
    )
    assert rich.run("plugins", "stubs", "./rich_types.py", "--check", "nowhere.py").status == 1


def test_stubs_are_written_over_stubs_alone(desk):
    """`--output` is given a wrong name once in every life."""
    (desk.folder / "work.py").write_text("mine = True\n")

    done = desk.run("plugins", "stubs", "./parcel.py", "--output", "work.py")

    assert (done.status, (desk.folder / "work.py").read_text()) == (2, "mine = True\n")
    assert done.error == "work.py was not written by this command, and is not written over; name another file"
    assert desk.run("plugins", "stubs", "./parcel.py", "--output", "a.py", "--check", "b.py").status == 2


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (NONE, "declares no queue, so there is nothing to enqueue"),
        (
            INNER,
            "the type Outer.Inner is defined inside something else; put it at the top of its module",
        ),
    ],
)
def test_what_has_no_stubs_says_so(desk, source, problem):
    """One line, and no file that does not compile."""
    imports = "import msgspec\nfrom jobrunner import Queue, hookimpl\n"
    (desk.folder / "odd.py").write_text(imports + source)

    done = desk.run("plugins", "stubs", "./odd.py")

    assert (done.status, done.out) == (2, "")
    assert problem in done.error
