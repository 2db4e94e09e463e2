"""Whether an eSIM will run on a device: the model must take one, the system must be new enough."""

import re
from dataclasses import dataclass
from typing import Literal

TAC_DIGITS = 8
VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,5}", re.ASCII)

Reason = Literal["device_unknown", "esim_unsupported", "platform_unknown", "system_too_old"]


@dataclass(frozen=True, slots=True)
class Device:
    """A model, by the type allocation code that begins the IMEIs of all its units."""

    tac: str
    make: str
    model: str
    esim_supported: bool


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The answer for one device: fit, or why not and what to do."""

    reason: Reason | None
    explanation: str
    next_action: str

    @property
    def fits(self) -> bool:
        return self.reason is None


def tac_of(imei: str) -> str:
    """The type allocation code: the first 8 of the 15 digits."""
    return imei[:TAC_DIGITS]


def version_number(version: str) -> tuple[int, ...]:
    """`17.4.1` as numbers that compare as versions do; trailing zeros say nothing.

    Raises:
        ValueError: it is not made of numbers and dots.
    """
    if not VERSION.fullmatch(version):
        raise ValueError("a version is written as numbers and dots, as in 17.4")
    parts = [int(part) for part in version.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def judge(
    device: Device | None,
    platform: str,
    system_version: str,
    minimum_system_version: str | None,
) -> Eligibility:
    """Judge one device. `minimum_system_version` is None where the platform is not known."""
    if device is None:
        return Eligibility(
            "device_unknown",
            "The IMEI is well formed, but its model is not in the list of devices.",
            "Look in the device's settings for an EID: if it shows one, "
            "tell support the model to have it listed.",
        )
    name = f"{device.make} {device.model}"
    if not device.esim_supported:
        return Eligibility(
            "esim_unsupported",
            f"The {name} cannot hold an eSIM.",
            "Use another device; this one takes plastic SIM cards only.",
        )
    if minimum_system_version is None:
        return Eligibility(
            "platform_unknown",
            f"No minimum system version is known for the platform {platform}.",
            "Compare the platform's name with the list at /v1/platforms.",
        )
    if version_number(system_version) < version_number(minimum_system_version):
        return Eligibility(
            "system_too_old",
            f"The {name} runs {platform} {system_version}; {minimum_system_version} or later is needed.",
            "Update the system in the device's settings, then check again.",
        )
    return Eligibility(None, f"The {name} with {platform} {system_version} is fit.", "Install the eSIM.")
