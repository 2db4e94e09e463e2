"""The books of money: what the PSP's state machine really did, and whether payment's ledger says the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shared.contracts.payments import PaymentCancelled

if TYPE_CHECKING:
    from tests.simulation.world import World


class Truth:
    """What really happened, by renewal."""

    def __init__(self, world: World) -> None:
        psp: Any = world.servers["psp"].gateway.state
        self.money: dict[str, Counter[str]] = defaultdict(Counter)
        """By renewal, then by intent: what the PSP holds for us, in minor units."""
        self.disputed: set[str] = set()
        self.returned: set[str] = set()
        """Renewals some refund of which came back."""
        self.captured_at: dict[str, int] = {}
        self.applied: Counter[str] = Counter()
        self.applied_at: dict[str, int] = {}
        for effect in world.servers["psp"].effects:
            name = effect.reference or ""
            match effect.effect:
                case "captured":
                    self.money[name][effect.id] += effect.amount
                    self.captured_at.setdefault(name, effect.at)
                case "refunded":
                    self.money[name][psp.refunds[effect.id].intent_id] -= effect.amount
                case "refund_failed":
                    self.money[name][psp.refunds[effect.id].intent_id] += effect.amount
                    self.returned.add(name)
                case "disputed":
                    self.disputed.add(name)
        self.learned = _called_off(world, unresolved=True) & _called_off(world, unresolved=False)
        """Renewals of which payment did not know whether money was taken, and then knew: none was."""
        for effect in world.servers["carrier"].effects:
            if effect.effect == "applied":
                self.applied[effect.reference or ""] += 1
                self.applied_at[effect.reference or ""] = effect.at

    def kept(self, name: str) -> dict[str, int]:
        """The intents that hold money, and how much, in minor units."""
        return {intent: minor for intent, minor in self.money[name].items() if minor}


def _called_off(world: World, *, unresolved: bool) -> set[str]:
    """The renewals of which payment has said so."""
    return {
        str(said.renewal_id)
        for record in world.broker.records()
        if dict(record.headers).get("ce_type") == b"PaymentCancelled" and record.value is not None
        if (said := PaymentCancelled.model_validate_json(record.value)).unresolved is unresolved
    }


def unbalanced(world: World, truth: Truth) -> Iterator[tuple[str, str]]:
    """What does not add up: which renewal it is about (empty: the whole), and how."""
    yield from (("", how) for how in _whole(world))
    # A refund that comes back after it had succeeded is told by a webhook alone.
    unheard = {name for one in world.faults.struck if one.kind == "psp.webhook_lost" for name in one.renewals}
    at_psp: Counter[str] = Counter()
    for (renewal_id, _), line in world.payment.transfers.rows.items():
        at_psp[str(renewal_id)] += line.amount_minor * line.debit_account.startswith("psp:")
        at_psp[str(renewal_id)] -= line.amount_minor * line.credit_account.startswith("psp:")
    for name in sorted(at_psp.keys() | truth.money.keys()):
        held = truth.money[name].total()
        if at_psp[name] != held and name not in world.people.untold | unheard:
            yield name, f"the ledger says that the PSP holds {at_psp[name]}, it holds {held}"


def _whole(world: World) -> Iterator[str]:
    accounts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for line in world.payment.transfers.rows.values():
        accounts[line.debit_account] += line.amount_minor
        accounts[line.credit_account] -= line.amount_minor
        kinds[line.kind] += line.amount_minor
    refunded = kinds["refund"] - kinds["refund_returned"]
    held, applied, disputed = (-accounts[name] for name in ("held", "applied", "disputed"))
    if kinds["capture"] != held + applied + disputed + refunded:
        yield f"captured {kinds['capture']} is not {held} + {applied} + {disputed} + {refunded}"
    if min(held, applied, disputed, -accounts["surplus"]) < 0:
        yield "an account is overdrawn"
    if accounts["surplus"]:
        yield f"a surplus of {-accounts['surplus']} was not sent back"
    for subscriber in world.plan.subscribers:
        wallet = world.payment.wallets.rows[subscriber.owner_id, "USD"]
        moved = accounts[f"wallet:{subscriber.owner_id}"]
        if wallet != subscriber.balance_minor - moved:
            yield f"the wallet of {subscriber.owner_id} holds {wallet}, the ledger moved {moved}"
