"""What the story promises, and whether it held. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final, NamedTuple

from deploy.local.books.comparison import Comparison
from deploy.local.demo.by_hand import Handmade
from deploy.local.demo.facts import RenewalFact, UsageFact
from deploy.local.demo.story import Scene, Subscriber
from deploy.local.demo.usage_file import Contents

COMPLETED: Final = 150
DECLINED: Final = 10
REFUNDED: Final = 1
DUPLICATES: Final = 1
BEGUN_BY_USAGE: Final = 100


class Evening(NamedTuple):
    """All that is known when the day is over. `own_file`: the usage is a carrier's, not the story's."""

    people: Sequence[Subscriber]
    renewals: Sequence[RenewalFact]
    usage: UsageFact
    contents: Contents
    handmade: Handmade
    comparison: Comparison
    set_aside: int
    refusals: dict[str, int]
    own_file: bool


class Promise(NamedTuple):
    """One sentence that must be true, whether it is, and what was found."""

    sentence: str
    is_held: bool
    found: str


class SceneResult(NamedTuple):
    """How a scene ended: renewals by state, and how many of its people ended otherwise than they should."""

    scene: Scene
    people: int
    ends: Counter[str]
    astray: int


def declined(renewals: Sequence[RenewalFact]) -> int:
    """Renewals that failed because no card or wallet would pay."""
    return sum(one.state == "failed" and one.was_declined for one in renewals)


def promises(evening: Evening) -> list[Promise]:
    """Every promise of the demo; of a carrier's own file only as much as any file can keep."""
    return [
        *_books(evening),
        *(_of_any_day(evening) if evening.own_file else _of_the_story(evening)),
        *_of_every_run(evening),
    ]


def _books(evening: Evening) -> Iterator[Promise]:
    comparison = evening.comparison
    found = len(comparison.discrepancies)
    yield Promise(
        "Our books equal the sandbox's journals, row by row",
        comparison.is_balanced,
        f"{comparison.captures} captures, {comparison.refunds} refunds, {comparison.top_ups} top-ups compared"
        + (f", {found} differences" if found else ""),
    )
    yield Promise(
        "Captured = applied + refunded + held, in every currency",
        bool(comparison.totals) and all(total.are_equal for total in comparison.totals),
        ", ".join(total.currency for total in comparison.totals) or "nothing was captured",
    )


def _of_the_story(evening: Evening) -> Iterator[Promise]:
    ends = Counter(one.state for one in evening.renewals)
    begun = sum(one.is_by_rule for one in evening.renewals)
    yield _at_least(COMPLETED, "Renewals completed", ends["completed"])
    yield _at_least(DECLINED, "Renewals declined", declined(evening.renewals))
    yield _at_least(BEGUN_BY_USAGE, "Renewals begun by the usage in the file", begun)
    astray = [result for result in scene_results(evening) if result.astray]
    yield Promise(
        "Everyone's day ended as the story says",
        not astray,
        "; ".join(f"{one.astray} of {one.people} astray: {one.scene.name}" for one in astray)
        or f"{len(evening.people)} people",
    )


def _of_any_day(evening: Evening) -> Iterator[Promise]:
    yield _at_least(1, "Renewals declined", declined(evening.renewals))


def _of_every_run(evening: Evening) -> Iterator[Promise]:
    ends = Counter(one.state for one in evening.renewals)
    handmade, usage = evening.handmade, evening.usage
    yield _at_least(REFUNDED, "Top-ups that failed and ended in a refund", ends["refunded"])
    yield _at_least(DUPLICATES, "Duplicate requests absorbed", handmade.duplicates_absorbed)
    yield _at_least(1, "Other requests under a used key refused", handmade.reused_keys_refused)
    yield Promise(
        "Every usage record was counted, and once",
        usage.recorded == evening.contents.distinct and not usage.unknown,
        f"{usage.recorded} of {evening.contents.distinct}, {evening.contents.again} delivered twice",
    )
    why = ", ".join(f"{reason} {number}" for reason, number in sorted(evening.refusals.items()))
    yield Promise("No rule was turned away", not evening.refusals, why or "none was")
    yield Promise("No message was set aside", not evening.set_aside, f"{evening.set_aside} were")


def _at_least(wanted: int, what: str, found: int) -> Promise:
    return Promise(f"{what}: at least {wanted}", found >= wanted, str(found))


def scene_results(evening: Evening) -> list[SceneResult]:
    """Every scene with how it ended, in the order of the story."""
    ends: defaultdict[str, list[str]] = defaultdict(list)
    for renewal in evening.renewals:
        ends[renewal.subscription_id].append(renewal.state)
    scenes: dict[str, list[Subscriber]] = {}
    for person in evening.people:
        scenes.setdefault(person.scene.name, []).append(person)
    return [
        SceneResult(
            people[0].scene,
            len(people),
            Counter(end for person in people for end in ends[person.subscription_id]),
            sum(not _is_as_told(person, ends[person.subscription_id]) for person in people),
        )
        for people in scenes.values()
    ]


def _is_as_told(person: Subscriber, ends: Sequence[str]) -> bool:
    match person.scene.end:
        case "any":
            return True
        case "none":
            return not ends
        case end:
            return bool(ends) and set(ends) == {end}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies (nearest rank); 0 for none."""
    ordered = sorted(values)
    return ordered[max(ceil(len(ordered) * share) - 1, 0)] if ordered else 0.0
