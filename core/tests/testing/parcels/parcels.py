"""A sample plugin, such as somebody writes who has never seen the core: parcels are booked, labelled and weighed."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec

from jobrunner import Discard, Job, Queue, Retry, RetryPolicy, Secret, Service, SyncJob, hookimpl


class Parcel(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    tenant_id: str
    weight_g: Annotated[int, msgspec.Meta(gt=0)]
    carrier_token: Annotated[str, Secret] = ""


class Notice(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    tenant_id: str
    booking: str


class ParcelSettings(msgspec.Struct, frozen=True, kw_only=True):
    carrier_url: Annotated[str, Service("carrier")] = "https://carrier.example"
    fragile: bool = False
    zones: tuple[str, ...] = ("north",)


class Booking(msgspec.Struct, frozen=True):
    number: str
    price: float


class CarrierBusyError(Exception):
    """The carrier wants to be asked later."""


class Carrier:
    """The way to the carrier; a real one would hold an HTTP client."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.open = True

    async def book(self, parcel: Parcel) -> Booking:
        await asyncio.sleep(0)
        return Booking(number=f"B-{parcel.weight_g}", price=parcel.weight_g / 100)


async def ship(job: Job[Parcel]) -> dict[str, object]:
    """Book a parcel, print its label, tell the tenant."""
    parcel = job.payload
    if parcel.weight_g > 30_000:
        raise Discard("no carrier takes more than 30 kg")
    carrier = job.resource(Carrier)
    try:
        booking = await job.step("book", carrier.book, parcel)
    except CarrierBusyError:
        raise Retry(after=60, reason="the carrier is busy") from None
    await job.progress(0.5, "booked")
    job.log.info("parcel.booked", number=booking.number)
    await job.enqueue("parcel.label", {"tenantId": parcel.tenant_id, "booking": booking.number}, delay=300)
    return {"number": booking.number, "price": booking.price}


def label(job: SyncJob[Notice]) -> str:
    """Print a label, in a thread."""
    return job.step("print", printed, job.payload.booking)


def printed(booking: str) -> str:
    return f"label of {booking}"


def weigh(job: SyncJob[Notice]) -> int:
    """Hold the CPU, in a process of its own in production."""
    return os.getpid()


@hookimpl
def jobrunner_settings() -> type[ParcelSettings]:
    return ParcelSettings


@hookimpl
def jobrunner_queues(settings: ParcelSettings) -> list[Queue]:
    return [
        Queue(
            "parcel.ship",
            Parcel,
            ship,
            retry=RetryPolicy(max_attempts=1 if settings.fragile else 4),
            route="parcel/ship",
        ),
        Queue("parcel.label", Notice, label),
        Queue("parcel.weigh", Notice, weigh, executor="process"),
    ]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(settings: ParcelSettings) -> AsyncIterator[Carrier]:
    carrier = Carrier(settings.carrier_url)
    yield carrier
    carrier.open = False
