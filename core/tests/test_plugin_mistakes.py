"""Mistakes that people make in plugins: each is found when the plugin is loaded, and blamed on its distribution.

Real distributions are made for it: a folder with metadata and entry points on the module path, as pip leaves it.
"""

import importlib
import sys
import textwrap

import pytest

from jobrunner import Client, SyncClient
from jobrunner.discovery import find, installed
from jobrunner.errors import PluginError, SettingsError, UnknownQueueError
from jobrunner.plugins import RESERVED_ROUTES, load
from jobrunner.queuebook import QueueBook

GOOD = """
    import msgspec
    from jobrunner import Job, Queue, hookimpl

    class Letter(msgspec.Struct):
        text: str = ""

    async def send(job: Job[Letter]) -> None: ...

    @hookimpl
    def jobrunner_queues():
        return [Queue("QUEUE", Letter, send)]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a distribution with one plugin, seen by this test alone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def install(name, source, *, version="1.0", plugin=None, target=None):
        module = f"jr_test_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source).replace("QUEUE", f"{name}.send"))
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[jobrunner]\n{plugin or name} = {target or module}\n")
        made.append(module)
        importlib.invalidate_caches()

    yield install
    for module in made:
        sys.modules.pop(module, None)


def test_installed_plugin_is_found_by_its_name_with_its_version(install):
    """Which version of what runs here is the first question of any incident."""
    install("good", GOOD, version="2.5")
    found = find("good")
    assert (found.distribution, found.version, found.blame) == (
        "dist-good",
        "2.5",
        "plugin good (dist-good 2.5)",
    )
    assert list(load(["good"], {}).queues) == ["good.send"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queue(): return []", "jobrunner_queue"),
        ("def jobrunner_queues(): return []", "jobrunner_queues has no @hookimpl"),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues(settings=None): return []",
            "the argument settings must not have a default",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues(config): return []",
            "config",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues():\n  yield from [1 / 0]",
            "jobrunner_queues raised ZeroDivisionError",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues(): raise OSError('away')",
            "jobrunner_queues raised OSError: away",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues(): return ['a']",
            "must return Queue objects, not 'a'",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues(): return 5",
            "jobrunner_queues",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_settings(): return dict",
            "jobrunner_settings must return a msgspec.Struct type",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl(hookwrapper=True)\ndef jobrunner_queues():\n  yield",
            "hook wrappers are not used here",
        ),
        ("x = 1", "it implements no hook"),
        ("import jr_no_such_module", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemError('at import')", "cannot be imported: SystemError: at import"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        (GOOD + "\n    @hookimpl\n    def jobrunner_queues_extra(): ...", "jobrunner_queues_extra"),
    ],
)
def test_mistake_is_said_in_one_line_with_the_distribution_and_its_version(install, source, said):
    """A typo in a hook's name must not mean that nothing happens."""
    install("bad", source)
    with pytest.raises(PluginError) as caught:
        load(["bad"], {})
    assert str(caught.value).startswith("plugin bad (dist-bad 1.0)")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_misspelt_hook_is_answered_with_the_right_names(install):
    """So that nobody has to look them up."""
    install("bad", "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queue(): return []")
    with pytest.raises(
        PluginError, match="the hooks are jobrunner_enqueue, jobrunner_event, jobrunner_queues"
    ):
        load(["bad"], {})


def test_broken_plugin_does_not_take_the_others_down(install):
    """What is installed and does not work is told, and the rest goes on."""
    install("good", GOOD)
    install("bad", "raise SystemError('at import')")
    install("wrong", GOOD.replace('"QUEUE"', '"a b"'))
    loaded = load(None, {}, strict=False)
    assert "good.send" in loaded.queues
    assert {"bad", "wrong"} <= set(loaded.failures)
    assert "dist-bad 1.0" in str(loaded.failures["bad"])
    with pytest.raises(PluginError, match="dist-bad"):
        load(None, {}, strict=True)


def test_plugin_with_a_wrong_setting_does_not_take_the_others_down(install):
    """A variable that is missing for one is no reason for the rest to stop; where it was asked for, it is."""
    install("good", GOOD)
    install(
        "needy",
        """
        import msgspec
        from jobrunner import hookimpl

        class Needs(msgspec.Struct):
            key: str

        @hookimpl
        def jobrunner_settings():
            return Needs
        """,
    )
    loaded = load(None, {}, strict=False)
    assert "good.send" in loaded.queues
    assert "JOBRUNNER_NEEDY_KEY" in str(loaded.failures["needy"])
    for look in (
        lambda: loaded.queue("needy.send"),
        lambda: QueueBook(loaded).learn("needy.send", None, None),
    ):
        with pytest.raises(
            UnknownQueueError, match=r"left out: .*needy, since JOBRUNNER_NEEDY_KEY: it must be set"
        ):
            look()
    with pytest.raises(SettingsError, match="JOBRUNNER_NEEDY_KEY: it must be set"):
        load(["needy"], {})


def test_two_plugins_that_declare_one_queue_do_not_take_the_others_down(install):
    """Where all installed plugins are looked through, a third one must still be usable."""
    install("first", GOOD.replace('"QUEUE"', '"same.queue"'))
    install("second", GOOD.replace('"QUEUE"', '"same.queue"'))
    install("third", GOOD)
    with pytest.raises(PluginError, match=r"dist-first 1\.0.*dist-second 1\.0"):
        load(["first", "second"], {})
    loaded = load(None, {}, strict=False)
    assert {"same.queue", "third.send"} <= set(loaded.queues)
    assert "dist-first 1.0" in str(loaded.failures["second"])


def test_entry_point_may_name_an_object_inside_a_module(install):
    """`plugin = "package.module:Plugin"`."""
    source = """
        from jobrunner import hookimpl

        class Inner:
            @staticmethod
            @hookimpl
            def jobrunner_event(event): ...
    """
    install("inner", source, target="jr_test_inner:Inner")
    install("missing", source, target="jr_test_missing:Outer.Inner")
    assert next(iter(load(["inner"], {}))).hooks == ["jobrunner_event"]
    with pytest.raises(PluginError, match=r"dist-missing 1\.0.*AttributeError"):
        load(["missing"], {})


def test_entry_point_with_a_name_that_no_variable_can_have_is_refused(install):
    """A plugin's name is part of its variables' names."""
    install("Shout", GOOD, plugin="Shout It")
    with pytest.raises(PluginError, match="plugin name 'Shout It' is not allowed"):
        load(["Shout It"], {})


def test_unknown_plugin_says_what_is_installed(install):
    """A typo is seen at once."""
    install("good", GOOD)
    with pytest.raises(PluginError, match=r"plugin 'goood' is not installed \(installed: .*good"):
        load(["goood"], {})
    with pytest.raises(PluginError, match="no such file"):
        load(["./goood.py"], {})


def test_two_plugins_of_one_name_cannot_both_be_asked_for(tmp_path):
    """Their settings would be each other's."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "post.py").write_text(textwrap.dedent(GOOD).replace("QUEUE", f"{folder}.send"))
    with pytest.raises(PluginError, match="two of the plugins asked for are named 'post'"):
        load([str(tmp_path / folder / "post.py") for folder in ("a", "b")], {})


def test_no_route_may_shadow_what_a_client_has():
    """Else `client.close(...)` would mean two things, and a plugin could take a method away."""
    own = {"store", "plugins"} | {name for kind in (Client, SyncClient) for name in dir(kind)}
    public = {name.replace("_", "-") for name in own if not name.startswith("_")}
    assert public <= RESERVED_ROUTES


def test_all_installed_plugins_are_listed_by_name(install):
    """Without importing any of them."""
    install("zebra", "raise SystemError('never imported')")
    install("ant", "raise SystemError('never imported')")
    names = [found.name for found in installed()]
    assert [name for name in names if name in ("ant", "zebra")] == ["ant", "zebra"]
    assert "jr_test_ant" not in sys.modules


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys\nsys.exit('please install pillow')", "it ended the program: please install pillow"),
        ("raise SystemExit(3)", "it ended the program: 3"),
    ],
)
def test_plugin_that_ends_the_program_is_blamed_and_ends_nothing(install, source, said):
    """A script that is not fit to be imported ended the worker, and even `plugins list`, without a word."""
    install("good", GOOD)
    install("bad", source)
    loaded = load(None, {}, strict=False)
    assert "good.send" in loaded.queues
    assert str(loaded.failures["bad"]) == f"plugin bad (dist-bad 1.0) cannot be imported: {said}"
    with pytest.raises(PluginError, match="dist-bad"):
        load(["bad"], {})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("async def jobrunner_queues(): return []", "jobrunner_queues must be a plain `def`"),
        ("async def jobrunner_event(event): ...", "jobrunner_event must be a plain `def`"),
        ("async def jobrunner_resources():\n    yield {}", "jobrunner_resources needs @asynccontextmanager"),
        ("def jobrunner_queues(): [1]", "jobrunner_queues returned None; it must return a list of queues"),
    ],
)
def test_hook_that_gives_nothing_to_work_with_is_told(install, source, said):
    """A coroutine that nobody awaits, or a `return` that was forgotten, would leave a plugin without its queues."""
    install("bad", f"from jobrunner import hookimpl\n@hookimpl\n{source}")
    with pytest.raises(PluginError) as caught:
        load(["bad"], {})
    assert said in str(caught.value)


def test_file_that_is_at_odds_with_the_others_does_not_take_them_down(tmp_path):
    """It is asked for by its path, and known by its name."""
    good, shadow = tmp_path / "good.py", tmp_path / "shadow.py"
    good.write_text(textwrap.dedent(GOOD).replace("QUEUE", "good.send"))
    shadow.write_text(
        textwrap.dedent(GOOD).replace('"QUEUE", Letter, send', '"a.b", Letter, send, route="enqueue/x"')
    )
    loaded = load([str(good), str(shadow)], {}, strict=False)
    assert list(loaded.queues) == ["good.send"]
    assert "shadows an attribute" in str(loaded.failures[str(shadow)])
