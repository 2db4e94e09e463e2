"""Payment's tables as a page: what each decline means, what a gateway can do, how long a wait is.

Written down a second time: a class that changes here changes who is charged again, and who is asked.
"""

from dataclasses import asdict
from datetime import timedelta

import pytest

from services.payment import card_declines
from services.payment.domain import capabilities, commands, network_caps, outcome, payment
from services.payment.domain.decline_codes import NEVER_AGAIN, OURS, PROVIDERS, decline_class
from tests.unit.payment.story import NOON, RENEWAL, TERMS

SOFT = """
wallet_balance_too_low card_being_tried insufficient_funds do_not_honor generic_decline processing_error
try_again_later issuer_not_available reenter_transaction approve_with_id card_velocity_exceeded
withdrawal_count_limit_exceeded no_action_taken service_not_allowed call_issuer
"""
HARD = """
method_unknown method_removed method_expired method_not_of_payer above_terms gateway_unknown wallet_unknown
network_cap_reached card_refused_for_good do_not_try_again
lost_card stolen_card pickup_card restricted_card fraudulent merchant_blacklist
security_violation incorrect_number invalid_number invalid_account expired_card
new_account_information_available card_not_supported currency_not_supported transaction_not_allowed
not_permitted stop_payment_order revocation_of_authorization revocation_of_all_authorizations
testmode_decline live_mode_test_card resource_missing
"""
NEEDS_CUSTOMER = """
no_payment_method authentication_expired authentication_required authentication_failed
payment_intent_authentication_failure offline_pin_required online_or_offline_pin_required pin_try_exceeded
incorrect_cvc invalid_cvc incorrect_zip invalid_expiry_month invalid_expiry_year
"""
OURSELVES = """
no_payment_method method_unknown method_removed method_expired method_not_of_payer above_terms gateway_unknown
wallet_unknown wallet_balance_too_low network_cap_reached card_refused_for_good card_being_tried
authentication_expired
"""
FOR_GOOD = """
lost_card stolen_card pickup_card incorrect_number invalid_number invalid_account transaction_not_allowed
stop_payment_order revocation_of_authorization revocation_of_all_authorizations do_not_try_again
"""


@pytest.mark.parametrize(
    ("meaning", "codes"), [("soft", SOFT), ("hard", HARD), ("needs_customer", NEEDS_CUSTOMER)]
)
def test_every_code_means_what_was_written_down(meaning: str, codes: str) -> None:
    assert {code for code, listed in (OURS | PROVIDERS).items() if listed == meaning} == set(codes.split())
    assert {decline_class(code) for code in codes.split()} == {meaning}


def test_who_declines_is_written_down() -> None:
    assert set(OURS) == set(OURSELVES.split())
    assert not set(OURS) & set(PROVIDERS)


def test_after_which_codes_a_card_is_never_tried_again_is_written_down() -> None:
    assert set(FOR_GOOD.split()) == NEVER_AGAIN
    assert {decline_class(code) for code in NEVER_AGAIN} == {"hard"}
    assert not NEVER_AGAIN & set(OURS), "what we decline ourselves the network has not seen"


def test_a_code_that_nobody_listed_is_soft() -> None:
    assert decline_class("invented_yesterday") == "soft"


def test_what_the_sandbox_can_do() -> None:
    assert {name: asdict(able) for name, able in capabilities.GATEWAYS.items()} == {
        "sandbox": {
            "honours_keys": True,
            "key_memory": timedelta(hours=24),
            "can_query": True,
            "can_cancel": True,
            "visibility": timedelta(seconds=5),
            "refuses_without_effect": frozenset({429, 503}),
        }
    }


def test_how_long_anything_is_waited_for() -> None:
    assert asdict(payment.Patience()) == {
        "resolution": timedelta(minutes=2),
        "action": timedelta(hours=23),
        "questions": {"first": timedelta(seconds=15), "factor": 2, "longest": timedelta(minutes=5)},
        "refund": timedelta(hours=24),
        "longest_refund_pause": timedelta(hours=1),
        "first_pause": timedelta(seconds=1),
        "longest_pause": timedelta(minutes=1),
    }


def test_how_often_a_card_may_be_declined() -> None:
    day, month = timedelta(days=1), timedelta(days=30)
    assert {
        "visa": (network_caps.Cap(15, month, 8),),
        "mastercard": (network_caps.Cap(10, day, 5), network_caps.Cap(35, month, 18)),
    } == network_caps.NETWORKS
    assert (network_caps.Cap(10, month, 5),) == network_caps.ANY_OTHER
    assert network_caps.caps_of(None) == network_caps.caps_of("unheard of") == network_caps.ANY_OTHER
    assert network_caps.MOST_DECLINES == 35
    assert network_caps.FOR_EVER.isoformat() == "9999-01-01T00:00:00+00:00", "stands in `payment_methods`"
    assert (card_declines.KEPT_SECONDS, card_declines.MOST_CARDS) == (60, 10_000)


def test_words_that_others_know() -> None:
    assert (commands.NO_METHOD, payment.WALLET) == ("none", "wallet")
    assert outcome.OBJECT_GONE == "object_cancelled", "stands in `payment_attempts`, for good"
    assert payment.LONG_PAST.isoformat() == "2000-01-01T00:00:00+00:00"


def test_a_row_that_nothing_has_happened_to_counts_from_its_first_attempt() -> None:
    row = payment.Payment(RENEWAL, "sub-1", TERMS, "USD")
    assert (row.state, row.version, row.attempt) == (payment.State.HELD, 0, 1)
    assert (row.ordinal, row.capture_ordinal, row.claim) == (0, 0, 0)
    assert (row.objects, row.refund_attempt, row.surplus) == (0, 0, ())


def test_what_a_gateway_does_not_say_is_not_made_up() -> None:
    """An answer came, so it was reached; a webhook answers no call and is held by no worker."""
    bare = outcome.Outcome(RENEWAL, outcome.Kind.FAILED, NOON)
    assert (bare.reached_provider, bare.is_outage, bare.retry_after_seconds) == (True, False, None)
    assert (bare.operation, bare.ordinal, bare.claim) == (None, 0, None)
    assert (bare.gateway, bare.code, bare.amount_minor, bare.currency) == ("", "", 0, "")
    assert (bare.reference, bare.object_reference) == (None, None)
