"""Schedules in the store: made, changed while others change them, paused, removed; and their payloads at rest."""

import base64
import threading

import msgspec
import pytest
from schedule_house import DAILY, OFTEN, House

from jobrunner.errors import PayloadError, UnknownQueueError
from jobrunner_schedules import ScheduleError, UnknownScheduleError, rows
from jobrunner_schedules import book as book_module

KEY = "k1:" + base64.b64encode(b"k" * 32).decode()


def test_schedule_is_made_changed_and_removed(house):
    """And its jobs stay."""
    daily = msgspec.structs.replace(DAILY, timezone="UTC")
    assert house.book.put("daily", daily)
    made = house.book.get("daily")
    assert (made.queue, made.payload, made.cron) == (
        "letters.send",
        {"toWhom": "Ada", "tenantId": "", "token": "***"},
        "0 2 * * *",
    )
    assert made.next_at // 3_600_000 % 24 == 2
    assert not house.book.put("daily", msgspec.structs.replace(daily, cron="0 3 * * *"))
    assert house.book.get("daily").next_at // 3_600_000 % 24 == 3, "whatever the hour is now"
    assert [one.name for one in house.book.all()] == house.book.names() == ["daily"]

    house.book.remove("daily")

    assert house.book.names() == []
    for call in (house.book.get, house.book.remove, house.book.pause, house.book.resume, house.book.fire):
        with pytest.raises(UnknownScheduleError, match="there is no schedule 'daily'"):
            call("daily")
    with house.redis() as redis:
        assert list(redis.scan_iter("jr:{!schedules}:*")) == []


def test_putting_the_same_again_loses_no_slot(house):
    """A deploy applies its file while a slot is due."""
    house.book.put("often", OFTEN)
    slot = house.back("often", 3 * 3_600_000)
    house.book.put("often", msgspec.structs.replace(OFTEN, payload={"toWhom": "Bo"}, missed="all"))
    assert house.standing("often").slot == slot
    house.book.put("often", msgspec.structs.replace(OFTEN, every="2h"))
    assert house.standing("often").slot > house.book.now_ms()


def test_paused_stays_paused_and_makes_up_for_nothing(house):
    """What fell into the pause is not wanted any more."""
    house.book.put("often", OFTEN)
    house.book.pause("often")
    house.book.put("often", OFTEN)
    assert house.book.get("often").paused
    assert house.book.get("often").next_at is None
    house.write(house.found("often"), house.found("often").row, rows.Standing(slot=1, paused=True), None)
    house.keeper.step()
    assert house.jobs() == []

    house.book.resume("often")
    house.book.resume("often")

    house.keeper.step()
    assert house.jobs() == []
    assert house.book.get("often").next_at > house.book.now_ms()


@pytest.mark.parametrize(
    ("changes", "error", "problem"),
    [
        ({"queue": "letters.sent"}, UnknownQueueError, "letters.sent"),
        ({"queue": "a b"}, Exception, "queue name"),
        ({"payload": {"toWhom": 5}}, PayloadError, "toWhom"),
        ({"payload": {"toWhom": "x" * 300_000}}, PayloadError, "bytes"),
        ({"tenant": "a b"}, Exception, "tenant"),
        ({"priority": 101}, ScheduleError, "priority"),
        ({"queue": 5}, ScheduleError, "queue: expected `str`"),
        ({"cron": None}, ScheduleError, "cron: expected `str`"),
        ({"every": 15}, ScheduleError, "every: expected `str`"),
        ({"every": "5x"}, ScheduleError, "'5x' is no interval"),
        ({"jitter": 3601}, ScheduleError, "jitter"),
        ({"jitter": -1}, ScheduleError, "jitter"),
        ({"missed": "some"}, ScheduleError, "missed: it is one of last, all, none"),
        ({"overlap": "queue"}, ScheduleError, "overlap: it is one of allow, skip"),
    ],
)
def test_wrong_schedule_is_named_and_nothing_written(house, changes, error, problem):
    """Long before its first slot."""
    with pytest.raises(error, match=problem):
        house.book.put("often", msgspec.structs.replace(OFTEN, **changes))
    assert house.book.names() == []


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "a/b", "a\n", "\u00e4", "{x}", "a\0"])
def test_wrong_names_are_refused(house, name):
    """They become part of job ids."""
    with pytest.raises(ScheduleError, match="is no name"):
        house.book.put(name, OFTEN)
    with pytest.raises(UnknownScheduleError):
        house.book.get(name)


def test_number_of_schedules_is_bounded(house, monkeypatch):
    """A loop that makes names must not fill the store; those that are there can still be changed."""
    monkeypatch.setattr(book_module, "MAX_SCHEDULES", 2)
    house.book.put("a", OFTEN)
    house.book.put("b", OFTEN)
    with pytest.raises(ScheduleError, match="there are 2 schedules"):
        house.book.put("c", OFTEN)
    house.book.put("b", DAILY)


def test_changes_at_once_are_all_made(house):
    """Each is made on what the one before it left."""
    house.book.put("often", OFTEN)

    def change(number):
        for k in range(10):
            house.book.put("often", msgspec.structs.replace(OFTEN, priority=number))
            (house.book.pause if k % 2 else house.book.resume)("often")

    threads = [threading.Thread(target=change, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert house.book.get("often").paused
    assert house.book.get("often").priority in range(3)


def test_secret_payload_is_sealed_at_rest_and_masked(tmp_path, store_server):
    """As a job's is."""
    house = House(tmp_path, store_server, JOBRUNNER_ENCRYPTION_KEYS=KEY)
    house.book.put(
        "often", msgspec.structs.replace(OFTEN, payload={"toWhom": "Ada", "token": "hunter2-hunter2"})
    )
    with house.redis() as redis:
        stored = redis.hget("jr:{!schedules}:rows", "often")
    assert b"hunter2" not in stored
    assert b"toWhom" not in stored
    assert house.book.get("often").payload["token"] == "***"
    house.back("often", 3_600_000)
    house.keeper.step()
    (job_id,) = house.jobs()
    assert "hunter2" not in str(house.record(job_id))
    assert house.client.plugins.keyring
    other = House(tmp_path, store_server)
    assert "JOBRUNNER_ENCRYPTION_KEYS" in str(other.book.get("often").payload)
    other.back("often", 3_600_000)
    other.keeper.step()
    assert "JOBRUNNER_ENCRYPTION_KEYS" in other.book.get("often").error
    other.close()
    house.close()


def test_what_cannot_be_read_is_shown_and_can_be_removed(house):
    """Somebody wrote into the store by hand."""
    house.book.put("good", OFTEN)
    with house.redis() as redis:
        redis.hset("jr:{!schedules}:rows", mapping={"bad": "[", "worse": b"\xff", "odd": '{"queue": 5}'})
    assert {one.name: bool(one.error) for one in house.book.all()} == {
        "bad": True, "good": False, "odd": True, "worse": True,
    }  # fmt: skip
    with pytest.raises(Exception, match="cannot be read"):
        house.book.get("bad")
    for name in ("bad", "worse", "odd"):
        house.book.remove(name)
    assert house.book.names() == ["good"]


def test_fired_by_hand(house):
    """Apart from its slots, as often as one likes; where it may not overlap, once."""
    house.book.put("often", msgspec.structs.replace(OFTEN, overlap="skip"))
    slot = house.standing("often").slot
    job_id, is_new = house.book.fire("often")
    assert is_new
    assert house.record(job_id)[5]["schedule"] == "often"
    assert house.book.fire("often") == (job_id, False)
    assert house.standing("often").slot == slot
