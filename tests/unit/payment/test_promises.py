"""Whatever comes in whatever order: one decision, one content per event id, books that balance."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.payment.domain.outcome import Kind
from services.payment.domain.payment import WALLET, CallStatus, Decision, Operation, Payment, State
from shared.contracts.payments import PaymentCancelled, PaymentCaptured, SurplusRefunded
from tests.unit.payment.story import PRICE, Story, balances, moved

ANSWERS: dict[Operation, list[Kind]] = {
    Operation.CAPTURE: [
        Kind.CAPTURED,
        Kind.DECLINED,
        Kind.ACTION_REQUIRED,
        Kind.FAILED,
        Kind.NOTHING_FOUND,
        Kind.NOT_SENT,
        Kind.UNKNOWN,
    ],
    Operation.VOID: [Kind.VOIDED, Kind.CAPTURED, Kind.FAILED, Kind.UNKNOWN, Kind.NOT_SENT],
    Operation.REFUND: [Kind.REFUNDED, Kind.FAILED, Kind.REJECTED, Kind.UNKNOWN, Kind.NOT_SENT],
    Operation.SURPLUS: [Kind.REFUNDED, Kind.FAILED, Kind.UNKNOWN],
    Operation.ASK: [
        Kind.CAPTURED,
        Kind.DECLINED,
        Kind.ACTION_REQUIRED,
        Kind.NOTHING_FOUND,
        Kind.FAILED,
        Kind.UNKNOWN,
    ],
}
# (what, first choice, second choice): the choices mean something else for every kind of step.
STEPS = st.tuples(
    st.sampled_from(
        [
            "priced",
            "capture",
            "cancel",
            "refund",
            "resolve",
            "answer",
            "stale",
            "webhook",
            "by hand",
            "claim",
            "wait",
        ]
    ),
    st.integers(0, 6),
    st.booleans(),
)
METHODS = ["card-1", "card-2", "purse", "stolen"]
WEBHOOKS = [Kind.CAPTURED, Kind.VOIDED, Kind.REFUNDED, Kind.REFUND_RETURNED, Kind.DISPUTED]


def step(story: Story, what: str, choice: int, flag: bool) -> None:
    match what:
        case "priced":
            story.priced(late=flag)
        case "capture":
            story.capture(choice // 2 + 1, METHODS[choice % 4], late=flag)
        case "cancel":
            story.cancel(late=flag)
        case "refund":
            story.refund(choice // 3 + 1, late=flag)
        case "resolve":
            story.resolve(["captured", "not_captured", "refunded"][choice % 3])
        case "answer" | "stale" if story.payment is not None and story.row.operation is not None:
            answer(story, choice, {"claim": 1000} if what == "stale" else {})
        case "webhook" if story.payment is not None:
            webhook(story, WEBHOOKS[choice % 5], "pi_1" if flag else "pi_2")
        case "by hand" if story.payment is not None:
            kind = Kind.REFUND_RETURNED if choice % 2 else Kind.REFUNDED
            by_hand(story, kind, f"re_hand_{choice // 2}", "pi_1" if flag else "pi_2")
        case "claim" if story.payment is not None and story.row.operation is not None:
            story.claimed()
        case "wait":
            story.later(seconds=30 * choice)


def answer(story: Story, choice: int, stale: dict[str, Any]) -> None:
    row = story.row
    operation = row.operation
    assert operation is not None
    if row.gateway == WALLET and operation in (Operation.CAPTURE, Operation.REFUND):
        story.wallet()
        return
    if operation is Operation.CAPTURE and row.provider_reference is None:
        story.created(f"pi_{row.objects + 1}")
    kinds = ANSWERS[operation]
    story.outcome(kinds[choice % len(kinds)], **stale)


def webhook(story: Story, kind: Kind, reference: str) -> None:
    about_refund = kind in (Kind.REFUNDED, Kind.REFUND_RETURNED)
    story.fact(
        kind,
        gateway="sandbox",
        reference="re_1" if about_refund else reference,
        object_reference=reference if about_refund else None,
        amount_minor=PRICE,
        currency="USD",
    )


def by_hand(story: Story, kind: Kind, refund: str, reference: str) -> None:
    """Somebody gives a third of the price back at the PSP, or that comes back."""
    story.fact(
        kind,
        gateway="sandbox",
        reference=refund,
        object_reference=reference,
        amount_minor=PRICE // 3,
        currency="USD",
    )


@settings(max_examples=1000, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_the_promises_hold_in_every_order(steps: list[tuple[str, int, bool]]) -> None:
    story = Story(wallet_minor=PRICE)
    decided: Decision | None = None
    gone: set[int] = set()
    for what, choice, flag in steps:
        step(story, what, choice, flag)
        if story.payment is not None:
            row_is_whole(story.row)
            assert decided is None or story.row.decision is decided, "a decision was changed"
            decided = story.row.decision
            gone |= {surplus.ordinal for surplus in story.row.surplus if surplus.settled}
    # Once for each that went back whole, whatever came back of it before or since.
    assert sorted(message.ordinal for message in story.heard(SurplusRefunded)) == sorted(gone)
    one_decision(story)
    one_content_per_id(story)
    books_balance(story)


def row_is_whole(row: Payment) -> None:
    assert (row.operation is None) == (row.call_status is None)
    assert (row.operation is None) == (row.due_at is None), "due for nothing, or for a call nobody looks at"
    assert row.call_status in (None, CallStatus.SENDING, CallStatus.UNKNOWN)
    if row.operation is not None:
        assert row.resolve_before is not None
    if row.operation is Operation.ASK:
        assert (row.state, row.decision) == (State.REFUSED, None), "asked about what is settled"
    if row.state is State.CAPTURING:
        assert row.operation in (Operation.CAPTURE, Operation.VOID)
    if row.state is State.CANCELLING:
        assert row.operation is not None
    assert (row.decision is Decision.CAPTURED) == (row.captured_at is not None)


def one_decision(story: Story) -> None:
    captured = {message.event_id for message in story.heard(PaymentCaptured)}
    cancelled = {message.event_id for message in story.heard(PaymentCancelled)}
    assert len(captured) + len(cancelled) <= 1
    if story.payment is not None:
        assert bool(captured) == (story.row.decision is Decision.CAPTURED)
        assert bool(cancelled) == (story.row.decision is Decision.CANCELLED)


def one_content_per_id(story: Story) -> None:
    contents: dict[object, str] = {}
    for message in story.said:
        text = message.model_dump_json()
        assert contents.setdefault(message.event_id, text) == text


def books_balance(story: Story) -> None:
    held = balances(story.transfers)
    assert sum(held.values()) == 0
    assert all(held.get(account, 0) >= 0 for account in ("held", "applied", "disputed", "surplus"))
    refunded = moved(story.transfers, "refund") - moved(story.transfers, "refund_returned")
    captured = moved(story.transfers, "capture")
    assert captured <= PRICE
    assert captured == refunded + sum(held.get(name, 0) for name in ("held", "applied", "disputed"))
    found, returned = (moved(story.transfers, kind) for kind in ("surplus_found", "surplus_refund"))
    surplus = () if story.payment is None else story.row.surplus
    assert found - returned == sum(one.left_minor for one in surplus) >= 0
    # A refund that came back is found once more.
    came_back = any(0 in one.returned.values() for one in surplus)
    once = sum(one.amount_minor for one in surplus)
    assert found == once or (found > once and came_back)
    amounts = {one.ordinal: one.amount_minor for one in surplus}
    assert all(amounts[told.ordinal] == told.amount_minor for told in story.heard(SurplusRefunded))
    assert all(bool(one.settled) == (one.left_minor == 0) for one in surplus)
    assert story.wallet_minor == PRICE + held.get("wallet:payer-1", 0)
