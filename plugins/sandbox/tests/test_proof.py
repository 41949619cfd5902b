"""What the demo exits by: each way in which a thing can be wrong is seen, and none can hide behind another."""

import pytest

from jobrunner_sandbox.proof import compare, merged

ASKED = {("x", "acme", "one"): "one", ("x", "acme", "two"): "two", ("mastodon", "acme", "one"): "other"}
ALL = list(ASKED)


def test_all_that_arrived_once_is_proved():
    """The usual end."""
    finding = compare(ASKED, ALL)
    assert finding.holds
    assert (finding.once, finding.expected) == (3, 3)


def test_what_is_missing_does_not_hide_behind_what_is_there_twice():
    """The numbers are right, and the things are not."""
    finding = compare(ASKED, [ALL[0], ALL[0], ALL[2]])
    assert not finding.holds
    assert (finding.missing, finding.twice, finding.once) == (["two"], ["one"], 1)


@pytest.mark.parametrize("at", range(3))
def test_thing_in_the_wrong_place_is_missing_in_its_own(at):
    """A post on another company's page is no success."""
    elsewhere = (*ALL[0][:at], "elsewhere", *ALL[0][at + 1 :])
    finding = compare(ASKED, [elsewhere, *ALL[1:]])
    assert not finding.holds
    assert (finding.missing, finding.strangers) == (["one"], 1)


@pytest.mark.parametrize("how", ["early", "wrong"])
def test_what_is_there_and_not_as_asked_is_seen(how):
    """People would have seen it too soon, or without its picture."""
    finding = compare(ASKED, ALL, **{how: {ALL[1]}})
    assert not finding.holds
    assert getattr(finding, how) == ["two"]


def test_unknown_is_told_and_not_missed():
    """With lost answers that is all that can be said of it; but it must not be there twice."""
    unknown = {ALL[0]}
    gone, there, twice = (compare(ASKED, [ALL[0]] * times + ALL[1:], unknown=unknown) for times in (0, 1, 2))
    assert (gone.holds, gone.unknown, gone.missing) == (True, ["one"], [])
    assert (there.holds, there.unknown, there.once) == (True, ["one"], 3)
    assert (twice.holds, twice.twice) == (False, ["one"])


def test_one_finding_of_several_has_the_faults_of_all():
    """The last line of the demo is made of it."""
    every = merged([compare(ASKED, ALL), compare(ASKED, ALL[:2]), compare({}, ["stranger"])])
    assert (every.expected, every.once, every.missing, every.strangers) == (6, 5, ["other"], 1)
    assert not every.holds
