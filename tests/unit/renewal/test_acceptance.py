"""The acceptance policy: which entry holds, what is left of the terms, and how a refusal reads."""

import pytest

from services.renewal.domain.acceptance import ANY, Acceptance, Entry, Verdict
from services.renewal.domain.admission import Admitted, Refusal, acceptance_refusal
from tests.unit.renewal.test_admission import ask

KINDS = {"card-1": "card", "card-2": "card", "wallet-1": "wallet"}


def says(*entries: Entry, destination: str | None = "CU", country: str | None = "US") -> Acceptance:
    return Acceptance(destination, country, KINDS, entries)


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        ((), "allow"),
        (((ANY, ANY, ANY, "refuse"),), "refuse"),
        (((ANY, ANY, ANY, "refuse"), ("CU", ANY, ANY, "allow")), "allow"),
        ((("CU", ANY, ANY, "allow"), ("CU", "US", ANY, "refuse")), "refuse"),
        ((("CU", "US", ANY, "refuse"), ("CU", "US", "card", "allow")), "allow"),
        ((("CU", ANY, ANY, "refuse"), (ANY, "US", ANY, "allow")), "refuse"),
        (((ANY, "US", ANY, "refuse"), (ANY, ANY, "card", "allow")), "refuse"),
        ((("CU", ANY, "card", "allow"), (ANY, "US", "card", "refuse")), "allow"),
        # Two that are named are more than one, though that one is the destination.
        ((("CU", ANY, ANY, "refuse"), (ANY, "US", "card", "allow")), "allow"),
        (
            (("MX", ANY, ANY, "refuse"), ("CU", "ES", ANY, "refuse"), ("CU", "US", "paypal", "refuse")),
            "allow",
        ),
    ],
)
def test_the_most_specific_entry_that_is_meant_holds(
    entries: tuple[tuple[str, str, str, Verdict], ...], verdict: Verdict
) -> None:
    made = [Entry(*entry) for entry in entries]
    assert says(*made).verdict("card-1") == verdict
    assert says(*reversed(made)).verdict("card-1") == verdict


def test_what_nobody_told_us_of_is_meant_by_all_only() -> None:
    by_country = Entry("CU", "US", ANY, "refuse")
    assert says(by_country, country=None).verdict("card-1") == "allow"
    assert says(by_country, destination=None).verdict("card-1") == "allow"
    assert says(Entry(ANY, ANY, "card", "refuse")).verdict("card-9") == "allow"
    assert says(Entry("CU", ANY, ANY, "refuse"), country=None).verdict("card-9") == "refuse"


def test_methods_that_are_refused_are_left_out_in_their_order() -> None:
    policy = says(Entry(ANY, ANY, "card", "refuse"))
    assert policy.accepted(("card-1", "wallet-1", "card-2")) == ("wallet-1",)
    assert acceptance_refusal(("card-1", "wallet-1"), policy) is None


def test_where_none_is_left_the_refusal_says_what_to_do() -> None:
    refusal = acceptance_refusal(("card-1", "card-2"), says(Entry("CU", "US", "card", "refuse")))
    assert refusal is not None
    assert refusal.reason == "not_accepted"
    assert refusal.detail == (
        "For CU no payment by card is taken from a payer in US. "
        "Name a method of another kind, or another payer."
    )
    unknown = acceptance_refusal(("x",), says(Entry(ANY, ANY, ANY, "refuse"), destination=None, country=None))
    assert unknown is not None
    assert "For this destination no payment" in unknown.detail
    assert "by unknown is taken from a payer in an unknown country" in unknown.detail
    both = acceptance_refusal(("wallet-1", "card-1"), says(Entry(ANY, ANY, ANY, "refuse")))
    assert both is not None
    assert "by card, wallet is taken" in both.detail, "each kind, in order"


def test_an_asterisk_is_all() -> None:
    """As it is written over HTTP and in the table."""
    assert says(Entry("*", "*", "*", "refuse"), destination=None).verdict("card-9") == "refuse"


def test_admission_begins_with_what_is_left_and_refuses_where_nothing_is() -> None:
    admitted = ask(acceptance=says(Entry("CU", "US", "paypal", "refuse")))
    assert isinstance(admitted, Admitted)
    assert admitted.terms.payment_method_ids[0] == admitted.renewal.payment_method_id
    refused = ask(acceptance=says(Entry("CU", ANY, ANY, "refuse")))
    assert isinstance(refused, Refusal)
    assert refused.reason == "not_accepted"
