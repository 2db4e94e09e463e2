"""A card is never tried more often than its network allows: the table, its boundaries, what counts."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from services.payment.domain.commands import Circumstances, fold_command
from services.payment.domain.decline_codes import (
    CARD_BEING_TRIED,
    CARD_REFUSED_FOR_GOOD,
    NETWORK_CAP_REACHED,
    NEVER_AGAIN,
    decline_class,
)
from services.payment.domain.network_caps import (
    ANY_OTHER,
    FOR_EVER,
    MOST_DECLINES,
    NETWORKS,
    Cap,
    cap_refusal,
    caps_of,
    counts,
    declines_left,
    is_final,
    is_near_cap,
    let_through,
)
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import CallStatus, Method, Operation, State
from shared.contracts.payment_commands import CapturePayment
from shared.contracts.payments import PaymentDeclined
from tests.unit.payment.story import METHODS, NOON, RENEWAL, Story, capturing

MINUTE, DAY, MONTH = timedelta(minutes=1), timedelta(days=1), timedelta(days=30)
OTHER_RENEWAL = UUID("018f2c1e-0000-7000-8000-000000000002")
CAPS = [
    ("visa", 15, MONTH),
    ("mastercard", 10, DAY),
    ("mastercard", 35, MONTH),
    ("amex", 10, MONTH),
    (None, 10, MONTH),
]
WINDOWS = [(network, cap) for network in (*NETWORKS, "unheard-of") for cap in caps_of(network)]


def card(
    network: str | None, *declined_at: datetime, times: int = 0, ago: timedelta = DAY + MINUTE
) -> Method:
    """A card that was declined at these instants, and so many times so long ago, more than a day."""
    earlier = [NOON - ago - timedelta(microseconds=each) for each in range(times)]
    return Method("card-1", "payer-1", "sandbox", "active", network, (*declined_at, *earlier))


def refusal(method: Method) -> str | None:
    return cap_refusal(method, RENEWAL, NOON)


@pytest.mark.parametrize(("network", "allowed", "window"), CAPS)
def test_a_card_is_tried_up_to_its_cap_and_not_once_more(
    network: str | None, allowed: int, window: timedelta
) -> None:
    just_within = window - MINUTE
    assert refusal(card(network, times=allowed - 1, ago=just_within)) is None
    assert refusal(card(network, times=allowed, ago=just_within)) == NETWORK_CAP_REACHED
    assert refusal(card(network, times=allowed + 1, ago=just_within)) == NETWORK_CAP_REACHED
    assert declines_left(card(network, times=allowed - 1, ago=just_within), NOON) == 1


@pytest.mark.parametrize(("network", "cap"), WINDOWS)
def test_a_decline_counts_for_exactly_the_window(network: str, cap: Cap) -> None:
    with_one_at = partial(card, network, times=cap.declines - 1, ago=cap.window - MINUTE)
    assert refusal(with_one_at(NOON - cap.window + timedelta(microseconds=1))) == NETWORK_CAP_REACHED
    assert refusal(with_one_at(NOON - cap.window)) is None


def test_every_window_of_a_network_holds_by_itself() -> None:
    assert refusal(card("mastercard", times=34)) is None, "many, but none of them today"
    today = card("mastercard", times=10, ago=MINUTE)
    assert refusal(today) == NETWORK_CAP_REACHED, "few, but all of them today"
    assert cap_refusal(today, RENEWAL, NOON + DAY) is None, "it is tried again tomorrow"
    assert declines_left(replace(today, network="visa"), NOON) == 5


def test_where_the_network_is_not_known_no_more_is_allowed_than_by_any() -> None:
    [least] = ANY_OTHER
    for cap in (cap for caps in NETWORKS.values() for cap in caps):
        assert least.declines <= cap.declines
        assert least.window >= cap.window


@pytest.mark.parametrize(("network", "cap"), WINDOWS)
def test_tries_under_way_count_long_before_the_cap(network: str, cap: Cap) -> None:
    assert 0 < cap.counted_from <= cap.declines // 2 + 1
    assert cap.declines <= MOST_DECLINES
    ago = cap.window - MINUTE
    assert not is_near_cap(card(network), NOON)
    assert not is_near_cap(card(network, times=cap.counted_from - 1, ago=ago), NOON)
    assert is_near_cap(card(network, times=cap.counted_from, ago=ago), NOON)
    assert not is_near_cap(card(network, times=cap.counted_from, ago=ago), NOON + cap.window)


def test_a_card_that_was_refused_for_good_is_tried_by_no_later_renewal() -> None:
    years_later = NOON + timedelta(days=3650)
    for network in ("visa", "mastercard", None):
        refused = card(network, FOR_EVER, times=1)
        assert refusal(refused) == CARD_REFUSED_FOR_GOOD
        assert cap_refusal(refused, RENEWAL, years_later) == CARD_REFUSED_FOR_GOOD
        assert not is_near_cap(replace(refused, declined_at=(FOR_EVER,) * 15), NOON), "nothing to count"


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
    assert (held.let_through, declines_left(held, NOON)) == (frozenset(), 0)


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


def test_of_a_card_refused_for_good_no_gateway_is_asked_and_the_next_method_pays() -> None:
    story = asked(card("visa", FOR_EVER))
    assert (story.row.state, story.row.operation) == (State.REFUSED, None)
    [answer] = story.heard(PaymentDeclined)
    assert (answer.decline_code, answer.decline_class) == (CARD_REFUSED_FOR_GOOD, "hard")
    assert story.capture(2, "card-2").row.state is State.CAPTURING


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
    assert decline_class(CARD_REFUSED_FOR_GOOD) == "hard"


@pytest.mark.parametrize("code", sorted(NEVER_AGAIN))
def test_what_the_network_never_wants_to_see_again_counts_and_is_final(code: str) -> None:
    story = capturing().outcome(Kind.DECLINED, code=code)
    assert counts(story.attempts[1])
    assert is_final(code)
    [answer] = story.heard(PaymentDeclined)
    assert (answer.decline_code, answer.decline_class) == (code, "hard")


@pytest.mark.parametrize(
    "code", [None, "do_not_honor", "expired_card", "new_account_information_available", CARD_REFUSED_FOR_GOOD]
)
def test_no_other_decline_is_final(code: str | None) -> None:
    assert not is_final(code)
