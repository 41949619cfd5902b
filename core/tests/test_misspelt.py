"""Variables that look like a plugin's settings and are none."""

from typing import Annotated

import msgspec

from jobrunner import Queue, Secret, hookimpl
from jobrunner.discovery import Found
from jobrunner.misspelt import misspelt
from jobrunner.plugins import Plugins, from_object


class Task(msgspec.Struct):
    pass


class Out:
    """A plugin with two settings and a queue."""

    class Settings(msgspec.Struct, frozen=True):
        writer: str = "template"
        api_key: Annotated[str, Secret] = ""

    @hookimpl
    def jobrunner_settings(self):
        return self.Settings

    @hookimpl
    def jobrunner_queues(self):
        async def work(job):
            pass

        return [Queue("out.do", Task, work, concurrency_env="JOBRUNNER_OUT_CONCURRENCY")]


PLUGINS = Plugins([from_object(Out(), Found(name="out", target=""), {})])


def test_variable_that_is_none_names_the_one_that_may_be_meant():
    """Else the default is used, and nobody learns why; the value may be a key, and is not shown."""
    environ = {
        "JOBRUNNER_OUT_WRITRE": "openai",
        "JOBRUNNER_OUT_API_KEY_FILE": "sesame",
        "JOBRUNNER_OUT_XYZ": "1",
    }

    assert misspelt(PLUGINS, environ) == [
        "JOBRUNNER_OUT_API_KEY_FILE is no setting of the plugin out; is JOBRUNNER_OUT_API_KEY meant?",
        "JOBRUNNER_OUT_WRITRE is no setting of the plugin out; is JOBRUNNER_OUT_WRITER meant?",
        "JOBRUNNER_OUT_XYZ is no setting of the plugin out",
    ]


def test_variables_of_others_are_theirs():
    """What is set, what a queue reads, what the core reads, and what a plugin of a longer name reads."""
    environ = {
        "JOBRUNNER_OUT_WRITER": "openai",
        "JOBRUNNER_OUT_CONCURRENCY": "3",
        "JOBRUNNER_PREFIX": "jr",
        "JOBRUNNER_OUT_MORE_WRITER": "x",
        "JOBRUNNER_OUTER_WRITER": "x",
        "PATH": "/bin",
    }

    assert misspelt(PLUGINS, environ, others=["out-more"]) == []
