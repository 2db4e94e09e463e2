"""One eSIM, one device: whoever uses another one is marked, told once, until that one is bound."""

from datetime import datetime, timedelta
from uuid import uuid4

from shared.clock import utc_now
from shared.contracts.devices import ForeignDeviceSeen
from tests.integration.provisioning.conftest import body_of, iccid
from tests.integration.provisioning.test_subscriptions import imei, told
from tests.integration.wired import Wired

DEVICES = "devices"


class Bound:
    """A subscription that is bound to a device."""

    def __init__(self, provisioning: Wired) -> None:
        self.subscription_id = f"sub-{uuid4().hex[:12]}"
        self.path = f"/v1/subscriptions/{self.subscription_id}"
        self.body = body_of(iccid())
        self._provisioning = provisioning

    async def bind(self, its_imei: str) -> dict[str, object]:
        reply = await self._provisioning.request("PUT", self.path, self.body | {"bound_imei": its_imei})
        assert reply.status < 300, reply
        shown: dict[str, object] = reply.body
        return shown

    def seen(self, bound: str, foreign: str, started_at: datetime | None = None) -> ForeignDeviceSeen:
        now = utc_now()
        return ForeignDeviceSeen(
            subscription_id=self.subscription_id,
            bound_imei=bound,
            imei=foreign,
            started_at=started_at or now,
            occurred_at=now,
        )

    async def shown(self) -> tuple[object, object, object]:
        """Whether the device matches, the foreign one and the version, as support sees them."""
        body = (await self._provisioning.request("GET", self.path)).body
        return body["device_matches"], body["foreign_imei"], body["version"]


async def test_a_foreign_device_marks_the_subscription_and_is_told_once(provisioning: Wired) -> None:
    one, mine, others = Bound(provisioning), imei(), imei()
    await one.bind(mine)
    seen = one.seen(mine, others)
    await provisioning.consume(DEVICES, seen, seen)
    await provisioning.consume(DEVICES, seen, one.seen(mine, imei()))
    assert await one.shown() == (False, others, 2)
    changes = told(provisioning, one.subscription_id)
    assert [(each.version, each.device_matches) for each in changes] == [(1, True), (2, False)]


async def test_binding_the_other_device_makes_it_match_again(provisioning: Wired) -> None:
    one, mine, others = Bound(provisioning), imei(), imei()
    await one.bind(mine)
    await provisioning.consume(DEVICES, one.seen(mine, others))
    assert (await one.bind(mine))["device_matches"] is False, "the same binding again binds nothing anew"
    assert (await one.bind(others))["device_matches"] is True
    assert await one.shown() == (True, None, 3)
    assert [each.device_matches for each in told(provisioning, one.subscription_id)] == [True, False, True]


async def test_what_goes_against_an_earlier_binding_marks_nothing(provisioning: Wired) -> None:
    one, mine, others = Bound(provisioning), imei(), imei()
    await one.bind(mine)
    first = one.seen(mine, others)
    await one.bind(others)
    await provisioning.consume(DEVICES, first)
    assert (await one.shown())[:2] == (True, None)
    # Bound as at first, but later: the old message is about the time before.
    await one.bind(mine)
    await provisioning.consume(DEVICES, first)
    assert (await one.shown())[:2] == (True, None)
    await provisioning.consume(DEVICES, one.seen(mine, others))
    assert (await one.shown())[:2] == (False, others)


async def test_a_replay_after_it_was_bound_anew_changes_and_publishes_nothing(provisioning: Wired) -> None:
    one, mine, others = Bound(provisioning), imei(), imei()
    await one.bind(mine)
    seen = one.seen(mine, others)
    await provisioning.consume(DEVICES, seen)
    await one.bind(others)
    await one.bind(mine)
    before = await one.shown(), len(told(provisioning, one.subscription_id))
    await provisioning.consume(DEVICES, seen)
    assert (await one.shown(), len(told(provisioning, one.subscription_id))) == before


async def test_usage_from_before_the_binding_was_another_devices_right(provisioning: Wired) -> None:
    one, mine = Bound(provisioning), imei()
    await one.bind(mine)
    await provisioning.consume(DEVICES, one.seen(mine, imei(), utc_now() - timedelta(hours=1)))
    assert (await one.shown())[0] is True


async def test_another_change_leaves_the_mark(provisioning: Wired) -> None:
    one, mine, others = Bound(provisioning), imei(), imei()
    await one.bind(mine)
    await provisioning.consume(DEVICES, one.seen(mine, others))
    await provisioning.request("PATCH", one.path, {"status": "suspended"})
    assert await one.shown() == (False, others, 3)


async def test_a_subscription_that_nobody_knows_is_passed_over(provisioning: Wired) -> None:
    one, other, mine, others = Bound(provisioning), Bound(provisioning), imei(), imei()
    await one.bind(mine)
    await provisioning.consume(DEVICES, other.seen(mine, others), one.seen(mine, others))
    assert (await one.shown())[0] is False


async def test_a_batch_takes_the_same_statements_whatever_its_size(provisioning: Wired) -> None:
    counts = []
    for size in (1, 50):
        mine = imei()
        several = [Bound(provisioning) for _ in range(size)]
        for one in several:
            await one.bind(mine)
        await provisioning.consume(DEVICES, *(one.seen(mine, imei()) for one in several))
        counts.append(len(provisioning.statements))
    assert counts == [2, 2]
