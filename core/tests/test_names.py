"""Names and ids: what is allowed, and what new ones look like."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner.errors import InvalidNameError
from jobrunner.names import (
    JobIds,
    check_job_id,
    check_plugin,
    check_prefix,
    check_queue,
    check_tenant,
    is_own_id,
    new_job_id,
    new_nonce,
)

HOSTILE = [
    "",
    " ",
    "a b",
    "a\n",
    "\x00",
    "a\x00b",
    "{a}",
    "a:b",
    "*",
    "../x",
    "é",
    "\u202e",
    "\ud800",
    "-a",
    ".a",
    "a" * 200,
    "a/b",
    "a'b",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("check", [check_queue, check_job_id, check_plugin])
def test_hostile_name_is_refused_in_one_line(check, name):
    """A name becomes part of keys and of log lines."""
    with pytest.raises(InvalidNameError) as caught:
        check(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text())
def test_any_text_is_either_allowed_or_refused(name):
    """Nothing else may be raised, whatever comes in."""
    for check in (check_queue, check_job_id, check_tenant, check_prefix):
        try:
            assert check(name) == name
        except InvalidNameError:
            continue


def test_tenants_may_look_like_mail_addresses_and_none_is_none():
    """Tenants are often named by what customers already have."""
    for name in ("acme", "ops@acme.example", "eu|acme", "a+b", "urn:x:1"):
        assert check_tenant(name) == name
    assert check_tenant("") == ""


def test_new_ids_are_version_7_and_sort_by_time():
    """Lists by id are lists by age."""
    first = new_job_id()
    time.sleep(0.002)
    second = new_job_id()

    assert first < second
    assert is_own_id(first)
    value = bits_of(first)
    assert (value >> 76 & 15, value >> 62 & 3) == (7, 2), "the version and the variant of RFC 9562"
    assert abs((value >> 80) - time.time() * 1000) < 10_000


def test_all_bits_of_an_id_but_the_version_and_the_variant_are_chance():
    """74 bits: what is always the same, or always the same as another bit, makes ids meet."""
    ids = JobIds()
    values = [bits_of(ids.new()) for _ in range(4000)]
    assert {(value >> 76 & 15, value >> 62 & 3) for value in values} == {(7, 2)}
    chance = [at for at in range(76) if at not in (62, 63)]
    columns = {at: [value >> at & 1 for value in values] for at in chance}
    assert len(columns) == 74
    for at, column in columns.items():
        assert 1700 < sum(column) < 2300, f"bit {at} leans"  # nine standard deviations
    for one, other in itertools.combinations(chance, 2):
        alike = sum(a == b for a, b in zip(columns[one], columns[other], strict=True))
        assert 1700 < alike < 2300, f"bits {one} and {other} go together"


def bits_of(job_id):
    """An id as the number that it writes."""
    value = 0
    for char in job_id:
        value = value * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(char)
    return value


def test_new_names_do_not_repeat():
    """128 random bits each."""
    ids = JobIds()
    many = [ids.new() for _ in range(5000)]
    assert len({new_job_id() for _ in range(5000)}) == len({new_nonce() for _ in range(5000)}) == 5000
    assert len(set(many)) == 5000
    assert all(is_own_id(one) for one in many)
    assert [one[:10] for one in many] == sorted(one[:10] for one in many), (
        "those of a later moment come after"
    )
    assert all(len(new_nonce()) == 22 for _ in range(10))
