"""A card is never tried more often than its network allows: the table, its boundaries, what counts."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from services.payment.domain.commands import Circumstances, fold_command
from services.payment.domain.decline_codes import CARD_BEING_TRIED, NETWORK_CAP_REACHED, decline_class
from services.payment.domain.network_caps import (
    ANY_OTHER,
    MOST_DECLINES,
    NETWORKS,
    cap_of,
    cap_refusal,
    counts,
    declines,
    is_near_cap,
    let_through,
)
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import CallStatus, Method, Operation, State
from shared.contracts.payment_commands import CapturePayment
from shared.contracts.payments import PaymentDeclined
from tests.unit.payment.story import METHODS, NOON, RENEWAL, Story, capturing

MONTH = timedelta(days=30)
OTHER_RENEWAL = UUID("018f2c1e-0000-7000-8000-000000000002")
CAPS = [("visa", 15), ("mastercard", 35), ("amex", 10), (None, 10)]


def card(network: str | None, *declined_at: datetime, times: int = 0) -> Method:
    """A card that was declined at these instants, and so many times yesterday."""
    yesterday = [NOON - timedelta(days=1, seconds=each) for each in range(times)]
    return Method("card-1", "payer-1", "sandbox", "active", network, (*declined_at, *yesterday))


def refusal(method: Method) -> str | None:
    return cap_refusal(method, RENEWAL, NOON)


@pytest.mark.parametrize(("network", "allowed"), CAPS)
def test_a_card_is_tried_up_to_its_cap_and_not_once_more(network: str | None, allowed: int) -> None:
    assert refusal(card(network, times=allowed - 1)) is None
    assert refusal(card(network, times=allowed)) == NETWORK_CAP_REACHED
    assert refusal(card(network, times=allowed + 1)) == NETWORK_CAP_REACHED


@pytest.mark.parametrize("network", [*NETWORKS, "unheard-of"])
def test_a_decline_counts_for_exactly_the_window(network: str) -> None:
    cap = cap_of(network)
    full = card(network, NOON - cap.window + timedelta(microseconds=1), times=cap.declines - 1)
    assert refusal(full) == NETWORK_CAP_REACHED
    assert refusal(card(network, NOON - cap.window, times=cap.declines - 1)) is None


def test_the_table_is_what_the_networks_say_and_the_unknown_is_below_all_of_it() -> None:
    assert {name: (cap.declines, cap.window) for name, cap in NETWORKS.items()} == {
        "visa": (15, MONTH),
        "mastercard": (35, MONTH),
    }
    assert all(ANY_OTHER.declines < cap.declines for cap in NETWORKS.values())
    assert all(ANY_OTHER.window >= cap.window for cap in NETWORKS.values())


@pytest.mark.parametrize("cap", [*NETWORKS.values(), ANY_OTHER])
def test_tries_under_way_count_long_before_the_cap(cap: object) -> None:
    assert isinstance(cap, type(ANY_OTHER))
    assert 0 < cap.counted_from <= cap.declines // 2 + 1
    assert cap.declines <= MOST_DECLINES


def test_what_is_under_way_is_asked_only_of_cards_that_were_declined_often() -> None:
    counted_from = cap_of("visa").counted_from
    assert not is_near_cap(card("visa"), NOON)
    assert not is_near_cap(card("visa", times=counted_from - 1), NOON)
    assert is_near_cap(card("visa", times=counted_from), NOON)
    assert not is_near_cap(card("visa", times=counted_from), NOON + MONTH)


@pytest.mark.parametrize(
    ("declined", "under_way", "may"), [(13, 0, 2), (14, 0, 1), (13, 1, 1), (14, 1, 0), (15, 0, 0), (9, 9, 0)]
)
def test_as_many_are_let_through_as_the_cap_leaves(declined: int, under_way: int, may: int) -> None:
    method = card("visa", times=declined)
    asking = (RENEWAL, OTHER_RENEWAL)
    held = let_through(method, method.declined_at, under_way, asking, NOON)
    assert held.let_through == frozenset(asking[:may])


def test_what_is_read_under_the_lock_counts_and_not_what_was_read_before() -> None:
    before, now = card("visa", times=14), card("visa", times=15)
    held = let_through(before, now.declined_at, 0, [RENEWAL], NOON)
    assert (held.let_through, declines(held, NOON)) == (frozenset(), 15)


def asked(method: Method) -> Story:
    """A first capture ordered while the card stands like that."""
    story = Story()
    command = CapturePayment(**story._purchase(late=False), attempt=1, payment_method_id="card-1")
    change = fold_command(None, command, Circumstances(NOON, METHODS | {"card-1": method}, story.patience))
    assert change is not None
    story.payment, story.said = change.payment, list(change.messages)
    story.last = change
    return story


def test_at_the_cap_no_gateway_is_asked_and_the_saga_is_sent_to_the_next_method() -> None:
    story = asked(card("visa", times=15))
    assert (story.row.state, story.row.operation) == (State.REFUSED, None)
    assert story.last is not None
    assert (story.last.begins, story.last.attempts) == (False, ())
    [answer] = story.heard(PaymentDeclined)
    assert (answer.decline_code, answer.decline_class) == (NETWORK_CAP_REACHED, "hard")
    assert story.capture(2, "card-2").row.state is State.CAPTURING, "the next method pays"


def test_who_is_not_let_through_may_come_again() -> None:
    full = replace(card("visa", times=14), let_through=frozenset({OTHER_RENEWAL}))
    story = asked(full)
    [answer] = story.heard(PaymentDeclined)
    assert (answer.decline_code, answer.decline_class) == (CARD_BEING_TRIED, "soft")
    assert asked(replace(full, let_through=frozenset({RENEWAL}))).row.state is State.CAPTURING


def test_a_removed_card_is_refused_as_removed() -> None:
    [answer] = asked(replace(card("visa", times=15), status="removed")).heard(PaymentDeclined)
    assert answer.decline_code == "method_removed"


def test_a_decline_of_the_issuer_counts() -> None:
    story = capturing().outcome(Kind.DECLINED, code="insufficient_funds")
    assert counts(story.attempts[1])


@pytest.mark.parametrize(
    "kind", [Kind.FAILED, Kind.NOTHING_FOUND, Kind.ACTION_REQUIRED, Kind.CAPTURED, Kind.UNKNOWN]
)
def test_nothing_else_that_comes_of_a_capture_counts(kind: Kind) -> None:
    assert not counts(capturing().outcome(kind).attempts[1])


@pytest.mark.parametrize(
    "code",
    [
        "authentication_failed",
        "authentication_expired",
        "payment_intent_authentication_failure",
        "wallet_balance_too_low",
    ],
)
def test_what_was_never_sent_to_the_network_does_not_count(code: str) -> None:
    assert not counts(capturing().outcome(Kind.DECLINED, code=code).attempts[1])


def test_a_refund_that_is_refused_does_not_count() -> None:
    declined = capturing().outcome(Kind.DECLINED).attempts[1]
    assert counts(declined)
    assert not counts(declined._replace(operation=Operation.REFUND))
    assert not counts(declined._replace(status=CallStatus.FAILED))


def test_our_own_codes_have_their_class() -> None:
    assert (decline_class(NETWORK_CAP_REACHED), decline_class(CARD_BEING_TRIED)) == ("hard", "soft")
