"""The promises of DESIGN section 5, checked when a world has come to rest, on stores and journals.

The truth about money is what the PSP's state machine did, the truth about data what the carrier's did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from services.payment.domain.payment import WALLET, Decision, Payment, State
from services.renewal.domain.policy import POLICY
from services.renewal.domain.renewal import Renewal
from shared.contracts.payments import RefundRejected
from tests.simulation.books import Truth, unbalanced
from tests.simulation.ends import possible_ends
from tests.simulation.people import TAKEN
from tests.simulation.plan import Wish
from tests.simulation.timeline import BEGINNING

if TYPE_CHECKING:
    from tests.simulation.world import World

_NEEDS_A_PERSON: Final = frozenset({"top_up_undetermined", "refund_rejected", "refund_attempts_spent"})
LONGEST_SECONDS: Final = 30 * 3600.0
"""The sum of all budgets: an hour until the deadline, longer by a stall; an hour to find out what became of
the capture, another for the top-up; two to cancel; a day in which a refund is tried again."""
_SKEW_SECONDS: Final = 300.0
_PAYMENT_DECIDES: Final = frozenset({"PaymentCaptured", "PaymentCancelled"})
_TOP_UP_DECIDES: Final = frozenset({"TopUpApplied", "TopUpRejected", "TopUpCancelled"})


class Broken(NamedTuple):
    """A promise that does not hold: its number, the renewal (where it is about one), and how."""

    promise: int
    about: str
    how: str


def broken(world: World) -> list[Broken]:
    """Every promise that does not hold, in the order of their numbers."""
    truth = Truth(world)
    found = [Broken(0, "", why) for why in world.loop.broken]
    for renewal_id, renewal in world.renewal.every_renewal().items():
        case = _Case(world, truth, renewal_id, renewal)
        found += [Broken(number, str(renewal_id), how) for number, how in case.broken()]
    found += [Broken(5, name, how) for name, how in _ended_otherwise(world)]
    found += [Broken(5, name, how) for name, how in _parked_too_soon(world)]
    found += [Broken(4, name, how) for name, how in unbalanced(world, truth)]
    found += [Broken(6, "", how) for how in _nothing_lost(world)]
    found += [
        Broken(7, name, "money or data for a renewal that nobody knows") for name in _unknown(world, truth)
    ]
    found += [Broken(7, name, "a forged webhook was believed") for name in _deceived(world)]
    found += [Broken(6, name, how) for name, how in _changed_by_replay(world)]
    return sorted(found)


class _Case:
    """One renewal, as every book has it."""

    def __init__(self, world: World, truth: Truth, renewal_id: UUID, renewal: Renewal) -> None:
        self.world = world
        self.truth = truth
        self.name = str(renewal_id)
        self.renewal = renewal
        self.payment: Payment | None = world.payment.payment(renewal_id)
        self.top_up = world.provisioning.top_up(renewal_id)
        self.said = Counter(type_ for type_, _ in set(world.broker.said.get(self.name, ())))
        self.kept = truth.kept(self.name)
        self.applied = truth.applied[self.name]

    @property
    def paid(self) -> bool:
        """Whether money of ours is held for it: at the PSP, or taken from a wallet."""
        return bool(self.kept) or self.by_wallet or self.name in self.truth.disputed

    @property
    def by_wallet(self) -> bool:
        """Whether a wallet's money is held for it."""
        payment = self.payment
        captured = payment is not None and payment.state in (State.CAPTURED, State.REFUNDING)
        return captured and payment is not None and payment.gateway == WALLET

    def broken(self) -> Iterator[tuple[int, str]]:
        yield from ((1, how) for how in self._once())
        yield from ((2, how) for how in self._nothing_for_nothing())
        yield from ((3, how) for how in self._refunded_too_early())
        yield from ((5, how) for how in self._comes_to_an_end())
        yield from ((7, how) for how in self._agrees())

    def _once(self) -> Iterator[str]:
        captures = len(self.kept) + self.by_wallet
        if captures > 1:
            yield f"{captures} captures are kept"
        forgetful = any(a.behaviour == "forgotten_key" for a in self._asked("carrier"))
        if self.applied > 1 and not forgetful:
            # A carrier that forgets keys although it says that it honours them is beyond the promise.
            yield f"{self.applied} top-ups are applied"
        for kind in (_PAYMENT_DECIDES, _TOP_UP_DECIDES):
            decided = sum(self.said[type_] for type_ in kind)
            if kind is _PAYMENT_DECIDES and self.name in self.truth.learned:
                decided -= 1  # the same decision, said again once it is known that nothing was taken
            if decided > 1:
                yield f"decided {decided} times: {sorted(kind & self.said.keys())}"
        if self.said["RenewalDelayed"] > 1:
            yield "the customer was told of the delay more than once"

    def _nothing_for_nothing(self) -> Iterator[str]:
        if self.applied and not self.paid:
            yield "a top-up is applied and nothing is paid for it"
        captured_at = self.truth.captured_at.get(self.name)
        if self.applied and captured_at is not None and captured_at > self.truth.applied_at[self.name]:
            yield "the top-up was applied before the capture"

    def _refunded_too_early(self) -> Iterator[str]:
        first = self.world.broker.first_said
        refused = min(first.get((self.name, t), float("inf")) for t in ("TopUpRejected", "TopUpCancelled"))
        if self.payment is None or self.payment.decision is not Decision.CAPTURED:
            return
        psp: Any = self.world.servers["psp"].gateway.state
        sent = [
            psp.refunds[refund_id].created_at / 1_000_000 - BEGINNING.timestamp()
            for refund_id in psp.refunds_of.get(self.payment.provider_reference, ())
        ]
        for (renewal_id, _), line in self.world.payment.transfers.rows.items():
            if renewal_id == self.renewal.renewal_id and line.kind == "refund":
                sent.append((line.transferred_at - BEGINNING).total_seconds())
        if min(sent, default=refused) < refused:
            yield "a refund was sent before the top-up was known never to be applied"

    def _comes_to_an_end(self) -> Iterator[str]:
        renewal = self.renewal
        if renewal.state == "parked":
            if renewal.parked_reason not in _NEEDS_A_PERSON:
                yield f"parked without need: {renewal.parked_reason}"
        elif renewal.closed_at is None:
            yield f"still {renewal.state}"
        elif self.paid and not self.applied and not self._may_hold():
            yield f"{renewal.state}, and money is held for nothing"
        if renewal.closed_at is not None and self.name not in self.world.people.resolved:
            took = (renewal.closed_at - renewal.requested_at).total_seconds()
            if took > LONGEST_SECONDS:
                yield f"{renewal.state} only after {took:.0f} s"
        if renewal.parked_reason is not None and not self.said["RenewalParked"]:
            yield "parked, and nobody was told"

    def _may_hold(self) -> bool:
        """What a bank or a refund that came back left with us is a case of its own."""
        return self.name in self.truth.disputed or self.name in self.truth.returned

    def _agrees(self) -> Iterator[str]:
        renewal, payment, top_up = self.renewal, self.payment, self.top_up
        if renewal.has_flag("promise_broken"):
            yield "the saga has seen a promise broken"
        told = {state for state in _ENDS if self.said[f"Renewal{state.capitalize()}"]}
        if renewal.closed_at is not None and told != {renewal.state}:
            yield f"{renewal.state}, but people were told {sorted(told)}"
        if (top_up is not None and top_up.state == "applied") != bool(self.applied):
            yield f"top-up {top_up.state if top_up else 'unknown'}, at the carrier {self.applied} applied"
        expected = _ENDS.get(renewal.state)
        if expected is None:
            return
        decision, states, applied = expected
        state = payment.state if payment is not None else None
        if payment is None or payment.decision is not decision or state not in states:
            yield f"{renewal.state}, but payment is {state}"
        if bool(self.applied) != applied:
            yield f"{renewal.state}, but the carrier has {self.applied} applied"
        if payment is not None and payment.gateway != WALLET and not self._may_hold():
            held = State.CAPTURED in states
            expected_minor = (payment.amount_minor or 0) * held
            if sum(self.kept.values()) != expected_minor:
                yield f"{renewal.state}, but the PSP holds {self.kept}"
        if renewal.state == "completed" and payment is not None and payment.applied_at is None:
            yield "completed, but the capture is not earned in the ledger"

    def _asked(self, server: str) -> list[Any]:
        return [asked for asked in self.world.servers[server].asked if asked.reference == self.name]


_ENDS: Final[dict[str, tuple[Decision, frozenset[State], bool]]] = {
    "completed": (Decision.CAPTURED, frozenset({State.CAPTURED}), True),
    "refunded": (Decision.CAPTURED, frozenset({State.REFUNDED}), False),
    "failed": (Decision.CANCELLED, frozenset({State.CANCELLED}), False),
    "cancelled": (Decision.CANCELLED, frozenset({State.CANCELLED}), False),
}
"""How it ended: what payment has decided and done, and whether the data is there."""


def _ended_otherwise(world: World) -> Iterator[tuple[str, str]]:
    every = world.renewal.every_renewal()
    for wish in world.plan.wishes:
        renewal, possible = every.get(world.people.renewal_id(wish)), possible_ends(world.plan, wish)
        if renewal is not None and renewal.state not in possible:
            yield str(renewal.renewal_id), f"{renewal.state}, but only {sorted(possible)} can be explained"


def _parked_too_soon(world: World) -> Iterator[tuple[str, str]]:
    """A refund of unknown outcome is payment's to find out, not a person's, as long as refunds are tried."""
    first = world.broker.first_said
    for record in world.broker.records():
        if dict(record.headers).get("ce_type") != b"RefundRejected" or record.value is None:
            continue
        said = RefundRejected.model_validate_json(record.value)
        name = str(said.renewal_id)
        took = first[name, "RefundRejected"] - first.get((name, "RefundPayment"), 0.0)
        if said.reason == "unknown" and took < POLICY.refund_seconds - _SKEW_SECONDS:
            yield name, f"parked without need: a refund of unknown outcome, after {took:.0f} s"


def _nothing_lost(world: World) -> Iterator[str]:
    published = {dict(record.headers).get("ce_id") for record in world.broker.records()}
    for name, messaging in world.messaging.items():
        if messaging.outbox.rows and "poller" not in world.plan.nets_off:
            yield f"{name} has events in its outbox that nobody publishes"
        lost = [id_ for id_ in messaging.ever if str(id_).encode() not in published]
        if lost:
            yield f"{name} committed {len(lost)} events that were never published"
        if messaging.aside.rows:
            reasons = {line.reason for line in messaging.aside.rows.values()}
            yield f"{name} has set records aside: {sorted(reasons)[0]}"
    for group in world.broker.groups.values():
        if group.behind():
            yield f"{group.name} has not read everything"
    for record in world.broker.records():
        if record.topic.endswith(".dead-letters"):
            yield f"a dead letter on {record.topic}"
    if world.renewal.orphans.rows:
        yield "events about unknown renewals"
    if world.renewal.waiting_places.rows:
        yield f"{len(world.renewal.waiting_places.rows)} requests still wait for a slot"
    for wish in world.plan.wishes:
        if not _answered(world, wish):
            yield f"nobody answered the wish of {wish.subscriber.subscription_id}"
        if wish.in_person_after is not None and not _answered_in_person(world, wish):
            yield f"nobody answered {wish.subscriber.subscription_id}, who asked in person"


def _answered(world: World, wish: Wish) -> bool:
    """Begun, refused, or kept for when the slot is free."""
    name, renewal_id = wish.subscriber.subscription_id, world.people.renewal_id(wish)
    if renewal_id in world.renewal.every_renewal() or renewal_id in world.renewal.refusals.rows:
        return True
    # What a rule was refused is kept under an id of its own: support finds it by the subscription. A trigger
    # that still waits when that of a later cycle comes is answered with it.
    by_rule = any(line.subscription_id == name for line in world.renewal.refusals.rows.values())
    later = any(_is_later(other, wish) and _answered(world, other) for other in world.plan.wishes)
    return wish.subscriber.has_rule and (by_rule or later or name in world.renewal.kept.rows)


def _is_later(other: Wish, wish: Wish) -> bool:
    return other.subscriber == wish.subscriber and other.at > wish.at


def _answered_in_person(world: World, wish: Wish) -> bool:
    renewal_id = world.people.in_person_id(wish)
    return renewal_id in world.renewal.every_renewal() or renewal_id in world.renewal.refusals.rows


def _unknown(world: World, truth: Truth) -> set[str]:
    known = {str(renewal_id) for renewal_id in world.renewal.every_renewal()}
    return {name for name in (*truth.money, *truth.applied) if name not in known}


def _deceived(world: World) -> Iterator[str]:
    for name, brought in world.people.brought.items():
        if any(kind.startswith("forged") and became == TAKEN for kind, became in brought):
            yield name


def _changed_by_replay(world: World) -> Iterator[tuple[str, str]]:
    after = world.rows()
    for name, row in world.before_replay.items():
        if after.get(name) != row:
            yield name, f"reading everything again changed it: {row} to {after.get(name)}"
