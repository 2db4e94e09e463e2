"""Devices and platforms in Postgres: functions over queries.sql, no decisions."""

from collections.abc import Collection

from services.catalog.devices.domain.eligibility import Device
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

_SQL = load_queries(__file__)


async def put_devices(connection: Connection, devices: Collection[Device]) -> None:
    """Write models; the last of several with one TAC wins."""
    latest = {device.tac: device for device in devices}
    rows = [(device.tac, device.make, device.model, device.esim_supported) for device in latest.values()]
    await connection.execute(_SQL["put_devices"], *columns(rows, 4))


async def device(connection: Connection, tac: str) -> Device | None:
    row = await connection.fetchrow(_SQL["device"], tac)
    return None if row is None else Device(*row)


async def put_platform(connection: Connection, platform: str, minimum_system_version: str) -> None:
    await connection.execute(_SQL["put_platform"], platform, minimum_system_version)


async def minimum_system_version(connection: Connection, platform: str) -> str | None:
    """None where the platform is not known."""
    minimum: str | None = await connection.fetchval(_SQL["minimum_system_version"], platform)
    return minimum


async def platforms(connection: Connection) -> dict[str, str]:
    """The minimum system version by platform."""
    return {row[0]: row[1] for row in await connection.fetch(_SQL["platforms"])}
