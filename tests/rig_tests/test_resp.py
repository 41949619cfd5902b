"""The splitter finds the ends of RESP values wherever the network cuts the stream."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig.resp import MAX_KEPT_ARGUMENT_BYTES, FrameSplitter, RespError, parse_command


def bulk(content: bytes, kind: bytes = b"$") -> bytes:
    return b"%b%d\r\n%b\r\n" % (kind, len(content), content)


def aggregate(kind: bytes, members: list[bytes], *, size: int | None = None) -> bytes:
    return b"%b%d\r\n%b" % (kind, len(members) if size is None else size, b"".join(members))


def values() -> st.SearchStrategy[bytes]:
    """Draw any RESP2 or RESP3 value, nested, with line ends inside strings."""
    content = st.binary(max_size=12) | st.sampled_from([b"\r\n", b"$5\r\n", b"*1\r\n"])
    leaf = st.one_of(
        st.sampled_from(
            [b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n"]
        ),
        st.sampled_from([b"(349\r\n", b"*0\r\n", b"%0\r\n"]),
        content.map(bulk),
        content.map(lambda text: bulk(text, b"=")),
        content.map(lambda text: bulk(text, b"!")),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(aggregate, st.sampled_from([b"*", b"~", b">"]), st.lists(inner, max_size=4)),
            st.lists(st.tuples(inner, inner), max_size=3).map(
                lambda pairs: aggregate(b"%", [part for pair in pairs for part in pair], size=len(pairs))
            ),
            st.tuples(inner, inner, inner).map(lambda parts: aggregate(b"|", list(parts), size=1)),
        ),
        max_leaves=10,
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(values(), max_size=5), st.data())
def test_values_come_out_whole_however_the_stream_is_cut(sent: list[bytes], data: st.DataObject) -> None:
    """A fault falls between commands only if their ends are known exactly."""
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = FrameSplitter()

    received = [
        frame
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for frame in splitter.feed(stream[start:end])
    ]

    assert received == sent


@pytest.mark.parametrize("stream", [b"$x\r\n", b"?1\r\n", b"*1\r\nPING\r\n", b"$?\r\n"])
def test_what_is_no_resp_is_refused(stream: bytes) -> None:
    """A proxy that guesses would shift every later reply by one."""
    with pytest.raises(RespError):
        FrameSplitter().feed(stream)


def test_inline_command_is_one_request() -> None:
    """People type them into a terminal, and health checks send them."""
    assert FrameSplitter().feed(b"PING\r\nGET a\r\n") == [b"PING\r\n", b"GET a\r\n"]
    assert parse_command(b"get a\r\n").name == "GET"


def test_script_is_known_by_its_digest_however_it_is_run() -> None:
    """After a restart of the server the same script comes as EVAL, and is still the same script."""
    text = b"return redis.call('PING') -- " + b"x" * 500
    digest = hashlib.sha1(text).hexdigest()

    by_text = parse_command(aggregate(b"*", [bulk(b"eval"), bulk(text), bulk(b"0")]))
    by_digest = parse_command(aggregate(b"*", [bulk(b"EVALSHA"), bulk(digest.upper().encode()), bulk(b"0")]))

    assert by_text.script == by_digest.script == digest
    assert by_text.name == "EVAL"
    assert len(by_text.arguments[0]) == MAX_KEPT_ARGUMENT_BYTES
