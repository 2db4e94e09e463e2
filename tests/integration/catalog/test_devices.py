"""Devices and platforms are written over HTTP; the eligibility answer says fit, or why not and what to do."""

import pytest

from shared.contracts.checks import luhn_digit
from tests.integration.wired import Wired


def imei(tac: str) -> str:
    return f"{tac}123456{luhn_digit(f'{tac}123456')}"


@pytest.fixture(scope="module")
async def listed(catalog: Wired) -> Wired:
    items = [
        {"tac": "35824005", "make": "Acme", "model": "One", "esim_supported": True},
        {"tac": "49015420", "make": "Acme", "model": "Brick", "esim_supported": False},
        {"tac": "123", "make": "Acme", "model": "Short", "esim_supported": False},
    ]
    reply = await catalog.request("POST", "/v1/devices/bulk", {"items": items})
    assert reply.body["accepted"] == 2
    reply = await catalog.request("PUT", "/v1/platforms/ios", {"minimum_system_version": "16.1"})
    assert reply.status == 200
    return catalog


@pytest.mark.parametrize(
    ("tac", "platform", "version", "reason"),
    [
        ("35824005", "ios", "17.0", None),
        ("35824005", "ios", "16.0.9", "system_too_old"),
        ("35824005", "symbian", "9", "platform_unknown"),
        ("49015420", "ios", "17", "esim_unsupported"),
        ("35999999", "ios", "17", "device_unknown"),
    ],
)
async def test_the_answer_says_fit_or_why_not_and_what_to_do(
    listed: Wired, tac: str, platform: str, version: str, reason: str | None
) -> None:
    reply = await listed.request(
        "GET", f"/v1/device-eligibility?imei={imei(tac)}&platform={platform}&system_version={version}"
    )
    assert reply.status == 200
    assert (reply.body["fits"], reply.body["reason"]) == (reason is None, reason)
    assert reply.body["explanation"]
    assert reply.body["next_action"]


async def test_a_wrong_luhn_digit_is_refused_with_what_to_do(listed: Wired) -> None:
    wrong = imei("35824005")[:-1] + str((int(imei("35824005")[-1]) + 1) % 10)
    reply = await listed.request("GET", f"/v1/device-eligibility?imei={wrong}&platform=ios&system_version=17")
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert "*#06#" in reply.body["errors"][0]["message"]


async def test_a_model_can_be_corrected(listed: Wired) -> None:
    body = {"make": "Acme", "model": "Two", "esim_supported": False}
    assert (await listed.request("PUT", "/v1/devices/35824006", body)).status == 200
    await listed.request("PUT", "/v1/devices/35824006", {**body, "esim_supported": True})
    assert (await listed.request("GET", "/v1/devices/35824006")).body["esim_supported"] is True
    assert (await listed.request("GET", "/v1/devices/99999999")).problem == "device-not-found"


async def test_platforms_are_listed(listed: Wired) -> None:
    items = (await listed.request("GET", "/v1/platforms")).body["items"]
    assert {"platform": "ios", "minimum_system_version": "16.1"} in items
