"""Which requests one try of a call makes: one that moves money, or only questions, or none."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from services.payment.authority import Authority
from services.payment.calls import Calls
from services.payment.domain.calls import Call
from services.payment.domain.capabilities import GATEWAYS
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import Operation
from services.payment.gateways.gateway import Gateway
from services.payment.store import Lease
from tests.unit.payment.story import NOON
from tests.unit.payment.test_outages import SECOND, call

LONG_AGO = NOON - timedelta(days=2)


class Scripted:
    """A gateway that answers as it is told, and notes what it was asked."""

    capabilities = GATEWAYS["sandbox"]

    def __init__(self, **answers: Outcome) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def is_quiet(self, call: Call) -> bool:
        return call.sent_before == LONG_AGO

    def __getattr__(self, name: str) -> object:
        async def answered(call: Call) -> Outcome:
            self.asked.append(name)
            self.last = call
            return self._answers.get(name, told(call, Kind.UNKNOWN, "http_500"))

        return answered


def told(call: Call, kind: Kind, code: str = "") -> Outcome:
    return Outcome(
        call.renewal_id, kind, NOON, call.operation, call.ordinal, call.claim, "sandbox", code=code
    )


async def made(one: Call, gateway: Scripted) -> Outcome:
    calls = Calls(
        {"sandbox": cast(Gateway, gateway)}, cast(Authority, None), Lease(SECOND, SECOND), lambda: NOON
    )
    outcome = await calls.call(one)
    assert isinstance(outcome, Outcome)
    return outcome


SENT = call(Operation.CAPTURE, was_sent=True)


@pytest.mark.parametrize(
    ("one", "requests"),
    [
        (call(Operation.CAPTURE, reference=None), ["create"]),
        (call(Operation.CAPTURE), ["confirm"]),
        (SENT, ["confirm", "ask"]),
        (replace(SENT, sent_before=LONG_AGO), ["ask"]),
        (replace(SENT, cancel_wanted=True), []),
        (replace(SENT, token=None), ["ask"]),
        (replace(SENT, first_sent_at=LONG_AGO), ["ask"]),
        (call(Operation.VOID), ["void"]),
        (call(Operation.ASK), ["ask"]),
        (call(Operation.REFUND), ["refund"]),
        (call(Operation.REFUND, was_sent=True), ["refund", "ask_refund"]),
        (replace(call(Operation.REFUND, was_sent=True), call_reference="re_1"), ["ask_refund"]),
        (replace(call(Operation.REFUND, was_sent=True), first_sent_at=LONG_AGO), ["ask_refund"]),
    ],
    ids=lambda part: f"{part.operation}" if isinstance(part, Call) else " ".join(part),
)
async def test_what_is_asked_of_a_gateway(one: Call, requests: list[str]) -> None:
    gateway = Scripted()
    await made(replace(one), gateway)
    assert gateway.asked == requests


@pytest.mark.parametrize(
    "operation", [Operation.CAPTURE, Operation.VOID, Operation.REFUND, Operation.SURPLUS]
)
@pytest.mark.parametrize("was_sent", [True, False])
async def test_after_its_window_nothing_is_written(operation: Operation, was_sent: bool) -> None:
    gateway = Scripted()
    late = replace(call(operation, was_sent=was_sent), send_until=0.0)
    outcome = await made(late, gateway)
    assert (outcome.kind, outcome.code, gateway.asked) == (Kind.NOT_SENT, "window_passed", [])


async def test_a_capture_of_which_surely_nothing_came_is_sent_again() -> None:
    one = replace(SENT, sent_before=LONG_AGO)
    nothing, done = told(one, Kind.NOTHING_FOUND), told(one, Kind.CAPTURED)
    gateway = Scripted(ask=nothing, confirm=done)
    assert await made(one, gateway) == done
    assert gateway.asked == ["ask", "confirm"]


@pytest.mark.parametrize("operation", [Operation.CAPTURE, Operation.REFUND])
async def test_what_was_repeated_is_asked_about_as_sent_just_now(operation: Operation) -> None:
    one = replace(call(operation, was_sent=True), sent_before=NOON - SECOND)
    gateway = Scripted()
    await made(one, gateway)
    assert len(gateway.asked) == 2
    assert gateway.last.sent_before == NOON
    assert one.sent_before == NOON - SECOND


async def test_the_question_decides_where_the_repeat_had_no_answer() -> None:
    one = call(Operation.REFUND, was_sent=True)
    unknown, done = told(one, Kind.UNKNOWN, "http_500"), told(one, Kind.REFUNDED)
    assert await made(one, Scripted(refund=unknown, ask_refund=done)) == done
    assert await made(one, Scripted(refund=done, ask_refund=unknown)) == done


async def test_what_a_repeated_capture_answers_is_believed_before_a_question_is_asked() -> None:
    done = told(SENT, Kind.CAPTURED)
    gateway = Scripted(confirm=done)
    assert await made(replace(SENT), gateway) == done
    assert gateway.asked == ["confirm"]
