"""The catalog's HTTP API: devices, platforms, and whether a device is fit for an eSIM."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import StringConstraints

from services.catalog import metrics
from services.catalog.devices import store
from services.catalog.devices.domain.eligibility import VERSION, Device, judge, tac_of
from shared.contracts.fields import Imei, Text
from shared.http.body import Answer, Body
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.problems import Problem
from shared.messaging.transaction import Transactions

Tac = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")]
Name = Annotated[Text, StringConstraints(min_length=1)]
Platform = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
"""`ios`, `android`, `windows`: small letters, digits and `-`."""
SystemVersion = Annotated[str, StringConstraints(pattern=f"^{VERSION.pattern}$")]


class DeviceBody(Body):
    """A model; its TAC is in the address."""

    make: Name
    model: Name
    esim_supported: bool


class DeviceItem(DeviceBody):
    """One model of a bulk request."""

    tac: Tac


class DeviceAnswer(Answer):
    """A model."""

    tac: str
    make: str
    model: str
    esim_supported: bool


class PlatformBody(Body):
    """The oldest system version that eSIM profiles work on."""

    minimum_system_version: SystemVersion


class PlatformAnswer(Answer):
    """A platform."""

    platform: str
    minimum_system_version: str


class PlatformsAnswer(Answer):
    """Every platform."""

    items: list[PlatformAnswer]


class EligibilityAnswer(Answer):
    """Whether the device is fit; if not, `reason` is stable, the rest is for people."""

    fits: bool
    reason: str | None
    explanation: str
    next_action: str
    device: DeviceAnswer | None


def routes(transactions: Transactions) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1", tags=["devices"])

    @router.put("/devices/{tac}")
    async def put_device(tac: Annotated[Tac, Path()], body: DeviceBody) -> DeviceAnswer:
        """Write a model."""
        device = Device(tac, body.make, body.model, body.esim_supported)
        async with transactions.begin() as transaction:
            await store.put_devices(transaction.connection, [device])
        metrics.CHANGES("device").inc()
        return DeviceAnswer.model_validate(asdict(device))

    @router.post("/devices/bulk")
    async def put_devices(body: Bulk[DeviceItem]) -> BulkAnswer:
        """Up to 1,000 models, each judged by itself."""
        devices = [Device(each.tac, each.make, each.model, each.esim_supported) for _, each in body.valid]
        if devices:
            async with transactions.begin() as transaction:
                await store.put_devices(transaction.connection, devices)
            metrics.CHANGES("device").inc(len(devices))
        return body.answer()

    @router.get("/devices/{tac}")
    async def get_device(tac: Annotated[Tac, Path()]) -> DeviceAnswer:
        """One model."""
        async with transactions.pool.acquire(timeout=10) as connection:
            device = await store.device(connection, tac)
        if device is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                type="device-not-found",
                title="The model is not known",
                detail=f"No model with the TAC {tac} is listed. Compare it with the IMEI's first 8 digits.",
            )
        return DeviceAnswer.model_validate(asdict(device))

    @router.put("/platforms/{platform}")
    async def put_platform(platform: Annotated[Platform, Path()], body: PlatformBody) -> PlatformAnswer:
        """Set a platform's oldest system version."""
        async with transactions.begin() as transaction:
            await store.put_platform(transaction.connection, platform, body.minimum_system_version)
        metrics.CHANGES("platform").inc()
        return PlatformAnswer(platform=platform, minimum_system_version=body.minimum_system_version)

    @router.get("/platforms")
    async def get_platforms() -> PlatformsAnswer:
        """Every platform and its oldest system version."""
        async with transactions.pool.acquire(timeout=10) as connection:
            known = await store.platforms(connection)
        return PlatformsAnswer(
            items=[
                PlatformAnswer(platform=platform, minimum_system_version=minimum)
                for platform, minimum in known.items()
            ]
        )

    @router.get("/device-eligibility")
    async def get_device_eligibility(
        imei: Annotated[Imei, Query(description="15 digits; dial *#06# to read them")],
        platform: Annotated[Platform, Query()],
        system_version: Annotated[SystemVersion, Query()],
    ) -> EligibilityAnswer:
        """Whether an eSIM will run on that device, or why not and what to do."""
        async with transactions.pool.acquire(timeout=10) as connection:
            device = await store.device(connection, tac_of(imei))
            minimum = await store.minimum_system_version(connection, platform)
        verdict = judge(device, platform, system_version, minimum)
        return EligibilityAnswer(
            fits=verdict.fits,
            **asdict(verdict),
            device=None if device is None else DeviceAnswer.model_validate(asdict(device)),
        )

    return router
