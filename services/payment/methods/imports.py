"""Import of payment methods: python -m services.payment.methods.imports FILE. Tokens, never card numbers."""

from services.payment.methods.routes import MethodItem, looks_like_a_card_number
from shared.imports.command import main
from shared.imports.kinds import Kind


def no_card_number(text: str) -> str | None:
    """Why the text may be in no column: a card number must not even come near us."""
    if looks_like_a_card_number(text):
        return "A field looks like a card number: give the token that the PSP made of it, and nothing else."
    return None


PAYMENT_METHODS = Kind(
    name="payment-methods",
    item=MethodItem,
    service="payment",
    url="http://127.0.0.1:18003",
    path="/v1/payment-methods/bulk",
    unique=(("payment_method_id",),),
    forbidden=no_card_number,
)

if __name__ == "__main__":
    main(PAYMENT_METHODS)
