"""The answer to a request: a pure function of the request and the price list in force when it was made."""

from typing import Literal

from services.catalog.prices.domain.price_list import PriceList
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.renewals import RenewalRequested

Reason = Literal["offering_unknown", "offering_withdrawn", "not_priced", "currency_mismatch", "price_changed"]

MAY_BE_TOO_NEW: frozenset[str] = frozenset({"offering_unknown", "not_priced", "currency_mismatch"})
"""An offering and its first price need no notice: these answers hold only after a look at the newest list."""


def price_renewal(request: RenewalRequested, price_list: PriceList) -> RenewalPriced | RenewalRejected:
    """Price the request, or say why not.

    The same request and list give the same answer to the byte: every instant in it is the request's own.
    """
    terms, at = request.terms, request.requested_at
    listing = price_list.listings.get(terms.offering_id)
    sale = listing.sale(at) if listing is not None else None
    if listing is None or sale is None:
        return _rejected(request, "offering_unknown", f"No offering has the id {terms.offering_id}.")
    if not sale.on_sale:
        return _rejected(request, "offering_withdrawn", f"Offering {terms.offering_id} is no longer sold.")
    price = listing.price(terms.currency, at)
    if price is None:
        sold_in = listing.currencies(at)
        if sold_in:
            return _rejected(
                request,
                "currency_mismatch",
                f"Offering {terms.offering_id} has no price in {terms.currency}, "
                f"but in {', '.join(sold_in[:20])}.",
            )
        return _rejected(
            request, "not_priced", f"Offering {terms.offering_id} had no price at {at.isoformat()}."
        )
    if price.amount_minor > terms.max_amount_minor:
        return _rejected(
            request,
            "price_changed",
            f"The price is {price.amount_minor} {price.currency} in minor units, "
            f"above the {terms.max_amount_minor} that was agreed. Show the new price and ask again.",
            price.amount_minor,
        )
    return RenewalPriced(
        renewal_id=request.renewal_id,
        subscription_id=request.subscription_id,
        version=1,
        attempt=1,
        terms=terms,
        amount_minor=price.amount_minor,
        currency=price.currency,
        grant=sale.grant,
        act_before=request.act_before,
        priced_at=at,
    )


def _rejected(
    request: RenewalRequested, reason: Reason, detail: str, amount_minor: int | None = None
) -> RenewalRejected:
    return RenewalRejected(
        renewal_id=request.renewal_id,
        subscription_id=request.subscription_id,
        version=1,
        attempt=1,
        terms=request.terms,
        reason=reason,
        detail=detail,
        amount_minor=amount_minor,
    )
