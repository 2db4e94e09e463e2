"""What a decline code means for trying again, as data.

soft: the same method may work later. hard: this method never will. needs_customer: only the payer can help.
Codes as Stripe names them; those of our own stand apart.
"""

from shared.contracts.fields import DeclineClass

AUTHENTICATION_FAILED = "authentication_failed"
AUTHENTICATION_EXPIRED = "authentication_expired"
NETWORK_CAP_REACHED = "network_cap_reached"
"""The card was declined as often as its network allows: it is not tried before some of that is long ago."""
CARD_REFUSED_FOR_GOOD = "card_refused_for_good"
"""The card's network said never to try it again: it waits for other details, and is not sent meanwhile."""
DO_NOT_TRY_AGAIN = "do_not_try_again"
"""The network's advice beside any other code: Mastercard's merchant advice codes 03 and 21 among others, as
Stripe tells them in `advice_code`."""
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
    CARD_REFUSED_FOR_GOOD: "hard",
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
    DO_NOT_TRY_AGAIN: "hard",
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

NEVER_AGAIN = frozenset(
    {
        "lost_card",
        "stolen_card",
        "pickup_card",
        "incorrect_number",
        "invalid_number",
        "invalid_account",
        "transaction_not_allowed",
        "stop_payment_order",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        DO_NOT_TRY_AGAIN,
    }
)
"""After these no renewal tries the card again, ever: its details have to be others first.

Visa's decline category 1, "issuer will never approve" (response codes 04, 07, 14, 15, 41, 43, 46, 57, R0,
R1, R3): each reattempt is fined, whenever it comes (Checkout.com, "Visa response codes"; TabaPay, "Excessive
retry rules"; Forte, "Visa decline response code rules and integrity fees"). Mastercard fines each within 30
days of the advice 03 or 21 (retries.com, "Mastercard Transaction Processing Excellence"). That its window
ends does not make the card good, so it is for ever here as well. An expired card is none of these: its
issuer may well send another one.
"""

_ALL = OURS | PROVIDERS


def decline_class(code: str) -> DeclineClass:
    """A code that nobody listed is soft: banks invent them, and the retry policy bounds what follows."""
    return _ALL.get(code, "soft")
