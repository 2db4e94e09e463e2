"""The demo's exit code: what must hold, and that each of it can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from deploy.local.books.comparison import Discrepancy, compare
from deploy.local.books.rows import Books, TransferLine
from deploy.local.demo.by_hand import Handmade
from deploy.local.demo.facts import RenewalFact, UsageFact
from deploy.local.demo.promises import Evening, percentile, promises, scene_results
from deploy.local.demo.story import Subscriber, cast
from deploy.local.demo.usage_file import Contents

Spoil = Callable[[Evening], Evening]


def renewal_of(person: Subscriber, state: str | None = None) -> RenewalFact:
    end = state or person.scene.end
    caller = "rule" if person.scene.asks == "rule" else "demo"
    return RenewalFact(
        f"r-{person.subscription_id}", person.subscription_id, end, caller, 0.2, end == "failed"
    )


@pytest.fixture
def evening() -> Evening:
    """A day on which everything went as told."""
    people = cast()
    paid = [
        TransferLine("", "capture", "wallet:ana", "held", 900, "USD"),
        TransferLine("", "applied", "held", "applied", 900, "USD"),
    ]
    comparison = compare(Books(transfers=paid))
    assert [each.kind for each in comparison.discrepancies] == ["wallets"]
    return Evening(
        people=people,
        renewals=[renewal_of(person) for person in people if person.scene.end != "none"],
        usage=UsageFact(recorded=100, refused=0, unknown=0),
        contents=Contents(lines=102, distinct=100),
        handmade=Handmade(duplicates_absorbed=1, reused_keys_refused=1),
        comparison=replace(comparison, discrepancies=()),
        set_aside=0,
        refusals={},
        own_file=False,
    )


def broken(evening: Evening) -> list[str]:
    return [promise.sentence for promise in promises(evening) if not promise.is_held]


def test_a_day_as_told_keeps_every_promise(evening: Evening) -> None:
    assert broken(evening) == []
    assert len(promises(evening)) >= 12


def ending(state: str, *, as_state: str, keep: int = 0) -> Spoil:
    """All renewals but `keep` that ended so end otherwise."""

    def spoil(evening: Evening) -> Evening:
        those = [one for one in evening.renewals if one.state == state]
        others = [one for one in evening.renewals if one.state != state]
        changed = [one._replace(state=as_state, was_declined=False) for one in those[keep:]]
        return evening._replace(renewals=[*others, *those[:keep], *changed])

    return spoil


def with_difference(evening: Evening) -> Evening:
    found = [Discrepancy("sums", "", "differs")]
    return evening._replace(comparison=replace(evening.comparison, discrepancies=found))


SPOILED: list[tuple[str, Spoil, str]] = [
    ("too few completed", ending("completed", as_state="parked", keep=149), "Renewals completed"),
    ("too few declined", ending("failed", as_state="parked", keep=9), "Renewals declined"),
    (
        "failed for another reason than a decline",
        lambda evening: evening._replace(
            renewals=[one._replace(was_declined=False) for one in evening.renewals]
        ),
        "Renewals declined",
    ),
    ("none refunded", ending("refunded", as_state="parked"), "ended in a refund"),
    (
        "too few begun by usage",
        lambda evening: evening._replace(renewals=[one._replace(caller="demo") for one in evening.renewals]),
        "begun by the usage",
    ),
    (
        "the duplicate began a second renewal",
        lambda evening: evening._replace(handmade=Handmade(reused_keys_refused=1)),
        "Duplicate requests absorbed",
    ),
    (
        "a used key took another request",
        lambda evening: evening._replace(handmade=Handmade(duplicates_absorbed=1)),
        "used key",
    ),
    (
        "a usage record was lost",
        lambda evening: evening._replace(usage=UsageFact(99, 0, 0)),
        "Every usage record",
    ),
    (
        "a usage record counted twice",
        lambda evening: evening._replace(usage=UsageFact(101, 0, 0)),
        "Every usage record",
    ),
    (
        "a usage record is of nobody",
        lambda evening: evening._replace(usage=UsageFact(100, 0, 1)),
        "Every usage record",
    ),
    (
        "a rule was turned away",
        lambda evening: evening._replace(refusals={"identity_not_verified": 1}),
        "No rule",
    ),
    ("a message was set aside", lambda evening: evening._replace(set_aside=1), "No message"),
    ("one person ended otherwise", ending("cancelled", as_state="completed", keep=1), "as the story says"),
    ("somebody renewed who had data enough", lambda evening: _one_more(evening), "as the story says"),
    (
        "somebody never renewed",
        lambda evening: evening._replace(renewals=evening.renewals[1:]),
        "as the story says",
    ),
    ("the books differ", with_difference, "row by row"),
    (
        "nothing was captured",
        lambda evening: evening._replace(comparison=compare(Books())),
        "Captured = applied",
    ),
]


def _one_more(evening: Evening) -> Evening:
    quiet = next(person for person in evening.people if person.scene.end == "none")
    return evening._replace(renewals=[*evening.renewals, renewal_of(quiet, "completed")])


@pytest.mark.parametrize(
    ("spoil", "words"), [case[1:] for case in SPOILED], ids=[case[0] for case in SPOILED]
)
def test_a_broken_promise_is_told(evening: Evening, spoil: Spoil, words: str) -> None:
    found = broken(spoil(evening))

    assert any(words in sentence for sentence in found), found


def test_a_carriers_own_file_is_not_held_to_the_storys_numbers(evening: Evening) -> None:
    by_hand = [person for person in evening.people if person.scene.asks == "by hand"]
    theirs = evening._replace(
        people=by_hand, renewals=[renewal_of(person) for person in by_hand], own_file=True
    )

    assert broken(theirs) == []
    assert broken(theirs._replace(own_file=False)) != []


def test_a_scene_tells_how_many_went_astray(evening: Evening) -> None:
    spoiled = ending("cancelled", as_state="completed", keep=1)(evening)

    astray = {result.scene.end: result.astray for result in scene_results(spoiled) if result.astray}

    assert astray == {"cancelled": 1}


def test_percentiles_are_nearest_ranks() -> None:
    hundred = [float(number) for number in range(1, 101)]

    assert (percentile(hundred, 0.5), percentile(hundred, 0.99)) == (50.0, 99.0)
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.5) == 0.0
