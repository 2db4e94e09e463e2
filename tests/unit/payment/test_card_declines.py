"""Calls that wait in a process when it hears of their card: which are sent after all, and which never."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from services.payment.authority import Authority
from services.payment.calls import Calls, Created
from services.payment.card_declines import KEPT_SECONDS, MOST_CARDS, CardDeclines
from services.payment.domain.calls import Call, call_of
from services.payment.domain.decline_codes import CARD_REFUSED_FOR_GOOD, NETWORK_CAP_REACHED
from services.payment.domain.network_caps import FOR_EVER
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import Method, Operation
from services.payment.gateways.gateway import Gateway
from services.payment.store import Lease
from shared.calls.breaker import Sign
from tests.unit.payment.story import NOON, capturing
from tests.unit.payment.test_calls import Scripted, told
from tests.unit.payment.test_outages import SECOND, Recorded, answer, call, calls_to

WINDOW = timedelta(seconds=3)
VISA = Method("card-1", "payer-1", "sandbox", "active", "visa")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of this process: its only element."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def nothing_heard() -> CardDeclines:
    return CardDeclines(WINDOW, lambda: NOON)


def waiting(claimed: float = 1_000.0, of: str = "tok_a", method: Method | None = VISA) -> Call:
    """A call that was claimed at that instant, and may be sent until its window is over."""
    one = call(Operation.CAPTURE)
    return replace(one, send_until=claimed + WINDOW.total_seconds(), token=of, method=method)


def test_a_card_of_which_nothing_was_heard_is_tried(clock: list[float]) -> None:
    declines = nothing_heard()
    declines.heard(waiting(of="tok_b"), "stolen_card")
    assert declines.refusal(waiting()) is None


def test_after_a_decline_for_good_nothing_that_waits_is_sent(clock: list[float]) -> None:
    declines = nothing_heard()
    before = waiting(claimed=990.0)
    declines.heard(before, "stolen_card")
    clock[0] = 1_001.0
    assert declines.refusal(before) == CARD_REFUSED_FOR_GOOD
    assert declines.refusal(waiting(claimed=1_001.0)) == CARD_REFUSED_FOR_GOOD, "not written yet, maybe"
    declines.heard(before, "do_not_honor")
    assert declines.refusal(before) == CARD_REFUSED_FOR_GOOD, "whatever else is heard of it"


def test_what_waits_is_sent_up_to_the_cap_and_not_once_more(clock: list[float]) -> None:
    declines, one = nothing_heard(), waiting()
    clock[0] = 1_001.0
    for _ in range(14):
        declines.heard(one, "do_not_honor")
    assert declines.refusal(one) is None
    declines.heard(one, "do_not_honor")
    assert declines.refusal(one) == NETWORK_CAP_REACHED


def test_what_the_row_told_when_it_was_claimed_is_counted_once(clock: list[float]) -> None:
    declines = nothing_heard()
    known = replace(VISA, declined_at=(NOON - SECOND,) * 14)
    declines.heard(waiting(), "do_not_honor")
    assert declines.refusal(waiting(claimed=1_000.0, method=known)) is None, "heard before, so it is a row's"
    assert declines.refusal(waiting(claimed=999.9, method=known)) == NETWORK_CAP_REACHED


def test_what_the_row_told_is_enough(clock: list[float]) -> None:
    declines = nothing_heard()
    assert declines.refusal(waiting(method=replace(VISA, declined_at=(FOR_EVER,)))) == CARD_REFUSED_FOR_GOOD
    assert declines.refusal(waiting(method=replace(VISA, declined_at=(NOON,) * 15))) == NETWORK_CAP_REACHED
    assert declines.refusal(waiting(method=replace(VISA, declined_at=(NOON,) * 14))) is None


def test_what_the_network_never_saw_is_not_heard(clock: list[float]) -> None:
    declines = nothing_heard()
    clock[0] = 1_001.0
    for _ in range(15):
        declines.heard(waiting(), "authentication_failed")
        declines.heard(replace(waiting(), token=None), "stolen_card")
    assert declines.refusal(waiting()) is None
    assert declines.refusal(replace(waiting(), token=None)) is None


def test_a_call_that_is_no_capture_has_no_card(clock: list[float]) -> None:
    declines = nothing_heard()
    declines.heard(waiting(), "stolen_card")
    assert declines.refusal(waiting(method=None)) is None


def test_what_is_heard_is_forgotten_when_no_call_can_wait_any_more(clock: list[float]) -> None:
    declines = nothing_heard()
    declines.heard(waiting(), "stolen_card")
    clock[0] += KEPT_SECONDS
    declines.heard(waiting(of="tok_b"), "stolen_card")
    assert declines.refusal(waiting()) == CARD_REFUSED_FOR_GOOD
    clock[0] += 0.001
    assert declines.refusal(waiting()) is None, "whether or not anything is heard of another card"
    declines.heard(waiting(of="tok_c"), "stolen_card")
    assert declines.refusal(waiting()) is None
    assert declines.refusal(waiting(of="tok_b")) == CARD_REFUSED_FOR_GOOD


def test_no_more_cards_are_kept_than_so_many(clock: list[float]) -> None:
    declines = nothing_heard()
    for number in range(MOST_CARDS):
        declines.heard(waiting(of=f"tok_{number}"), "stolen_card")
    assert declines.refusal(waiting(of="tok_0")) == CARD_REFUSED_FOR_GOOD
    declines.heard(waiting(of="tok_more"), "stolen_card")
    assert declines.refusal(waiting(of="tok_0")) is None
    assert declines.refusal(waiting(of="tok_1")) == CARD_REFUSED_FOR_GOOD


def test_a_card_is_kept_from_its_last_decline_on(clock: list[float]) -> None:
    declines = nothing_heard()
    declines.heard(waiting(), "stolen_card")
    declines.heard(waiting(of="tok_b"), "stolen_card")
    clock[0] += KEPT_SECONDS
    declines.heard(waiting(), "do_not_honor")
    clock[0] += 1
    declines.heard(waiting(of="tok_c"), "stolen_card")
    assert declines.refusal(waiting()) == CARD_REFUSED_FOR_GOOD
    assert declines.refusal(waiting(of="tok_b")) is None


async def made(calls: Calls, one: Call) -> Outcome:
    outcome = await calls.call(one)
    assert isinstance(outcome, Outcome)
    return outcome


def at_work(gateway: Scripted) -> Calls:
    lease = Lease(SECOND, WINDOW)
    return Calls({"sandbox": cast(Gateway, gateway)}, cast(Authority, None), lease, lambda: NOON)


async def test_of_a_whole_fleet_nothing_reaches_the_gateway_after_the_first_decline_for_good() -> None:
    one = replace(call(Operation.CAPTURE), method=VISA)
    gateway = Scripted(confirm=told(one, Kind.DECLINED, "stolen_card"), create=told(one, Kind.CREATED))
    calls = at_work(gateway)
    assert (await made(calls, one)).code == "stolen_card"
    for waits in (replace(one), replace(one, reference=None), replace(one, reference=None, was_sent=True)):
        outcome = await made(calls, waits)
        assert (outcome.kind, outcome.code) == (Kind.DECLINED, CARD_REFUSED_FOR_GOOD)
        assert not outcome.reached_provider
        assert calls.sign(waits, outcome) is Sign.NOTHING, "that says nothing about the gateway"
    assert gateway.asked == ["confirm"]


class Slow(Scripted):
    """A PSP that declines, and answers for the first time when so many wait for it."""

    def __init__(self, connections: int) -> None:
        super().__init__()
        self._connections = connections
        self._taken = asyncio.Event()

    async def confirm(self, call: Call) -> Outcome:
        self.asked.append("confirm")
        if len(self.asked) == self._connections:
            self._taken.set()
        await self._taken.wait()
        return told(call, Kind.DECLINED, "do_not_honor")


@pytest.mark.parametrize("connections", [1, 2, 20])
async def test_a_cap_is_exceeded_by_no_more_than_what_was_out_when_it_was_reached(connections: int) -> None:
    """Of any number that wait: the try that reaches the cap has so many others beside it."""
    gateway = Slow(connections)
    calls, free = at_work(gateway), asyncio.Semaphore(connections)
    one = waiting(claimed=time.monotonic())

    async def caller() -> Outcome:
        async with free:
            return await made(calls, replace(one))

    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(*(caller() for _ in range(200)))
    assert 15 <= len(gateway.asked) <= 15 - 1 + connections
    assert {outcome.code for outcome in outcomes} == {"do_not_honor", NETWORK_CAP_REACHED}


async def test_what_may_have_been_sent_is_still_resolved() -> None:
    one = replace(call(Operation.CAPTURE, was_sent=True), method=replace(VISA, declined_at=(FOR_EVER,)))
    gateway = Scripted(confirm=told(one, Kind.CAPTURED))
    assert (await made(at_work(gateway), one)).kind is Kind.CAPTURED


async def test_what_is_given_back_and_what_is_cancelled_is_not_held_up_by_the_card() -> None:
    for operation, asked in ((Operation.REFUND, "refund"), (Operation.VOID, "void")):
        gateway = Scripted()
        calls = at_work(gateway)
        one = call(operation)
        calls._declines.heard(one, "stolen_card")
        await made(calls, one)
        assert gateway.asked == [asked]


async def test_a_card_that_is_well_is_created_and_confirmed() -> None:
    one = replace(call(Operation.CAPTURE, reference=None), method=VISA)
    gateway = Scripted(create=told(one, Kind.CREATED)._replace(reference="pi_1"))
    created = await at_work(gateway).call(one)
    assert isinstance(created, Created)
    assert created.call.method == VISA


@pytest.mark.parametrize(
    ("told_by_psp", "code"),
    [
        ({"decline_code": "do_not_honor"}, "do_not_honor"),
        ({"decline_code": "do_not_honor", "advice_code": "try_again_later"}, "do_not_honor"),
        ({"decline_code": "do_not_honor", "advice_code": "do_not_try_again"}, "do_not_try_again"),
        ({"code": "card_declined", "advice_code": "do_not_try_again"}, "do_not_try_again"),
        ({"decline_code": "stolen_card", "advice_code": "do_not_try_again"}, "stolen_card"),
        ({"decline_code": "do_not_honor", "advice_code": ["do_not_try_again"]}, "do_not_honor"),
    ],
)
async def test_the_networks_advice_counts_where_the_code_says_less(
    told_by_psp: dict[str, object], code: str
) -> None:
    calls = calls_to(Recorded(answer(402, {"error": told_by_psp})))
    assert (await made(calls, call(Operation.CAPTURE))).code == code


def test_only_a_capture_takes_its_method_along() -> None:
    row = capturing().row
    key = row.renewal_id
    assert call_of(row, key, "tok_a", 1e18, VISA).method == VISA
    assert call_of(row.copy(operation=Operation.VOID), key, None, 1e18, VISA).method is None
