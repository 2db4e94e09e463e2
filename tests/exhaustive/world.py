"""The state of the world: the saga, payment, provisioning, and the letters between them.

A world is four small numbers in one. What can happen in it is what can happen to one of its parts.
"""

from collections.abc import Hashable, Iterator
from typing import Final, NamedTuple

from services.renewal.domain.renewal import Renewal
from shared.contracts.renewals import RenewalRequested
from tests.exhaustive.case import Case
from tests.exhaustive.letters import PAYMENT, PROVISIONING, SAGA, Letter
from tests.exhaustive.parts import MOST_PARTS, Interned, Move, Moves, Post
from tests.exhaustive.payment import PaymentSide
from tests.exhaustive.payment_steps import PaymentMachine
from tests.exhaustive.promises import (
    Judge,
    PaymentFacts,
    RenewalFacts,
    TopUpFacts,
    payment_rests,
    provisioning_rests,
)
from tests.exhaustive.provisioning import ProvisioningSide
from tests.exhaustive.provisioning_steps import ProvisioningMachine
from tests.exhaustive.saga import SagaMachine, SagaStep

_BITS: Final = (MOST_PARTS - 1).bit_length()
_MASK: Final = MOST_PARTS - 1


class Step(NamedTuple):
    """From one world to another."""

    name: str
    cost: int
    after: int


class Worlds:
    """All worlds of one case, and how they follow from each other."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.post = Post()
        self.saga, self._payment = SagaMachine(case), PaymentMachine(case)
        self._provisioning = ProvisioningMachine(case)
        self.renewals: Interned[Renewal] = Interned()
        self.payments = Moves(self._payment, case.prices, self.post)
        self.top_ups = Moves(self._provisioning, case.prices, self.post)
        self.nets: Interned[frozenset[int]] = Interned()
        self.cells: set[tuple[type, str]] = set()
        """The cells of the saga's matrix that were entered."""
        self._saga_steps: dict[int, list[tuple[SagaStep, Move]]] = {}
        self._saga_readings: dict[tuple[int, int], list[Move]] = {}
        self._nets: dict[tuple[int, int, tuple[int, ...]], int] = {}
        self._useful: dict[tuple[int, int], int] = {}
        self._judge = Judge(case)
        self._renewal_facts: dict[int, RenewalFacts] = {}
        self._payment_facts: dict[int, PaymentFacts] = {}
        self._top_up_facts: dict[int, TopUpFacts] = {}
        self._verdicts: dict[Hashable, tuple[bool, str | None]] = {}

    def first(self) -> int:
        renewal, said = self.saga.at_first()
        payment = self.payments.parts.number(self._payment.at_first())
        top_up = self.top_ups.parts.number(self._provisioning.at_first())
        net = self.nets.number(frozenset(self.post.sent(said)))
        return self._packed(self.renewals.number(renewal), payment, top_up, net)

    def parts(self, world: int) -> tuple[Renewal, PaymentSide, ProvisioningSide, list[Letter]]:
        """What a world consists of."""
        saga, payment, top_up, net = _unpacked(world)
        on_their_way = [self.post[letter] for letter in sorted(self.nets[net])]
        return self.renewals[saga], self.payments.parts[payment], self.top_ups.parts[top_up], on_their_way

    def steps(self, world: int) -> Iterator[Step]:
        """Everything that can happen in a world."""
        saga, payment, top_up, net = _unpacked(world)
        for name, cost, after, sent, _ in self._steps_of_saga(saga, payment, top_up, net):
            yield Step(name, cost, self._world(after, payment, top_up, net, -1, sent))
        for name, cost, after, sent, _ in self.payments.alone(payment):
            yield Step(name, cost, self._world(saga, after, top_up, net, -1, sent))
        for name, cost, after, sent, _ in self.top_ups.alone(top_up):
            yield Step(name, cost, self._world(saga, payment, after, net, -1, sent))
        for letter in self.nets[net]:
            reader = self.post[letter].to
            if reader == PAYMENT:
                for name, cost, after, sent, stays in self.payments.reading(payment, letter):
                    gone = -1 if stays else letter
                    yield Step(name, cost, self._world(saga, after, top_up, net, gone, sent))
            elif reader == PROVISIONING:
                for name, cost, after, sent, stays in self.top_ups.reading(top_up, letter):
                    gone = -1 if stays else letter
                    yield Step(name, cost, self._world(saga, payment, after, net, gone, sent))
            else:
                for name, cost, after, sent, stays in self._readings_of_saga(saga, letter):
                    gone = -1 if stays else letter
                    yield Step(name, cost, self._world(after, payment, top_up, net, gone, sent))

    def verdict(self, world: int) -> tuple[bool, str | None]:
        """Whether everything has ended here, and the promise that is broken, if one is."""
        saga, payment, top_up, net = _unpacked(world)
        renewal = self._renewal_facts.get(saga)
        if renewal is None:
            renewal = self._renewal_facts[saga] = self._judge.renewal(self.renewals[saga])
        paid = self._payment_facts.get(payment)
        if paid is None:
            paid = self._payment_facts[payment] = self._judge.payment(self.payments.parts[payment])
        topped_up = self._top_up_facts.get(top_up)
        if topped_up is None:
            side = self.top_ups.parts[top_up]
            topped_up = self._top_up_facts[top_up] = self._judge.provisioning(side)
        facts = (renewal, paid, topped_up, not self.nets[net])
        verdict = self._verdicts.get(facts)
        if verdict is None:
            verdict = self._verdicts[facts] = self._judge.verdict(*facts)
        return verdict

    # -- the saga, and catalog ----------------------------------------------------------------------

    def _steps_of_saga(self, saga: int, payment: int, top_up: int, net: int) -> Iterator[Move]:
        known = self._saga_steps.get(saga)
        if known is None:
            known = self._saga_steps[saga] = list(self._found_steps(saga))
        for step, move in known:
            if step.is_patient and self._is_quiet(payment, top_up, net):
                yield move._replace(cost=0)
            elif step.deviation and step.deviation not in self.case.prices:
                continue
            elif step.finding is None or self._judge.is_true(
                step.finding, self.payments.parts[payment], self.top_ups.parts[top_up]
            ):
                yield move

    def _found_steps(self, saga: int) -> Iterator[tuple[SagaStep, Move]]:
        renewal = self.renewals[saga]
        for step in self.saga.steps(renewal):
            if step.deviation and step.deviation not in self.case.prices and not step.is_patient:
                continue
            self.post.kinds.add(step.kind)
            self.cells.add((step.kind, renewal.state))
            price = self.case.prices.get(step.deviation, 0)
            after, sent = self.renewals.number(step.after), self.post.sent(step.says)
            yield step, Move(f"renewal: {step.name}", price, after, sent)

    def _readings_of_saga(self, saga: int, letter: int) -> list[Move]:
        moves = self._saga_readings.get((saga, letter))
        if moves is None:
            moves = self._saga_readings[saga, letter] = list(self._found_readings(saga, self.post[letter]))
        return moves

    def _found_readings(self, saga: int, letter: Letter) -> Iterator[Move]:
        renewal, message, name = self.renewals[saga], letter.message, f"{letter.to} reads {letter}"
        self.post.kinds.add(type(message))
        if letter.to == SAGA:
            self.cells.add((type(message), renewal.state))
            after, said = self.saga.receives(renewal, message)
        else:
            assert isinstance(message, RenewalRequested)
            after, said = renewal, self.saga.prices(message)
        move = Move(name, 0, self.renewals.number(after), self.post.sent(said))
        yield move
        if "duplicate" in self.case.prices and (move.after != saga or move.sent):
            cost = self.case.prices["duplicate"]
            yield move._replace(name=f"{name}, and will again", cost=cost, stays=True)

    # -- worlds -------------------------------------------------------------------------------------

    def _is_quiet(self, payment: int, top_up: int, net: int) -> bool:
        """Whether nobody has anything left to do but to wait for time to pass."""
        return (
            not self.nets[net]
            and payment_rests(self.payments.parts[payment])
            and provisioning_rests(self.top_ups.parts[top_up])
        )

    def _world(self, saga: int, payment: int, top_up: int, net: int, gone: int, sent: tuple[int, ...]) -> int:
        if gone >= 0 or sent:
            key = (net, gone, sent)
            following = self._nets.get(key)
            if following is None:
                following = self._nets[key] = self.nets.number((self.nets[net] - {gone}).union(sent))
            net = following
        return self._packed(saga, payment, top_up, net)

    def _packed(self, saga: int, payment: int, top_up: int, net: int) -> int:
        if self.renewals[saga].closed_at is not None:
            net = self._without_the_useless(saga, net)
        return ((saga << _BITS | payment) << _BITS | top_up) << _BITS | net

    def _without_the_useless(self, saga: int, net: int) -> int:
        """The letters that a closed renewal does not ignore: what it ignores now it ignores for ever."""
        known = self._useful.get((saga, net))
        if known is None:
            renewal = self.renewals[saga]
            kept = [
                letter
                for letter in self.nets[net]
                if self.post[letter].to != SAGA
                or self.saga.receives(renewal, self.post[letter].message) != (renewal, ())
            ]
            known = self._useful[saga, net] = self.nets.number(frozenset(kept))
        return known


def _unpacked(world: int) -> tuple[int, int, int, int]:
    return world >> 3 * _BITS, world >> 2 * _BITS & _MASK, world >> _BITS & _MASK, world & _MASK
