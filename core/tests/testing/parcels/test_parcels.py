"""The sample plugin tested as its author would: by the fixtures and `jobrunner.testing`, and nothing else."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from parcels import Booking, Carrier, CarrierBusyError, Parcel

from jobrunner import events
from jobrunner.testing import Harness, Performed, check_plugin

Perform = Callable[..., Awaitable[Performed]]
PARCEL = {"tenantId": "t1", "weightG": 1200}


class BusyCarrier:
    """A carrier that is busy for some calls, and counts them all."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        self.calls = 0

    async def book(self, parcel: Parcel) -> Booking:
        self.calls += 1
        if self.calls <= self.busy:
            raise CarrierBusyError
        return Booking(number=f"B-{parcel.weight_g}", price=12.0)


async def test_parcel_is_booked_and_its_label_follows(perform_job: Perform) -> None:
    """The whole story of one attempt is there to look at: result, steps, progress, log, and what was enqueued."""
    performed = await perform_job("parcel.ship", PARCEL)

    assert performed.expect("completed").result == {"number": "B-1200", "price": 12.0}
    assert performed.steps == {"book": {"number": "B-1200", "price": 12.0}}
    assert performed.progress == [(0.5, "booked")]
    assert [(line["event"], line["number"]) for line in performed.logs] == [("parcel.booked", "B-1200")]
    (notice,) = performed.enqueued
    assert (notice.queue, notice.tenant, notice.delay, notice.payload.booking) == (
        "parcel.label",
        "t1",
        300,
        "B-1200",
    )


async def test_heavy_parcel_is_given_up(perform_job: Perform) -> None:
    """A Discard is an outcome with its reason, not an exception in the test."""
    performed = await perform_job("parcel.ship", PARCEL | {"weightG": 31_000})

    assert (performed.outcome, performed.reason) == ("failed", "no carrier takes more than 30 kg")


async def test_booked_parcel_is_not_booked_again(perform_job: Perform) -> None:
    """Steps of one attempt are given to the next, which does not call the carrier."""
    first = await perform_job("parcel.ship", PARCEL)

    carrier = BusyCarrier()
    second = await perform_job(
        "parcel.ship", PARCEL, attempt=2, steps=first.steps, resources={Carrier: carrier}
    )

    assert second.expect("completed").result == first.result
    assert (carrier.calls, second.steps_done) == (0, [])


async def test_setting_changes_how_often_it_is_tried(perform_job: Perform) -> None:
    """Settings are given as plain values and read as the environment would be."""
    settings = {"fragile": True, "zones": ("north", "south")}

    performed = await perform_job(
        "parcel.ship", PARCEL, settings=settings, resources={Carrier: BusyCarrier(busy=1)}
    )

    assert performed.outcome == "failed"  # the first attempt is the last one


def test_label_is_printed_in_a_thread(perform_job_sync: Callable[..., Performed]) -> None:
    """A plain handler is tested the same way, and from a test that does not await."""
    performed = perform_job_sync("parcel.label", {"tenantId": "t1", "booking": "B-1"})

    assert performed.expect("completed").result == "label of B-1"


def test_process_handler_runs_right_here(perform_job_sync: Callable[..., Performed]) -> None:
    """A handler for a process of its own is run in this one, so that a debugger and coverage see it."""
    performed = perform_job_sync("parcel.weigh", {"tenantId": "t1", "booking": "B-1"})

    assert performed.result == os.getpid()


async def test_busy_carrier_is_asked_again_later(jobrunner_harness: Callable[..., Harness]) -> None:
    """A day of retries and a delayed job of a job take no time, and the clock says when each ran."""
    async with jobrunner_harness(resources={Carrier: BusyCarrier(busy=2)}) as harness:
        handle = await harness.client.parcel.ship(tenant_id="t1", weight_g=900)

        await harness.advance("5m")

        assert harness.job(handle).state == "completed"
        assert [60_000 <= event.delay_ms <= 66_000 for event in harness.events_of(events.JobRetried)] == [
            True,
            True,
        ]
        (notice,) = harness.jobs("parcel.label")
        assert notice.state == "delayed"
        await harness.advance("10m")
        assert harness.job(notice.id).result == "label of B-900"


def test_plugin_keeps_its_contract(
    jobrunner_plugin: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call checks what every plugin must keep to; the schemas are recorded once and compared from then on."""
    examples = {
        "parcel.ship": [PARCEL | {"carrierToken": "hush-hush-hush"}],
        "parcel.label": [{"tenant_id": "t", "booking": "B"}],
    }
    monkeypatch.setenv("JOBRUNNER_UPDATE_SCHEMAS", "1")
    check_plugin(jobrunner_plugin, examples=examples, schemas=tmp_path)
    monkeypatch.delenv("JOBRUNNER_UPDATE_SCHEMAS")

    report = check_plugin(jobrunner_plugin, examples=examples, schemas=tmp_path)

    assert (tmp_path / "parcel.ship.v1.json").is_file()
    assert report.queues == ["parcel.ship", "parcel.label", "parcel.weigh"]
    assert report.skipped == [
        "parcel.label: cancelling was not tried: it is a plain `def`, which can only be asked, by `job.cancelled`",
        "parcel.weigh: no round trip, and secrets not looked for: no example was given",
    ]
