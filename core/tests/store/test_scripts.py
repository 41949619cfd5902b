"""The scripts as texts: what their headers say, and what they may not do."""

import re

import pytest

from jobrunner.errors import InvalidNameError
from jobrunner.store.keys import LISTS, PARTS, FleetKeys, QueueKeys
from jobrunner.store.scripts import SCRIPT_KEYS, script, source


@pytest.mark.parametrize("name", SCRIPT_KEYS)
def test_header_says_purpose_keys_arguments_and_answer(name):
    """A script's contract stands above it, and names the keys in the order in which they are sent."""
    header = re.match(r"(--[^\n]*\n)+", source(name)).group()
    assert header.startswith(f"-- {name}: ")
    for word in ("KEYS ", "ARGV ", "Returns "):
        assert word in header, word
    listed = re.search(r"KEYS (.*?)-- ARGV", header, re.DOTALL).group(1).replace("--", " ")
    words = [word.strip(":,();") for word in listed.split()]
    wanted = list(SCRIPT_KEYS[name])
    assert [word for word in words if word in wanted][: len(wanted)] == wanted


@pytest.mark.parametrize("name", SCRIPT_KEYS)
def test_no_script_sets_a_global_or_walks_a_whole_key(name):
    """A global breaks every later script of a server; an unbounded walk stops it for everybody."""
    text = script(name).text
    assert "#!lua" not in text
    for command in ("KEYS", "SMEMBERS", "HGETALL", "HKEYS", "LRANGE", "FLUSH"):
        assert f"'{command}'" not in text, command
    for line in text.splitlines():
        assert not re.match(r"^[A-Za-z_]\w*\s*=", line), f"a global: {line}"


def test_every_part_that_a_state_needs_is_a_key():
    """States and structures are named in one place."""
    assert set(LISTS.values()) <= set(PARTS)
    assert all(key in {*PARTS, "from", "list", "memory"} for keys in SCRIPT_KEYS.values() for key in keys)


@pytest.mark.parametrize(
    "name", ["", "a b", "a{b}", "a:b", "*", "é", "a\n", "x" * 65, "../x", "a\x00b", "\ud800"]
)
def test_name_that_could_change_a_key_is_refused(name):
    """Checked where keys are built, whatever was checked before."""
    with pytest.raises(InvalidNameError):
        QueueKeys("jr", name)


def test_all_keys_of_a_queue_share_one_slot():
    """A cluster refuses a script whose keys lie apart."""
    keys = QueueKeys("jr", "a.b-c_d")
    assert {keys[part].split("}")[0] for part in PARTS} == {"jr:{a.b-c_d"}
    assert keys.memory("w").startswith("jr:{a.b-c_d}:")


@pytest.mark.parametrize("prefix", ["", "a b", "a{b", "a}b", "a:b", "*", "\u00e9", "a\n", "x" * 33])
def test_prefix_that_could_change_a_key_is_refused(prefix):
    """A brace in it would put a queue's keys in another slot, and two installations in one another's way."""
    for build in (lambda: QueueKeys(prefix, "q"), lambda: FleetKeys(prefix)):
        with pytest.raises(InvalidNameError):
            build()


@pytest.mark.parametrize("consumer", ["", "a b", "a\nb", "a:b", "{x}", "x" * 129])
def test_consumer_whose_name_could_change_a_lease_is_refused(consumer):
    """A lease names its worker between spaces, and a line break in it means that the job is to stop."""
    with pytest.raises(InvalidNameError):
        QueueKeys("jr", "q").memory(consumer)


def test_script_names_the_parts_that_it_uses_before_it_does():
    """A part that is put in and not used costs each call for nothing; one that is missing, or comes later, is a global."""
    made = {
        "time": "stamp now int call match sub format",
        "grace": "grace_until",
        "tally": "tally write_tally",
    }
    made |= {"order": "head_of tenant_of line_up", "news": "tell", "journal": "add_lines", "forget": "forget"}
    made |= {
        "held": "first_held hold give_turn",
        "unhold": "unhold",
        "admit": "admit",
        "limits": "blocked bucket",
    }
    needs = {"held": {"order"}, "admit": {"order", "tally", "held"}, "limits": {"tally"}}
    for name in SCRIPT_KEYS:
        own = source(name)
        first, *more = re.split(r"^-- uses: (.+)$", own, flags=re.MULTILINE)
        uses = " ".join(more[::2]).split()
        body = "\n".join(line for line in own.splitlines() if not line.lstrip().startswith("--"))
        early = "\n".join(line for line in [*first.splitlines()] if not line.lstrip().startswith("--"))
        for parts, code in zip(more[::2], more[1::2], strict=True):
            here = re.sub(r"^--.*$", "", code, flags=re.MULTILINE)
            later = set(uses) - set(f"{early} {parts}".split())
            early = f"{early} {parts}"
            for part in later & set(made):
                used = [word for word in made[part].split() if re.search(rf"(?<![.'\w]){word}\(", here)]
                assert not used, f"{name} uses {used} before {part} is put in"
        needed = set().union(*(needs.get(part, set()) for part in uses))
        for part, names in made.items():
            is_used = any(re.search(rf"\b{word}\(|\b{word}\b", body) for word in names.split())
            assert (is_used or part in needed) == (part in uses), f"{name} and {part}"
