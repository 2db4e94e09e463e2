"""Any order of instructions, leases, lost answers and deaths, against the sandbox's own carrier.

The rows are kept here as the store keeps them; the decisions, the questions, the HTTP adapter and the
carrier are the real ones. A request that was written may arrive, and be answered, at any later moment
within its deadline, or never. No process is stopped between its last look at the clock and its write for
longer than that: the one risk that the design states.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import orjson
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis.strategies import integers, lists

from deploy.sandbox.carrier import carrier_gateway
from deploy.sandbox.exchange import NO_ANSWER, SECOND, Reply, Request
from services.provisioning.topups.domain.attempt import (
    Attempt,
    Call,
    Capabilities,
    Operation,
    Patience,
    closed,
    idempotency_key,
    is_effectful,
    next_call,
    opened,
)
from services.provisioning.topups.domain.findings import Finding, Known, settle
from services.provisioning.topups.domain.instructions import Ground, Instruction, fold
from services.provisioning.topups.domain.top_up import FINAL, TopUp
from services.provisioning.topups.gateways.sandbox import SandboxCarrier
from shared.calls.http_client import HttpAnswer, HttpClient, Unanswered
from tests.unit.provisioning.given import NOW, ORDER, RENEWAL, apply, cancel

PATIENCE = Patience(resolution=60.0)
CARRIERS = {
    "full": Capabilities(visibility_seconds=20.0),
    "cannot be asked": Capabilities(queries=False),
    "cannot call off": Capabilities(cancels=False, visibility_seconds=20.0),
    "without keys": Capabilities(honours_keys=False, visibility_seconds=20.0),
    "without keys, cannot call off": Capabilities(honours_keys=False, cancels=False),
    "only calls off": Capabilities(honours_keys=False, queries=False),
    "neither nor": Capabilities(honours_keys=False, queries=False, cancels=False),
}
BEHAVIOURS = (
    *("ok", "ok", "ok", "rate_limited", "rate_limited", "rejected", "processing", "processing_fails"),
    *("timeout_before", "timeout_after", "server_error_kept", "garbage"),
)
LIE = "late_success"
STEPS = 60
AttemptKey = tuple[Operation, int]
Result = TypeVar("Result")
Choice = TypeVar("Choice")


class Wire(HttpClient):
    """Carries a request to the sandbox's carrier without a socket; answers are lost when told so."""

    def __init__(self, can: Capabilities) -> None:
        self.gateway = carrier_gateway("salt")
        self.now = NOW
        self.loses_answers = False
        self.effects: list[str] = []
        told = {
            "honours_keys": can.honours_keys,
            "can_query": can.queries,
            "can_cancel": can.cancels,
            "visible_after_seconds": can.visibility_seconds,
        }
        assert self._send("PUT", "/capabilities", orjson.dumps(told)).status == 200

    def behave(self, behaviour: str) -> None:
        rules = [] if behaviour == "ok" else [{"operation": "apply_topup", "behaviour": behaviour}]
        assert self._send("PUT", "/faults", orjson.dumps(rules)).status == 200

    def pass_time(self, now: datetime) -> None:
        self.now = now
        self.effects += [effect.effect for effect in self.gateway.advance(self._instant())]

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        reply = self._send(method, path, body or b"", (headers or {}).get("idempotency-key"))
        if reply.hold_us == NO_ANSWER or self.loses_answers:
            raise Unanswered("no answer")
        return HttpAnswer(reply.status, {}, reply.body)

    def _send(self, method: str, path: str, body: bytes, key: str | None = None) -> Reply:
        outcome = self.gateway.answer(Request(method, path, key, body), self._instant())
        self.effects += [effect.effect for effect in self.gateway.taken_effects()]
        return outcome.reply

    def _instant(self) -> int:
        return int(self.now.timestamp() * SECOND)


@dataclass(slots=True)
class Flight:
    """A call under way: claimed, perhaps written, perhaps answered."""

    key: AttemptKey
    claim: int
    call: Call
    send_before: datetime
    claimed_at: datetime
    provider_reference: str | None
    written_at: datetime | None = None
    finding: Finding | None = None


class Fate:
    """Choices, made of one number."""

    def __init__(self, number: int) -> None:
        self._number = number

    def among(self, choices: Sequence[Choice]) -> Choice:
        self._number, place = divmod(self._number, len(choices))
        return choices[place]


class World:
    """One renewal, any number of workers, one carrier."""

    def __init__(self, can: Capabilities) -> None:
        self.can = can
        self.now = NOW
        self.top_up: TopUp | None = None
        self.attempts: dict[AttemptKey, Attempt] = {}
        self.due: dict[AttemptKey, datetime] = {}
        self.flights: list[Flight] = []
        self.finals: set[tuple[str, int]] = set()
        self.lied_to = False
        self.wire = Wire(can)
        self.carrier = SandboxCarrier(self.wire)

    def step(self, number: int) -> None:
        fate = Fate(number)
        likely = [(1, self.is_told_to_apply), (1, self.is_told_to_cancel), (4, self.time_passes)]
        if self.claimable():
            likely.append((12, self.claims))
        if any(one.written_at is None and one.finding is None for one in self.flights):
            likely.append((8, self.writes_its_request))
        if self.on_the_way():
            likely.append((8, self.arrives))
        if any(one.finding is not None for one in self.flights):
            likely.append((8, self.records))
        if self.flights:
            likely.append((1, self.dies))
        chosen: Callable[[Fate], None] = fate.among([act for weight, act in likely for _ in range(weight)])
        chosen(fate)
        state = self.top_up.state if self.top_up is not None else "nothing"
        open_attempts = [
            f"{' '.join(map(str, key))} {one.status}" for key, one in self.attempts.items() if not one.ended
        ]
        note(f"{self.now - NOW} {chosen.__name__}: {state} {open_attempts} {self.wire.effects}")
        self.keeps_its_promises()

    # -- instructions -------------------------------------------------------------------------------

    def is_told_to_apply(self, fate: Fate) -> None:
        current = self.top_up.attempt if self.top_up is not None else 1
        attempt = fate.among([current + 1, current, max(1, current - 1)])
        self.is_told(apply(attempt, self.now + timedelta(seconds=fate.among([30, 30, 30, -1]))))

    def is_told_to_cancel(self, fate: Fate) -> None:
        # Not often, or nothing else would be seen.
        if fate.among([True, False, False]):
            self.is_told(cancel(self.now + timedelta(seconds=fate.among([30, 30, 30, -1]))))

    def is_told(self, instruction: Instruction) -> None:
        before = self.top_up
        after, says = fold(before, instruction, Ground(self.now, cancels=self.can.cancels))
        if after is not None:
            self.decide(before, after, says)

    def decide(self, before: TopUp | None, after: TopUp, says: bool) -> None:
        self.top_up = after
        if before is not None:
            for operation, ordinal, status in closed(before, after):
                held = self.attempts.get((operation, ordinal))
                if held is not None and not held.ended:
                    self.attempts[operation, ordinal] = held._replace(status=status, ended=True)
        for key in opened(before, after):
            self.open(key)
        if says and after.state in FINAL:
            self.finals.add((after.state, after.version))

    def open(self, key: AttemptKey) -> None:
        held = self.attempts.get(key)
        claim = held.claim + 1 if held is not None else 0
        first_sent_at = held.first_sent_at if held is not None else None
        self.attempts[key] = Attempt(*key, "waiting", claim, 0, first_sent_at)
        self.due[key] = self.now

    # -- workers ------------------------------------------------------------------------------------

    def claimable(self) -> list[AttemptKey]:
        return [key for key, one in self.attempts.items() if not one.ended and self.due[key] <= self.now]

    def claims(self, fate: Fate) -> None:
        key = fate.among(self.claimable())
        held = self.attempts[key]
        assert self.top_up is not None
        call = next_call(self.top_up, held, self.can, PATIENCE, self.now)
        window_ends = self.now + timedelta(seconds=PATIENCE.send_window)
        self.attempts[key] = held._replace(
            status="sending" if held.status == "waiting" else held.status,
            claim=held.claim + 1,
            asked=held.asked + 1,
            first_sent_at=held.first_sent_at or self.now,
            send_before=window_ends if is_effectful(call) else held.send_before,
        )
        self.due[key] = self.now + timedelta(seconds=PATIENCE.lease)
        if self.top_up.state == "pending" and key[0] == "apply":
            self.top_up = self.top_up._replace(state="sending")
        self.flights.append(Flight(key, held.claim + 1, call, window_ends, self.now, held.provider_reference))

    def writes_its_request(self, fate: Fate) -> None:
        flight = fate.among([one for one in self.flights if one.written_at is None and one.finding is None])
        if is_effectful(flight.call) and self.now >= flight.send_before:
            flight.finding = Finding("late")
        else:
            flight.written_at = self.now

    def on_the_way(self) -> list[Flight]:
        return [one for one in self.flights if one.written_at is not None and one.finding is None]

    def arrives(self, fate: Fate) -> None:
        flight = fate.among(self.on_the_way())
        assert flight.written_at is not None
        if self.now > flight.written_at + timedelta(seconds=PATIENCE.call):
            flight.finding = Finding("unknown", "no_answer")
            return
        behaviour = fate.among((*BEHAVIOURS, LIE) if self.can.cancels else BEHAVIOURS)
        self.lied_to = self.lied_to or behaviour == LIE
        self.wire.behave(behaviour)
        self.wire.loses_answers = fate.among([True, False, False])
        finding = finished(self.ask(flight))
        flight.finding = finding._replace(asked_at=flight.claimed_at) if flight.call == "find" else finding

    async def ask(self, flight: Flight) -> Finding:
        key = idempotency_key(RENEWAL, *flight.key)
        match flight.call:
            case "apply":
                return await self.carrier.apply(ORDER, key)
            case "cancel":
                return await self.carrier.cancel(ORDER, key)
            case "find":
                return await self.carrier.find(ORDER)
            case "look_up":
                return await self.carrier.look_up(ORDER, flight.provider_reference or "")
            case "nothing":
                return Finding("unknown", "cannot_be_asked")

    def records(self, fate: Fate) -> None:
        flight = fate.among([one for one in self.flights if one.finding is not None])
        self.flights.remove(flight)
        assert self.top_up is not None
        assert flight.finding is not None
        before, held = self.top_up, self.attempts[flight.key]
        settled = settle(before, held, flight.finding, flight.claim, Known(self.can, PATIENCE, self.now))
        if settled.attempt is not held:
            self.attempts[flight.key] = settled.attempt
            self.due[flight.key] = self.now + timedelta(seconds=settled.wait_seconds)
        assert self.lied_to or not settled.contradiction
        self.decide(before, settled.top_up, settled.says)

    def dies(self, fate: Fate) -> None:
        self.flights.remove(fate.among(self.flights))

    def time_passes(self, fate: Fate) -> None:
        self.now += timedelta(seconds=fate.among([0.6, 1.0, 2.5, 4.0, 10.0, 16.0, 70.0]))
        self.wire.pass_time(self.now)

    # -- promises -----------------------------------------------------------------------------------

    def keeps_its_promises(self) -> None:
        applied = self.wire.effects.count("applied")
        said = {state for state, _ in self.finals}
        assert len(self.finals) <= 1, "two final answers"
        assert applied <= 1, "applied twice"
        # A refusal is believed where the carrier cannot be reached, for long, to call it off.
        called_off = "topup_cancelled" in self.wire.effects
        if not self.lied_to or called_off:
            assert not applied or not said or said == {"applied"}, "applied, and the opposite was said"
        assert said != {"applied"} or applied, "said to be applied, and it was not"
        if self.top_up is not None and self.top_up.state in FINAL:
            assert all(one.ended for one in self.attempts.values()), "final, and an attempt is open"


def finished(coroutine: Coroutine[None, None, Result]) -> Result:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise AssertionError("it waits")


@pytest.mark.parametrize("name", CARRIERS)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(numbers=lists(integers(0, 2**40), min_size=STEPS, max_size=STEPS))
def test_no_order_of_events_breaks_a_promise(name: str, numbers: list[int]) -> None:
    world = World(CARRIERS[name])
    world.is_told(apply(1))
    for number in numbers:
        world.step(number)
