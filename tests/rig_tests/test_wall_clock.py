"""A server's clock can be put wrong while it runs, and nothing else of it is."""

import time

import pytest
from rig.fixtures import StartServer
from rig.servers import KINDS, Kind, ServerOptions
from rig.wall_clock import WallClock


@pytest.mark.parametrize("kind", KINDS)
def test_clock_of_a_running_server_goes_where_it_is_put(
    start_server: StartServer, wall_clock: WallClock, kind: Kind
) -> None:
    """Its scripts and its expiries see it; ours stays right."""
    client = start_server(kind, ServerOptions(environ=wall_clock.environ)).client()
    script = "return redis.call('TIME')[1]"

    def off() -> float:
        return int(client.eval(script, 0)) - time.time()

    assert abs(off()) < 5
    client.set("short", "x", ex=600)
    client.set("long", "x", ex=6000)
    for seconds, offset in [(3600, 3600), (-7200, -3600), (3600, 0)]:
        wall_clock.jump(seconds, client)
        assert abs(off() - offset) < 5, (seconds, offset)
        assert (client.get("short"), client.get("long")) == (None, b"x")
