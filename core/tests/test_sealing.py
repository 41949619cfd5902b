"""Payloads at rest: what a key opens, what it does not, and what a wrong key says."""

import base64
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner.errors import MissingKeyError, PayloadError, SettingsError
from jobrunner.record import decode_record, encode_record
from jobrunner.sealing import Keyring, binding, is_sealed
from jobrunner.settings import core_settings


def key(name, byte):
    return f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}"


OLD, NEW = key("2026a", 1), key("2026b", 2)


def record_of(keyring, payload=b'{"token":"open sesame"}', *, queue="q", job_id="j1", tenant="t1", version=1):
    sealed = keyring.seal(payload, bound_to=binding(queue, job_id, tenant, version))
    return decode_record(b"[5," + encode_record(7, tenant, version, sealed, {"a": "b"}))


@given(st.dictionaries(st.text(), st.text()))
def test_sealed_payload_opens_as_it_was(payload):
    """Whatever it holds; and nothing of it is to be seen before."""
    raw = msgspec.json.encode(payload)
    record = record_of(Keyring([NEW]), raw)

    opened = Keyring([NEW]).opened(record, "q", "j1")

    assert is_sealed(record)
    assert bytes(opened.payload) == raw
    assert (opened.tenant, opened.headers, opened.at_ms) == (record.tenant, record.headers, record.at_ms)


def test_same_payload_is_never_sealed_alike():
    """Else who reads the store sees which jobs have the same credentials."""
    keyring = Keyring([NEW])
    assert record_of(keyring).payload != record_of(keyring).payload


def test_record_in_clear_is_left_as_it_is():
    """Jobs that were enqueued before keys were set are run all the same."""
    record = decode_record(b"[5," + encode_record(7, "t1", 1, b'{"a":1}'))
    assert Keyring([NEW]).opened(record, "q", "j1") is record
    assert Keyring().opens(record)


def test_old_key_still_opens_and_the_first_seals():
    """A rotation loses no job: the new key comes in front of the old one."""
    before = record_of(Keyring([OLD]))
    rotated = Keyring([NEW, OLD])

    assert bytes(rotated.opened(before, "q", "j1").payload) == b'{"token":"open sesame"}'
    with pytest.raises(MissingKeyError, match="'2026b'"):
        Keyring([OLD]).opened(record_of(rotated), "q", "j1")


def test_new_key_in_front_changes_no_mark():
    """A producer that enqueues again after a rotation means the same job."""
    assert Keyring([OLD]).mark("t1", b"{}") == Keyring([NEW, OLD]).mark("t1", b"{}")
    assert Keyring([OLD]).mark("t1", b"{}") != Keyring([NEW]).mark("t1", b"{}")
    assert Keyring([OLD]).mark("t1", b"{}") != Keyring([OLD]).mark("t2", b"{}")


@pytest.mark.parametrize("elsewhere", [{"queue": "r"}, {"job_id": "j2"}, {"tenant": "t2"}, {"version": 2}])
def test_payload_that_was_moved_does_not_open(elsewhere):
    """Who can write to the store cannot make one tenant's job post with another one's credentials."""
    keyring = Keyring([NEW])
    where = {"queue": "q", "job_id": "j1", "tenant": "t1", "version": 1} | elsewhere
    moved = msgspec.structs.replace(record_of(keyring), tenant=where["tenant"], version=where["version"])

    with pytest.raises(PayloadError, match="cannot be opened"):
        keyring.opened(moved, where["queue"], where["job_id"])


@pytest.mark.parametrize(
    "text",
    [
        b'"sealed:1:2026b:AAAA"',
        b'"sealed:1:2026b:"',
        b'"sealed:1:2026b:' + b"A" * 80 + b'"',
        b'"sealed:1:2026b:' + "ö".encode() * 9 + b'"',
        b'"sealed:1:"',
    ],
)
def test_hostile_text_in_place_of_a_payload_is_refused(text):
    """It is no payload, and must not become one or break the worker."""
    record = decode_record(b"[5," + encode_record(7, "t1", 1, text))
    with pytest.raises((PayloadError, MissingKeyError)):
        Keyring([NEW]).opened(record, "q", "j1")


def test_payload_that_was_changed_does_not_open():
    """A bit is enough."""
    keyring = Keyring([NEW])
    record = record_of(keyring)
    raw = bytearray(bytes(record.payload))
    raw[-3] = ord("A") if raw[-3] != ord("A") else ord("B")
    with pytest.raises(PayloadError, match="cannot be opened"):
        keyring.opened(msgspec.structs.replace(record, payload=msgspec.Raw(bytes(raw))), "q", "j1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("c2VjcmV0", "key 1 is not `id:base64`"),
        ("a:c2VjcmV0", "key 'a' is not 32 bytes in base64"),
        ("a:c2VjcmV", "key 'a' is not 32 bytes in base64"),
        (f"{OLD},{OLD}", "the id '2026a' is there twice"),
        (f"{OLD},{key('other', 1)}", "key 'other' is the same as another one"),
        ("a b:c2VjcmV0", "key 1 is not `id:base64`"),
    ],
)
def test_wrong_key_is_one_line_without_the_key(text, problem):
    """It is read at start, by people who paste it into a ticket."""
    settings = core_settings({"JOBRUNNER_ENCRYPTION_KEYS": text})
    with pytest.raises(SettingsError, match=r"^JOBRUNNER_ENCRYPTION_KEYS: ") as raised:
        Keyring(settings.encryption_keys)
    assert problem in str(raised.value)
    assert "c2VjcmV" not in str(raised.value)


def test_keys_show_nowhere():
    """Neither of the settings nor of the ring."""
    settings = core_settings({"JOBRUNNER_ENCRYPTION_KEYS": f"{NEW},{OLD}"})
    shown = repr(settings) + repr(Keyring(settings.encryption_keys))
    assert NEW.partition(":")[2] not in shown
    assert "2026b" in shown


def test_missing_library_is_named():
    """The core alone does not bring it."""
    code = f"""
import sys
sys.modules["cryptography"] = None
from jobrunner.errors import SettingsError
from jobrunner.sealing import Keyring
try:
    Keyring(["{NEW}"])
except SettingsError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout
        == "JOBRUNNER_ENCRYPTION_KEYS: sealing needs a library: pip install 'jobrunner-core[crypto]'\n"
    )
