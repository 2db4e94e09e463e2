"""The answer to a request follows from the request and the price list, and from nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.offerings.domain.offering import EVER, OfferingStatus, OfferingVersion
from services.catalog.prices.domain.price_list import PriceList
from services.catalog.prices.domain.pricing import MAY_BE_TOO_NEW, price_renewal
from services.catalog.prices.domain.schedule import Price
from shared.contracts.fields import Stacking
from shared.contracts.message import Grant, Terms
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.renewals import RenewalRequested

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def version(
    number: int = 1,
    since: datetime = EVER,
    data_bytes: int = 10**9,
    status: OfferingStatus = "on_sale",
    offering_id: str = "cuba-1gb",
) -> OfferingVersion:
    return OfferingVersion(offering_id, number, since, data_bytes, 86_400, "extend", "cu1", status)


def price(
    price_id: str, amount: int, since: datetime, currency: str = "USD", until: datetime | None = None
) -> Price:
    return Price("cuba-1gb", price_id, currency, amount, since, until)


def known(versions: list[OfferingVersion], prices: list[Price]) -> PriceList:
    return PriceList().extended(versions, prices, 1, NOW + MINUTE)


LIST = known([version()], [price("p-1", 1000, NOW - 60 * MINUTE)])


def request(**changes: Any) -> RenewalRequested:
    terms: dict[str, Any] = {
        "offering_id": "cuba-1gb",
        "max_amount_minor": 1000,
        "currency": "USD",
        "payment_method_ids": ("card-1",),
        "payer_id": "payer-1",
    }
    terms |= {name: changes.pop(name) for name in list(changes) if name in terms}
    whole: dict[str, Any] = {
        "renewal_id": UUID("6b4d1d3f-3a33-4a5e-9d3a-2a6e8f7c1b11"),
        "subscription_id": "sub-1",
        "version": 1,
        "terms": Terms(**terms),
        "requested_at": NOW,
        "act_before": NOW + 10 * MINUTE,
        "cycle": 3,
    }
    return RenewalRequested(**(whole | changes))


def rejected(answer: RenewalPriced | RenewalRejected) -> str:
    assert isinstance(answer, RenewalRejected)
    assert answer.detail
    return answer.reason


def amount(answer: RenewalPriced | RenewalRejected) -> int:
    assert isinstance(answer, RenewalPriced), answer
    return answer.amount_minor


def test_a_priced_renewal_carries_all_that_is_needed_to_go_on() -> None:
    answer = price_renewal(request(), LIST)
    assert answer == RenewalPriced(
        renewal_id=request().renewal_id,
        subscription_id="sub-1",
        version=1,
        attempt=1,
        terms=request().terms,
        amount_minor=1000,
        currency="USD",
        grant=Grant(data_bytes=10**9, validity_seconds=86_400, stacking="extend", product_code="cu1"),
        act_before=NOW + 10 * MINUTE,
        priced_at=NOW,
    )


@pytest.mark.parametrize("stacking", ["extend", "queue", "replace"])
def test_the_grant_says_how_the_data_is_stacked(stacking: Stacking) -> None:
    sold = OfferingVersion("cuba-1gb", 1, EVER, 10**9, 86_400, stacking, "cu1", "on_sale")
    answer = price_renewal(request(), known([sold], [price("p-1", 1000, NOW - MINUTE)]))
    assert isinstance(answer, RenewalPriced)
    assert answer.grant.stacking == stacking


def test_a_rejection_is_the_first_and_only_answer() -> None:
    answer = price_renewal(request(offering_id="nothing-like-it"), LIST)
    assert isinstance(answer, RenewalRejected)
    assert (answer.version, answer.attempt, answer.terms.offering_id) == (1, 1, "nothing-like-it")


def test_only_what_needs_no_notice_may_be_too_new_to_be_known() -> None:
    assert {"offering_unknown", "not_priced", "currency_mismatch"} == MAY_BE_TOO_NEW


def test_a_list_of_nothing_knows_nothing() -> None:
    assert PriceList() == PriceList(0, EVER, {})
    assert PriceList().revision == 0


def test_a_request_sent_again_later_gets_the_same_bytes_whatever_changed_meanwhile() -> None:
    first = price_renewal(request(), LIST).model_dump_json()
    later = LIST.extended(
        [version(2, NOW + MINUTE, 5 * 10**8, "withdrawn")],
        [
            price("p-2", 2000, NOW + 5 * MINUTE),
            price("p-1", 1000, NOW - 60 * MINUTE, until=NOW + MINUTE),
        ],
        2,
        NOW + 9 * MINUTE,
    )
    assert price_renewal(request(version=7), later).model_dump_json() == first


def test_the_maximum_is_what_may_be_charged_and_not_what_is() -> None:
    assert amount(price_renewal(request(max_amount_minor=5000), LIST)) == 1000
    assert rejected(price_renewal(request(max_amount_minor=999), LIST)) == "price_changed"


def test_a_price_above_the_maximum_is_told_so_that_it_can_be_agreed_and_no_other_rejection_has_one() -> None:
    too_dear = price_renewal(request(max_amount_minor=999), LIST)
    unknown = price_renewal(request(offering_id="nothing"), LIST)
    assert isinstance(too_dear, RenewalRejected)
    assert isinstance(unknown, RenewalRejected)
    assert (too_dear.amount_minor, unknown.amount_minor) == (1000, None)


def test_an_unknown_offering() -> None:
    assert rejected(price_renewal(request(offering_id="nothing"), LIST)) == "offering_unknown"


def test_a_price_without_its_offering_is_an_unknown_offering() -> None:
    assert rejected(price_renewal(request(), known([], [price("p-1", 1000, EVER)]))) == "offering_unknown"


def test_an_offering_without_a_price_yet() -> None:
    assert rejected(price_renewal(request(), known([version()], []))) == "not_priced"
    later = known([version()], [price("p-1", 1000, NOW + MINUTE)])
    assert rejected(price_renewal(request(), later)) == "not_priced"


def test_another_currency() -> None:
    assert rejected(price_renewal(request(currency="EUR"), LIST)) == "currency_mismatch"


def test_a_withdrawn_offering_from_the_moment_it_is() -> None:
    changed = LIST.extended([version(2, NOW, status="withdrawn")], [], 2, NOW + MINUTE)
    assert rejected(price_renewal(request(), changed)) == "offering_withdrawn"
    assert amount(price_renewal(request(requested_at=NOW - timedelta(microseconds=1)), changed)) == 1000


@pytest.mark.parametrize(
    ("at", "expected"),
    [(-MINUTE, 1000), (timedelta(0), 800), (4 * MINUTE, 800), (5 * MINUTE, 1000), (10 * MINUTE, 900)],
)
def test_price_changes_and_withdrawals_count_by_when_the_request_was_made(
    at: timedelta, expected: int
) -> None:
    prices = [
        price("p-1", 1000, NOW - 60 * MINUTE),
        price("p-2", 800, NOW, until=NOW + 5 * MINUTE),
        price("p-3", 900, NOW + 10 * MINUTE),
    ]
    assert amount(price_renewal(request(requested_at=NOW + at), known([version()], prices))) == expected


def test_a_changed_price_is_not_found_under_its_old_currency() -> None:
    changed = LIST.extended([], [price("p-1", 700, NOW - 60 * MINUTE, "EUR")], 2, NOW)
    assert rejected(price_renewal(request(), changed)) == "currency_mismatch"
    assert amount(price_renewal(request(currency="EUR"), changed)) == 700


changes = st.lists(
    st.one_of(
        st.tuples(st.just("price"), st.integers(1, 4), st.integers(-9, 9)),
        st.tuples(st.just("version"), st.integers(1, 4), st.integers(-9, 9)),
    ),
    max_size=10,
    unique_by=lambda change: (change[0], change[1]),
)


@given(changes, st.randoms(use_true_random=False), st.integers(-10, 10))
def test_a_list_is_the_same_however_its_changes_arrived(
    made: list[tuple[str, int, int]], random: Any, minute: int
) -> None:
    versions = [
        version(n, NOW + since * MINUTE + n * timedelta(seconds=1), n)
        for kind, n, since in made
        if kind == "version"
    ]
    prices = [
        price(f"p-{n}", n, NOW + since * MINUTE + n * timedelta(seconds=1))
        for kind, n, since in made
        if kind == "price"
    ]
    at_once = known(versions, prices)
    one_by_one = PriceList()
    steps: list[tuple[list[OfferingVersion], list[Price]]] = [([each], []) for each in versions]
    steps += [([], [each]) for each in prices]
    random.shuffle(steps)
    for step in [*steps, *steps]:
        one_by_one = one_by_one.extended(*step, 1, NOW + MINUTE)
    asked = request(requested_at=NOW + minute * MINUTE)
    assert price_renewal(asked, one_by_one) == price_renewal(asked, at_once)
