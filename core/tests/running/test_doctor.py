"""What the doctor says of the servers themselves."""

import pytest
from rig.servers import ServerOptions

from jobrunner.admin import Admin
from jobrunner.doctor import examine
from jobrunner.plugins import Plugins
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("options", "level", "words"),
    [
        (ServerOptions(), "warning", "if it is promoted then, its replicas lose it too"),
        (ServerOptions(appendonly="everysec"), "ok", "appendonly is on"),
    ],
    ids=["no files", "files"],
)
async def test_replicas_are_no_substitute_for_a_file(start_sentinels, options, level, words):
    """A server that is started again without one is empty, and may be promoted all the same."""
    store = open_store(parse_url(start_sentinels(options=options).url))
    try:
        found = [one async for one in examine(Admin(store, Plugins([])))]
    finally:
        await store.close()

    (told,) = [one for one in found if one.about == "persistence"]
    assert (told.level, words in told.text) == (level, True), told
