"""What the store holds of a job: written once, read by any later release, and never trusted."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from jobrunner.errors import StoreCorruptError
from jobrunner.record import (
    AttemptError,
    Counts,
    Crash,
    Note,
    Result,
    decode_counts,
    decode_journal,
    decode_record,
    encode_record,
    snoozed_ms,
)

DEEP = b"[" * 20_000 + b"]" * 20_000


def stamped(tail):
    """A record as the enqueue script completes it."""
    return b"[1700000000000," + tail


@given(
    priority=some.integers(0, 100),
    version=some.integers(1, 10_000),
    payload=some.dictionaries(some.text(), some.none() | some.integers(-(2**63), 2**64 - 1) | some.text()),
    headers=some.none() | some.dictionaries(some.text(), some.text()),
    fingerprint=some.sampled_from(["", "0123456789abcdef"]),
)
def test_record_is_read_as_it_was_written(priority, version, payload, headers, fingerprint):
    """It is put together by hand, since it is written at the highest rates."""
    raw = msgspec.json.encode(payload)
    made = decode_record(stamped(encode_record(priority, "t1", version, raw, headers, fingerprint)))
    assert (made.at_ms, made.priority, made.tenant, made.version) == (
        1_700_000_000_000,
        priority,
        "t1",
        version,
    )
    assert (bytes(made.payload), made.headers or {}, made.fingerprint) == (raw, headers or {}, fingerprint)


def test_what_is_empty_at_the_end_of_a_record_is_not_stored():
    """A million jobs wait in memory."""
    assert encode_record(0, "", 1, b"{}") == b'0,"",1,{}]'
    assert encode_record(0, "", 1, b"{}", {}) == b'0,"",1,{}]'
    assert encode_record(0, "", 1, b"{}", None, "ab") == b'0,"",1,{},null,"ab"]'


def test_record_of_a_later_release_is_read():
    """It may have more at its end, and during a deploy both run."""
    assert decode_record(b'[5,1,"t",2,{},null,"",{"new":[1]},7]').version == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"{}",
        b'[1,0,"t",1]',
        b'[1,0,"t",1,{}',
        b'["1",0,"t",1,{}]',
        b"[1,0,null,1,{}]",
        b'[1,0,"\xff",1,{}]',
        b'[1,0,"t",1,{},{"a":5}]',
        b'[1e400,0,"t",1,{}]',
        b'[1,0,"t",1,' + DEEP + b"]",
        DEEP,
    ],
)
def test_record_that_cannot_be_read_is_one_kind_of_error(raw):
    """Whoever reads it has to think of one thing only; any other error would end a worker's loop."""
    with pytest.raises(StoreCorruptError, match="was not written by jobrunner"):
        decode_record(raw)


@given(some.binary() | some.binary().map(lambda raw: b'[1,0,"t",1,' + raw + b"]"))
def test_any_bytes_are_a_record_or_refused(raw):
    """The store's bytes are data."""
    with contextlib.suppress(StoreCorruptError):
        assert decode_record(raw).payload is not None


def test_counts_tell_errors_from_crashes_and_from_what_charged_nothing():
    """The handler's errors alone use its attempts up."""
    assert decode_counts(b"9 3 2").errors == 4
    assert decode_counts("9 3 2") == Counts(runs=9, unspent=3, crashes=2)
    assert decode_counts(None) == decode_counts(b"") == Counts()


@pytest.mark.parametrize("raw", [b"1 2", b"1 2 3 4", b"a b c", b"\xff", b"1.5 0 0", b"9" * 5000 + b" 0 0"])
def test_counts_that_cannot_be_read_are_refused(raw):
    """Rather than start a job anew that has had its attempts."""
    with pytest.raises(StoreCorruptError, match="attempt count"):
        decode_counts(raw)


def line(at_ms, entry):
    return b"%d %s\n" % (at_ms, msgspec.json.encode(entry))


def test_journal_is_read_line_by_line_oldest_first():
    """Whatever stands in the texts; a line break is written as an escape."""
    entries = [
        AttemptError(attempt=1, error_type="E", message="a\nb\u2028c\x85d\r\0", delay_ms=0),
        Crash(worker="w", buried=True),
        Note(what="cancelled", reason="enough"),
        Result(value=msgspec.Raw(b'{"a":[1]}')),
    ]
    read = decode_journal(b"".join(line(number, entry) for number, entry in enumerate(entries)))
    assert [dated.at_ms for dated in read] == [0, 1, 2, 3]
    assert [dated.entry for dated in read[:3]] == entries[:3]
    assert bytes(read[3].entry.value) == b'{"a":[1]}'
    assert decode_journal(None) == []


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"nonsense",
        b'x {"kind":"crash"}',
        b'5 {"kind":"news"}',
        b"5 \xff",
        b'5 {"kind":"note","what":"\xff"}',
        b'5 {"kind":"result","value":' + DEEP + b"}",
    ],
)
def test_line_that_cannot_be_read_leaves_the_others(bad):
    """A later release may write kinds that this one does not know."""
    journal = line(1, Crash()) + bad + b"\n" + line(2, Note(what="released"))
    assert [dated.at_ms for dated in decode_journal(journal)] == [1, 2]


def test_snoozes_are_summed_up_in_the_last_one():
    """The journal drops lines in its middle, and the budget must hold all the same."""
    notes = [Note(what="snoozed", delay_ms=10, total_ms=total) for total in (10, 20)]
    journal = b"".join(line(1, note) for note in [*notes, Note(what="released")])
    assert snoozed_ms(decode_journal(journal)) == 20
    assert snoozed_ms([]) == 0
