"""What of a PSP's answers tells that it is out of order: silence and 5xx, never a decline or a refusal."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import cast
from uuid import UUID

import orjson
import pytest

from services.payment.authority import Authority
from services.payment.calls import Calls, Created, Queued
from services.payment.domain.calls import Call
from services.payment.domain.capabilities import GATEWAYS, Capabilities
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import WALLET, Operation
from services.payment.gateways.psp import Psp
from services.payment.store import Lease
from shared.calls.breaker import Sign
from shared.calls.http_client import HttpAnswer, HttpClient, NotSent, Unanswered
from tests.unit.payment.story import NOON, RENEWAL

Answered = HttpAnswer | Exception
KEY = UUID("018f2c1e-0000-7000-8000-0000000000aa")
SECOND = timedelta(seconds=1)


def answer(status: int, document: object = None) -> HttpAnswer:
    return HttpAnswer(status, {}, orjson.dumps(document or {"error": {"code": "some_code"}}))


OUTAGES: list[Answered] = [NotSent("refused"), Unanswered("time-out"), answer(500), answer(502), answer(503)]
ANSWERS: list[Answered] = [
    answer(200, {"id": "pi_1", "status": "succeeded"}),
    answer(400),
    answer(402, {"error": {"code": "card_declined", "decline_code": "insufficient_funds"}}),
    answer(404),
    answer(409),
    answer(429),
]


class Recorded:
    """A line on which every request has the same answer."""

    def __init__(self, answered: Answered) -> None:
        self.answered = answered
        self.requests = 0

    async def request(
        self, _method: str, _path: str, _body: bytes | None = None, _headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        self.requests += 1
        if isinstance(self.answered, Exception):
            raise self.answered
        return self.answered


def calls_to(line: Recorded, can: Capabilities = GATEWAYS["sandbox"]) -> Calls:
    psp = Psp("sandbox", cast(HttpClient, line), can, SECOND, lambda: NOON)
    return Calls({"sandbox": psp}, cast(Authority, None), Lease(SECOND, SECOND), lambda: NOON)


def call(
    operation: Operation, *, gateway: str = "sandbox", was_sent: bool = False, reference: str | None = "pi_1"
) -> Call:
    return Call(
        RENEWAL, operation, 1, 1, gateway, KEY, 0, 1500, "USD", 1e18, reference, "tok_ok", was_sent=was_sent,
        first_sent_at=NOON if was_sent else None, sent_before=NOON if was_sent else None,
    )  # fmt: skip


CALLS = [
    call(Operation.CAPTURE, reference=None),
    call(Operation.CAPTURE),
    call(Operation.CAPTURE, was_sent=True),
    call(Operation.VOID),
    call(Operation.ASK),
    call(Operation.REFUND),
    call(Operation.REFUND, was_sent=True),
]


@pytest.mark.parametrize("one", CALLS, ids=lambda one: f"{one.operation} {one.reference} {one.was_sent}")
@pytest.mark.parametrize("answered", OUTAGES, ids=str)
async def test_silence_and_faults_of_its_own_are_an_outage(one: Call, answered: Answered) -> None:
    calls = calls_to(Recorded(answered))
    result = await calls.call(one)
    assert calls.sign(one, result) is Sign.FAILED
    queued = calls.excused(one, result)
    assert isinstance(queued, Queued)
    assert isinstance(result, Outcome)
    # What may have had its effect is not taken for unsent.
    assert queued.is_unsent == (result.kind is not Kind.UNKNOWN)


@pytest.mark.parametrize("one", CALLS, ids=lambda one: f"{one.operation} {one.reference} {one.was_sent}")
@pytest.mark.parametrize("answered", ANSWERS, ids=str)
async def test_whatever_else_it_answers_it_works(one: Call, answered: Answered) -> None:
    calls = calls_to(Recorded(answered))
    assert calls.sign(one, await calls.call(one)) is Sign.ANSWERED


async def test_a_wallet_and_a_call_that_came_too_late_say_nothing_about_the_psp() -> None:
    line = Recorded(answer(500))
    calls = calls_to(line)
    by_wallet = call(Operation.CAPTURE, gateway=WALLET)
    late = call(Operation.VOID)
    late.send_until = 0.0
    for one in (by_wallet, late):
        assert calls.sign(one, await calls.call(one)) is Sign.NOTHING
    assert line.requests == 0
    assert (calls.gateway(by_wallet), calls.gateway(late)) == (WALLET, "sandbox")
    assert calls.gateway(call(Operation.VOID, gateway="nobody knows")) == WALLET


UNWANTED = replace(call(Operation.CAPTURE, was_sent=True), cancel_wanted=True)
LONG_AGO = NOON - timedelta(days=3)
NOT_ASKABLE = replace(GATEWAYS["sandbox"], can_query=False)


@pytest.mark.parametrize(
    "one",
    [
        UNWANTED,
        replace(call(Operation.CAPTURE, was_sent=True), first_sent_at=LONG_AGO),
        replace(call(Operation.REFUND, was_sent=True), first_sent_at=LONG_AGO),
    ],
    ids=["unwanted", "capture that cannot be asked about", "refund that cannot be asked about"],
)
async def test_a_call_that_asked_nobody_is_no_probe_of_the_psp(one: Call) -> None:
    line = Recorded(answer(200))
    calls = calls_to(line, NOT_ASKABLE)
    outcome = await calls.call(one)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, line.requests) == (Kind.UNKNOWN, 0)
    assert calls.sign(one, outcome) is Sign.NOTHING


async def test_a_repeat_without_an_answer_is_followed_by_a_question_only_when_there_is_room_for_it() -> None:
    line = Recorded(Unanswered("time-out"))
    calls = calls_to(line)
    room = False

    async def may_ask(gateway: str, _within_seconds: float) -> bool:
        assert gateway == "sandbox"
        return room

    calls.limit_questions(may_ask)
    repeated = call(Operation.CAPTURE, was_sent=True)
    await calls.call(repeated)
    assert line.requests == 1
    room = True
    await calls.call(repeated)
    assert line.requests == 3


async def test_an_object_that_was_made_is_an_answer() -> None:
    calls = calls_to(Recorded(answer(200, {"id": "pi_1"})))
    one = call(Operation.CAPTURE, reference=None)
    made = await calls.call(one)
    assert isinstance(made, Created)
    assert calls.sign(one, made) is Sign.ANSWERED
