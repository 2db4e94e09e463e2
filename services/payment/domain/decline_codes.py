"""What a decline code means for trying again, as data.

soft: the same method may work later. hard: this method never will. needs_customer: only the payer can help.
Codes as Stripe names them; those of our own stand apart.
"""

from shared.contracts.fields import DeclineClass

AUTHENTICATION_FAILED = "authentication_failed"
AUTHENTICATION_EXPIRED = "authentication_expired"
NETWORK_CAP_REACHED = "network_cap_reached"
"""The card was declined as often as its network allows: it is not tried before some of that is long ago."""
CARD_BEING_TRIED = "card_being_tried"
"""As many tries of the card are under way as its network still allows: their outcome decides."""

OURS: dict[str, DeclineClass] = {
    "no_payment_method": "needs_customer",
    "method_unknown": "hard",
    "method_removed": "hard",
    "method_expired": "hard",
    "method_not_of_payer": "hard",
    "above_terms": "hard",
    "gateway_unknown": "hard",
    "wallet_unknown": "hard",
    "wallet_balance_too_low": "soft",
    NETWORK_CAP_REACHED: "hard",
    CARD_BEING_TRIED: "soft",
    AUTHENTICATION_EXPIRED: "needs_customer",
}
"""Declined by payment itself: before any gateway was asked, or because the PSP waits for nobody any more."""

PROVIDERS: dict[str, DeclineClass] = {
    "insufficient_funds": "soft",
    "do_not_honor": "soft",
    "generic_decline": "soft",
    "processing_error": "soft",
    "try_again_later": "soft",
    "issuer_not_available": "soft",
    "reenter_transaction": "soft",
    "approve_with_id": "soft",
    "card_velocity_exceeded": "soft",
    "withdrawal_count_limit_exceeded": "soft",
    "no_action_taken": "soft",
    "service_not_allowed": "soft",
    "call_issuer": "soft",
    "lost_card": "hard",
    "stolen_card": "hard",
    "pickup_card": "hard",
    "restricted_card": "hard",
    "fraudulent": "hard",
    "merchant_blacklist": "hard",
    "security_violation": "hard",
    "incorrect_number": "hard",
    "invalid_number": "hard",
    "invalid_account": "hard",
    "expired_card": "hard",
    "new_account_information_available": "hard",
    "card_not_supported": "hard",
    "currency_not_supported": "hard",
    "transaction_not_allowed": "hard",
    "not_permitted": "hard",
    "stop_payment_order": "hard",
    "revocation_of_authorization": "hard",
    "revocation_of_all_authorizations": "hard",
    "testmode_decline": "hard",
    "live_mode_test_card": "hard",
    "resource_missing": "hard",
    "authentication_required": "needs_customer",
    AUTHENTICATION_FAILED: "needs_customer",
    "payment_intent_authentication_failure": "needs_customer",
    "offline_pin_required": "needs_customer",
    "online_or_offline_pin_required": "needs_customer",
    "pin_try_exceeded": "needs_customer",
    "incorrect_cvc": "needs_customer",
    "invalid_cvc": "needs_customer",
    "incorrect_zip": "needs_customer",
    "invalid_expiry_month": "needs_customer",
    "invalid_expiry_year": "needs_customer",
}
"""Declined by the issuer or the PSP."""

_ALL = OURS | PROVIDERS


def decline_class(code: str) -> DeclineClass:
    """A code that nobody listed is soft: banks invent them, and the retry policy bounds what follows."""
    return _ALL.get(code, "soft")
