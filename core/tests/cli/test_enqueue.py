"""`jobrunner enqueue`: what goes in, what does not, and what is said of it."""

import json

from jobrunner.store.calls import MAX_ENQUEUE


def good(number, **more):
    return {"tenantId": "t1", "number": number, **more}


def test_enqueue_prints_the_id_and_the_job_runs(desk):
    """The id is all that a script needs to ask for the rest."""
    job_id = desk.enqueue(number=7)

    lines = desk.burst()

    assert "job.completed" in [line["event"] for line in lines if line.get("job_id") == job_id]
    shown = desk.run("jobs", "show", "parcel.deliver", job_id, "--json").json
    assert (shown["state"], shown["result"]) == ("completed", {"delivered": 7})


def test_same_id_and_payload_is_one_job_and_another_payload_a_conflict(desk):
    """A script that is run twice must not deliver twice."""
    first = desk.run("enqueue", "parcel.deliver", json.dumps(good(1)), "--id", "p-1", "--json")
    again = desk.run("enqueue", "parcel.deliver", json.dumps(good(1)), "--id", "p-1", "--json")
    other = desk.run("enqueue", "parcel.deliver", json.dumps(good(2)), "--id", "p-1")

    assert (first.json["created"], again.json["created"]) == (True, False)
    assert other.status == 1
    assert "another payload" in other.error
    assert desk.stats()["waiting"] == 1


def test_wrong_input_is_one_line_with_status_2_and_nothing_goes_in(desk):
    """Each mistake is named with its field, and the store stays as it was."""
    cases = {
        ('{"tenantId": "t1"}',): "number: missing",
        ('{"tenantId": "t1", "number": "x"}',): "number: expected `int`",
        ('{"tenantId": "t1", "number": 1, "colour": 2}',): "colour: not a field",
        ("{",): "not valid JSON",
        ("[1]",): "must be an object",
        ('{"tenantId": "a b", "number": 1}',): "tenant 'a b' is not allowed",
        (json.dumps(good(1)), "--id", "a/b"): "job id 'a/b' is not allowed",
        (json.dumps(good(1)), "--tenant", "t2"): "they must be the same",
        (json.dumps(good(1)), "--priority", "101"): "101 is not in the range",
        (): "give the payload as JSON, or --file",
    }
    for words, said in cases.items():
        done = desk.run("enqueue", "parcel.deliver", *words)
        assert done.status == 2, (words, done.err)
        assert said in done.error, (words[:1], done.error)
    assert desk.stats()["total"] == 0


def test_payload_that_is_too_large_is_refused(desk):
    """A job of megabytes slows everybody down; the line says what to send instead."""
    done = desk.run(
        "enqueue", "parcel.deliver", "--file", "-", text=json.dumps(good(1, how="x" * 300_000)) + "\n"
    )

    assert done.status == 2
    assert "line 1: the payload has 300," in done.err
    assert "send a reference instead" in done.err


def test_unknown_queue_and_plugin_are_named(desk):
    """A typo must not make a queue that nobody serves."""
    queue = desk.run("enqueue", "parcel.delivr", "{}")
    plugin = desk.process("run", "--plugin", "parcels")
    file = desk.process("run", "--plugin", "./parcels.py")

    assert (queue.status, plugin.status, file.status) == (2, 2, 2)
    assert "'parcel.delivr'" in queue.error
    assert "parcel.deliver" in queue.error
    assert "'parcels' is not installed" in plugin.error
    assert "no such file" in file.error


def test_file_with_bad_lines_is_refused_whole(desk):
    """Blank lines count, bad ones are told by number and field, and nothing goes in."""
    path = desk.file("jobs.jsonl", [good(1), "\n", {"tenantId": "t1"}, good(2), "{oops\n", good("x")])

    done = desk.run("enqueue", "parcel.deliver", "--file", path)

    assert done.status == 2
    told = [line for line in done.err.splitlines() if line.startswith("line ")]
    assert [line.split(":")[0] for line in told] == ["line 3", "line 5", "line 6"]
    assert "number: missing" in told[0]
    assert "not valid JSON" in told[1]
    assert "nothing was enqueued" in done.error
    assert desk.stats()["total"] == 0


def test_partial_enqueues_the_good_lines(desk):
    """Who wants the rest all the same says so, and the exit status still tells."""
    path = desk.file("jobs.jsonl", [good(1), {"tenantId": "t1"}, "\n", good(2)])

    done = desk.run("enqueue", "parcel.deliver", "--file", path, "--partial", "--json")

    assert done.status == 1
    assert done.json == {"queue": "parcel.deliver", "enqueued": 2, "known": 0, "bad": 1, "blank": 1}
    assert desk.stats()["waiting"] == 2


def test_file_again_doubles_nothing_and_equal_lines_are_jobs_of_their_own(desk):
    """A run that broke off is simply run again; two equal lines are still two jobs."""
    path = desk.file("jobs.jsonl", [good(1), good(1), good(2)])

    first = desk.run("enqueue", "parcel.deliver", "--file", path, "--json").json
    again = desk.run("enqueue", "parcel.deliver", "--file", path, "--json").json

    assert (first["enqueued"], first["known"]) == (3, 0)
    assert (again["enqueued"], again["known"]) == (0, 3)


def test_lines_come_from_standard_input_and_ids_from_a_field(desk):
    """`cat jobs.jsonl | jobrunner enqueue ... --file -` is how pipelines feed it."""
    text = json.dumps(good(11)) + "\n" + json.dumps(good(12)) + "\n"

    done = desk.run("enqueue", "parcel.deliver", "--file", "-", "--id-field", "number", text=text)
    none = desk.run("enqueue", "parcel.deliver", "--file", "-", "--id-field", "nope", text=text)

    assert done.status == 0, done.err
    assert {one["id"] for one in desk.run("jobs", "list", "parcel.deliver", "--json").json} == {"11", "12"}
    assert none.status == 2
    assert "nope: missing" in none.err


def test_id_that_stands_in_two_lines_of_a_file_is_found_before_anything_is_sent(desk):
    """The store would refuse the second, with half of the file in; the same job twice is one job."""
    path = desk.file("jobs.jsonl", [good(1), good(2), good(1), good(1, how="other")])

    bad = desk.run("enqueue", "parcel.deliver", "--file", path, "--id-field", "number")
    part = desk.run("enqueue", "parcel.deliver", "--file", path, "--id-field", "number", "--partial")

    assert bad.status == 2
    assert "line 4: number: line 1 has this id with another payload" in bad.err
    assert "1 of 4 lines are bad; nothing was enqueued" in bad.error
    assert part.status == 1
    assert desk.stats()["total"] == 2


def test_full_queue_says_how_many_went_in_and_running_again_goes_on(desk):
    """The cap is 1,000: whole batches fit, and the one after them is refused whole."""
    fit = 1000 // MAX_ENQUEUE * MAX_ENQUEUE
    path = desk.file("jobs.jsonl", [good(number) for number in range(1300)])

    done = desk.run("enqueue", "parcel.deliver", "--file", path)

    assert done.status == 1
    assert f"full with {fit} of 1,000 jobs" in done.error
    assert f"({fit} jobs went in before)" in done.error
    assert desk.stats()["waiting"] == fit


def test_delayed_job_is_left_by_a_burst(desk):
    """A burst waits for retries, not for what a producer scheduled; it says how many are left."""
    desk.run("enqueue", "parcel.deliver", json.dumps(good(1)), "--delay", "3600")

    done = desk.process("run", "--burst", "--log-level", "error")

    assert done.status == 0
    assert "1 job scheduled for later" in done.err
    assert desk.stats()["delayed"] == 1


def test_unique_key_takes_one_job_in_until_it_ends(desk):
    """The second command answers with the first one's job, and says so."""
    words = ("enqueue", "parcel.deliver", '{"tenantId": "t1", "number": 1}', "--unique", "box-1")
    first = desk.run(*words).out.strip()
    again = desk.run(*words)
    assert (again.status, again.out.strip()) == (0, first)
    assert "unique key box-1" in again.err
    desk.burst()
    assert desk.run(*words).out.strip() != first
    assert desk.run("enqueue", "parcel.deliver", "--file", "x", "--unique", "k").status == 2


def test_empty_file_has_no_line(desk):
    """Not even a blank one."""
    done = desk.run("enqueue", "parcel.deliver", "--file", desk.file("none.jsonl", []))
    assert (done.status, done.out) == (0, "0 jobs enqueued to parcel.deliver\n")


def test_mark_of_the_byte_order_at_the_start_is_passed_over(desk):
    """Editors and shells of Windows write one, and nobody sees it."""
    path = desk.file("marked.jsonl", ["\ufeff" + json.dumps(good(1)) + "\r\n", json.dumps(good(2)) + "\r\n"])
    done = desk.run("enqueue", "parcel.deliver", "--file", path)
    assert done.status == 0, done.err
    assert desk.stats()["waiting"] == 2
