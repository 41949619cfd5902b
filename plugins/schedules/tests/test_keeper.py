"""Keepers: each slot fires once, whoever of them fires it and whatever goes wrong meanwhile."""

import subprocess
import sys
import time

import msgspec
import pytest
from rig.faults import DropReply, DropRequest, Reset, named
from schedule_house import DAILY, OFTEN, House

from jobrunner_schedules import Schedules, firing, rows
from jobrunner_schedules import keeper as keeper_module
from jobrunner_schedules.sending import send

HOUR = 3_600_000
NOON = 1_800_000_000_000
JITTERED = rows.Row(queue="letters.send", record=msgspec.Raw(b"[]"), every="1h", jitter=3600)


def stamp(slot):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(slot / 1000))


def test_slot_fires_when_it_is_due(house):
    """And is told."""
    house.book.put("often", OFTEN)
    assert house.keeper.step() <= keeper_module.LOOK_S
    assert house.jobs() == []
    slot = house.back("often", HOUR)

    assert house.keeper.step() == 0.0

    assert house.jobs() == [f"often.{stamp(slot)}"]
    kept = house.book.get("often")
    assert (kept.last_at, kept.last_job, kept.error) == (slot, f"often.{stamp(slot)}", "")
    assert kept.next_at == slot + HOUR
    (fired,) = house.events("ScheduleFired")
    assert (fired.schedule, fired.queue, fired.created) == ("often", "letters.send", True)
    assert house.record(fired.job_id)[5] == {"schedule": "often", "schedule-slot": fired.slot}


@pytest.mark.parametrize(("missed", "next_slot"), [("last", 2), ("none", 3), ("all", None)])
def test_slots_that_are_passed_over_are_told(house, monkeypatch, missed, next_slot):
    """Whoever looks for a job that never came finds why."""
    monkeypatch.setattr(firing, "LATE_MS", -1)
    house.book.put("often", msgspec.structs.replace(OFTEN, every="48h", missed=missed))
    now = house.book.now_ms()
    first = OFTEN.plan.last(0, now) // (48 * HOUR) * (48 * HOUR) - 96 * HOUR
    found = house.found("often")
    house.write(found, found.row, rows.Standing(slot=first), first)

    house.keeper.step()

    told = [(one.slot, one.next_slot) for one in house.events("ScheduleMissed")]
    slots = [firing.stamp(first + k * 48 * HOUR) for k in range(4)]
    assert told == ([] if next_slot is None else [(slots[0], slots[next_slot])])


def test_slot_that_was_fired_before_it_was_noted_makes_no_second_job(house):
    """A keeper died in between; the next one fires it again, and finds the job there."""
    house.book.put("often", OFTEN)
    house.back("often", HOUR)
    before = house.found("often")
    house.keeper.step()
    after = house.found("often")
    house.write(after, before.row, before.standing, 1)

    house.keeper.step()

    assert len(house.jobs()) == 1
    assert [one.created for one in house.events("ScheduleFired")] == [True, False]
    assert house.standing("often") == rows.read(after)[1]


def test_changed_payload_between_two_keepers_makes_no_second_job(house):
    """The first that fires the slot decides."""
    house.book.put("often", OFTEN)
    slot = house.back("often", HOUR)
    house.keeper.step()
    house.book.put("often", msgspec.structs.replace(OFTEN, payload={"toWhom": "Bo"}))
    found = house.found("often")
    house.write(found, found.row, rows.Standing(slot=slot), slot)

    house.keeper.step()

    assert len(house.jobs()) == 1
    assert house.book.get("often").error == ""


def test_earlier_job_that_has_not_ended_skips_the_slot(house):
    """Where that is asked for; it is told, and a slot fires again once the job is gone."""
    house.book.put("often", msgspec.structs.replace(OFTEN, overlap="skip", missed="all"))
    slot = house.back("often", 3 * HOUR)
    first = f"often.{stamp(slot)}"

    house.keeper.step()

    assert house.jobs() == [first]
    assert {one.job_id for one in house.events("ScheduleSkipped")} == {first}
    assert len(house.events("ScheduleSkipped")) >= 2
    kept = house.book.get("often")
    assert (kept.last_job, kept.skipped) == (first, True)
    house.empty("letters.send")
    slot = house.back("often", HOUR)
    house.keeper.step()
    assert house.jobs() == [f"often.{stamp(slot)}"]
    assert not house.book.get("often").skipped


@pytest.mark.parametrize("overlap", ["skip", "allow"])
def test_queue_with_one_job_at_a_time_for_a_key_has_no_second_one_through_a_schedule(house, overlap):
    """Whoever declared the queue counts on it."""
    there = house.client.enqueue("letters.once", {"toWhom": "Ada"}).id
    house.book.put("once", msgspec.structs.replace(OFTEN, queue="letters.once", overlap=overlap))
    house.back("once", HOUR)

    house.keeper.step()

    assert house.jobs("letters.once") == [there]
    assert house.book.get("once").skipped
    assert house.book.fire("once") == (there, False)


def test_three_keepers_fire_each_slot_once(house):
    """None of them leads."""
    for k in range(40):
        house.book.put(f"s{k}", msgspec.structs.replace(OFTEN, missed="all"))
        house.back(f"s{k}", 25 * HOUR)
    wanted = sorted(
        f"s{k}.{stamp(slot)}"
        for k in range(40)
        for slot in range(house.standing(f"s{k}").slot, house.book.now_ms() + 1, HOUR)
    )
    with house.kept(3):
        until(lambda: all(one.next_at > house.book.now_ms() for one in house.book.all()))
    assert house.jobs() == wanted
    created = [one.job_id for one in house.events("ScheduleFired") if one.created]
    assert sorted(created) == wanted


def test_one_that_cannot_be_fired_holds_up_no_other(house):
    """It is told once a try, the tries get rarer, and it fires when it can."""
    house.book.put("bad", msgspec.structs.replace(OFTEN, queue="letters.few"))
    house.book.put("good", OFTEN)
    house.client.enqueue("letters.few", {"toWhom": "Bo"})
    for name in ("bad", "good"):
        house.back(name, HOUR)

    house.keeper.step()
    house.keeper.step()

    assert len(house.jobs()) == 1
    (failed,) = house.events("ScheduleFailed")
    assert (failed.schedule, failed.failures, failed.error_type) == ("bad", 1, "QueueFullError")
    assert "full" in house.book.get("bad").error
    house.empty("letters.few")
    found = house.found("bad")
    house.write(found, found.row, found.standing, 1)
    house.keeper.step()
    assert len(house.jobs("letters.few")) == 1
    assert house.book.get("bad").error == ""


def test_many_that_are_due_at_once_are_enqueued_together(tmp_path, start_server):
    """At midnight, say: one by one they would be late by two round trips each."""
    house = House(tmp_path, start_server("valkey"))
    for k in range(90):
        house.book.put(f"s{k}", OFTEN)
        house.back(f"s{k}", HOUR)
    with house.redis() as redis:
        redis.config_resetstat()

        house.keeper.step()

        assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] <= 2
    assert len(house.jobs()) == 90
    assert house.keeper.step() > 0.0
    house.close()


def test_one_of_many_whose_job_is_refused_holds_up_no_other(house):
    """A batch is taken in whole or not at all."""
    house.book.put("first", OFTEN)
    slot = house.back("first", HOUR)
    house.client.enqueue("letters.send", {"toWhom": "Bo"}, job_id=f"first.{stamp(slot)}")
    for k in range(3):
        house.book.put(f"s{k}", OFTEN)
        house.book.put(f"few{k}", msgspec.structs.replace(OFTEN, queue="letters.few"))
        for name in (f"s{k}", f"few{k}"):
            house.back(name, HOUR)

    house.keeper.step()

    assert len(house.jobs()) == 4
    assert len(house.jobs("letters.few")) == 1
    assert sorted(bool(one.error) for one in house.book.all()) == [False] * 5 + [True] * 2
    created = {one.schedule: one.created for one in house.events("ScheduleFired")}
    assert (created["first"], created["s0"], len(created)) == (False, True, 5)


def test_more_broken_ones_than_a_look_brings_hold_up_nobody(house, monkeypatch):
    """Those that are broken are looked at later."""
    monkeypatch.setattr(keeper_module, "AT_ONCE", 5)
    house.book.put("good", OFTEN)
    slot = house.back("good", HOUR)
    with house.redis() as redis:
        for k in range(12):
            redis.hset("jr:{!schedules}:rows", f"bad{k}", "[")
            redis.zadd("jr:{!schedules}:due", {f"bad{k}": 1})
        redis.zadd("jr:{!schedules}:due", {"nobody": 0, b"\xff": 0})
    for _ in range(4):
        house.keeper.step()
    assert house.jobs() == [f"good.{stamp(slot)}"]
    assert len(house.events("ScheduleFailed")) == 12
    with house.redis() as redis:
        assert redis.zscore("jr:{!schedules}:due", "nobody") is None


RECORDS = ["[]", "5", "null", '[5,"",0,{"toWhom":"Bo"},{"h":5}]', "[" * 900 + "]" * 900]


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_row_whose_payload_cannot_be_read_holds_up_no_other(house, record):
    """It is one schedule's trouble, though it is the store's word for trouble."""
    house.book.put("good", OFTEN)
    house.back("good", HOUR)
    with house.redis() as redis:
        redis.hset(
            "jr:{!schedules}:rows", "bad", f'{{"queue":"letters.send","record":{record},"every":"1h"}}'
        )
        redis.hset("jr:{!schedules}:standing", "bad", '{"slot":1000}')
        redis.zadd("jr:{!schedules}:due", {"bad": 1})

    house.keeper.step()

    assert [one.schedule for one in house.events("ScheduleFired")] == ["good"]
    assert [one.schedule for one in house.events("ScheduleFailed")] == ["bad"]
    assert house.standing("bad").slot >= 1000


def test_queue_whose_keys_are_broken_holds_up_no_other(house):
    """Its schedules wait, and say why."""
    house.book.put("bad", msgspec.structs.replace(OFTEN, queue="letters.few"))
    house.back("bad", 2 * HOUR)
    house.book.put("good", OFTEN)
    house.back("good", HOUR)
    with house.redis() as redis:
        redis.set("jr:{letters.few}:jobs", "no hash")

    house.keeper.step()

    assert [one.schedule for one in house.events("ScheduleFired")] == ["good"]
    assert house.book.get("bad").error


def test_score_that_is_no_time_stops_nobody(house):
    """Somebody wrote it by hand."""
    house.book.put("good", OFTEN)
    house.back("good", HOUR)
    with house.redis() as redis:
        redis.zadd("jr:{!schedules}:due", {"never": "inf"})

    house.keeper.step()

    assert len(house.jobs()) == 1


@pytest.mark.parametrize("standing", [b"[", b"{}", b'{"slot":-1}', b"\xff"])
def test_schedule_whose_standing_is_lost_goes_on_with_its_next_slot(house, standing):
    """It would stand still for good, and nobody would be told."""
    house.book.put("often", OFTEN)
    house.back("often", HOUR)
    with house.redis() as redis:
        redis.hset("jr:{!schedules}:standing", "often", standing)

    house.keeper.step()

    assert house.jobs() == []
    assert 0 < house.book.get("often").next_at - house.book.now_ms() <= HOUR


def test_slots_before_one_that_cannot_be_fired_are_not_fired_again(house):
    """A queue that takes a few at a time is asked for each of them once."""
    house.book.put("few", msgspec.structs.replace(OFTEN, queue="letters.few", missed="all"))
    slot = house.back("few", 3 * HOUR)

    house.keeper.step()

    assert house.jobs("letters.few") == [f"few.{stamp(slot)}"]
    assert house.standing("few").slot == slot + HOUR
    assert "full" in house.book.get("few").error


def test_removed_while_it_fires_does_not_come_back(house):
    """What is written is written only if nothing has changed."""
    house.book.put("often", OFTEN)
    house.back("often", HOUR)
    send = house.client.send_batch

    def remove_meanwhile(drafts, **more):
        house.book.remove("often")
        return send(drafts, **more)

    house.client.send_batch = remove_meanwhile
    house.keeper.step()
    assert house.book.names() == []
    assert len(house.jobs()) == 1


def test_frozen_keeper_reads_again_what_it_had_read(house, monkeypatch):
    """Whoever was frozen in the middle of its list does not go on with it."""
    for k in range(5):
        house.book.put(f"s{k}", OFTEN)
        house.back(f"s{k}", HOUR)
    monkeypatch.setattr(keeper_module, "STALE_S", -1.0)
    house.keeper.step()
    assert house.jobs() == []
    monkeypatch.undo()
    house.keeper.step()
    assert len(house.jobs()) == 5


@pytest.mark.parametrize("fault", [DropReply(), DropRequest(), Reset()])
def test_lost_answers_fire_nothing_twice(tmp_path, start_server, start_proxy, fault):
    """Every seventh script's answer is lost: the keepers go on, each slot has one job, and none is left out."""
    house = House(tmp_path, start_server("valkey"))
    proxy = start_proxy(house.server.url)
    far = House(tmp_path, house.server, REDIS_URL=proxy.url)
    slots = {}
    for k in range(20):
        house.book.put(f"s{k}", msgspec.structs.replace(OFTEN, missed="all"))
        slots[f"s{k}"] = house.back(f"s{k}", 6 * HOUR)
    proxy.every(7, fault, only=named("EVAL", "EVALSHA"))
    with far.kept(2):
        until(lambda: all(one.next_at > house.book.now_ms() for one in house.book.all()), seconds=60)
    wanted = [
        f"{name}.{stamp(slot)}"
        for name, first in slots.items()
        for slot in range(first, house.standing(name).slot, HOUR)
    ]
    assert house.jobs() == sorted(wanted)
    far.close()
    house.close()


RAIN = """
import random, signal
from jobrunner_schedules.keeper import Keeper

class Client:
    class store:
        prefix = "jr"

for _ in range(1000):
    keeper = Keeper(Client, print)
    keeper.step = lambda: 0.0
    signal.signal(signal.SIGALRM, lambda *_: keeper.stop())
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 3e-4))
    keeper.run()
"""


def test_signal_ends_a_keeper_wherever_it_comes():
    """Also within what it waits by: a lock that the handler waits for too is never freed."""
    subprocess.run([sys.executable, "-c", RAIN], check=True, timeout=20)


def test_store_that_goes_away_is_told_once(tmp_path, start_server):
    """And the keeper goes on when it is back."""
    server = start_server("valkey")
    house = House(tmp_path, server)
    with house.kept():
        server.kill()
        until(lambda: house.events("KeeperLost"), seconds=30)
        time.sleep(0.5)
        server.restart()
        until(lambda: house.events("KeeperBack"), seconds=30)
    assert len(house.events("KeeperLost")) == 1
    house.close()


def test_store_that_goes_away_is_waited_for_once(tmp_path, start_server):
    """And not for each queue in turn, while nobody is told."""
    server = start_server("valkey")
    house = House(tmp_path, server, retry_for=0.2)
    drafts = []
    for queue in ("letters.send", "letters.once"):
        row = house.book.row_of("any", msgspec.structs.replace(OFTEN, queue=queue))
        drafts += [house.book.draft_of(f"{queue}{k}", row, NOON) for k in range(2)]
    server.kill()

    sent = send(house.client, drafts)

    assert list(sent) == [draft.id for draft in drafts[:2]]
    assert {type(error).__name__ for error in sent.values()} == {"StoreUnavailableError"}
    house.close()


def test_somebody_who_looks_is_known(house):
    """So that people are told where nobody does."""
    assert house.book.kept_at() is None
    house.keeper.step()
    assert abs(house.book.kept_at() - house.book.now_ms()) < 5000
    with house.redis() as redis:
        redis.set("jr:{!schedules}:kept", house.book.now_ms() - 61_000)
    assert house.book.kept_at() is None


def test_clock_that_is_set_back_stops_no_schedule(house):
    """It would stand still for as long as the clock was ahead, with nothing to tell of it."""
    ahead = house.book.now_ms() + 24 * HOUR
    for name in ("often", "paused", "failing"):
        house.book.put(name, OFTEN)
        found = house.found(name)
        row, slot = rows.read(found)[0], OFTEN.plan.after(ahead)
        is_failing = name == "failing"
        standing = rows.Standing(
            slot=slot - 30 * HOUR if is_failing else slot, paused=name == "paused", failures=int(is_failing)
        )
        house.write(found, row, standing, None if name == "paused" else ahead + 1000)
    with house.redis() as redis:
        redis.set("jr:{!schedules}:kept", ahead)
        redis.hset("jr:{!schedules}:rows", "broken", "[")

    for _ in range(3):
        house.keeper.step()

    now = house.book.now_ms()
    assert [one.schedule for one in house.events("ScheduleFired")] == ["failing"]
    assert now < house.standing("often").slot <= now + HOUR
    assert house.book.get("paused").paused
    assert abs(house.book.kept_at() - now) < 5000


def test_clock_of_another_node_that_is_ahead_is_not_taken_for_the_schedules_own(house, monkeypatch):
    """Each look would see a clock that was set back, and nothing would fire any more."""
    house.book.put("often", OFTEN)
    house.back("often", HOUR)
    with house.redis() as redis:
        redis.set("jr:{!schedules}:kept", house.book.now_ms() + 24 * HOUR)
    ahead = house.book.now_ms() + HOUR
    monkeypatch.setattr(Schedules, "now_ms", lambda _: ahead)

    for _ in range(2):
        house.keeper.step()

    assert len(house.jobs()) == 1


def test_slots_that_come_twice_since_the_clock_was_set_back_fire_once(house):
    """Their jobs are there."""
    house.book.put("often", OFTEN)
    slot = house.back("often", HOUR)
    house.keeper.step()
    with house.redis() as redis:
        redis.set("jr:{!schedules}:kept", house.book.now_ms() + 24 * HOUR)
    house.keeper.step()
    house.back("often", HOUR)

    house.keeper.step()

    assert house.jobs() == [f"often.{stamp(slot)}"]
    assert [one.created for one in house.events("ScheduleFired")] == [True, False]


def test_jitter_delays_the_job_and_not_the_schedule(house):
    """The job is there from its slot on, and starts later."""
    name = next(f"s{k}" for k in range(100) if firing.jitter_ms(f"s{k}", JITTERED, NOON) > 3_500_000)
    found = firing.options(name, JITTERED, NOON)
    assert found.at.timestamp() * 1000 > NOON + 3_500_000
    house.book.put("often", msgspec.structs.replace(OFTEN, jitter=3600))
    slot = house.back("often", HOUR)
    house.keeper.step()
    job_id = f"often.{stamp(slot)}"
    due = slot + firing.jitter_ms("often", rows.read(house.found("often"))[0], slot)
    with house.redis() as redis:
        later = redis.zscore("jr:{letters.send}:later", job_id)
    assert later == (due if due > house.book.now_ms() else None) or abs(due - house.book.now_ms()) < 1000


def test_daily_schedule_fires_too(house):
    """By its zone's clock."""
    house.book.put("daily", DAILY)
    slot = house.back("daily", 24 * HOUR)
    house.keeper.step()
    assert house.jobs() == [f"daily.{stamp(slot)}"]


def until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
