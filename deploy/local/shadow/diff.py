"""The difference between two systems: line by line, and in sum. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

from deploy.local.shadow.shelf import Charged

Result = Literal["both", "other_amount", "other_offering", "only_we", "only_they"]
RESULTS: Final[tuple[Result, ...]] = get_args(Result)
"""`other_amount`: both charged, not the same; `other_offering`: the same, for something else."""


class Ours(NamedTuple):
    """A renewal that we would have made. Amounts in minor units; `amount_minor` None: no price was given."""

    at: datetime
    trigger: str
    detail: str
    offering_id: str
    amount_minor: int | None
    max_amount_minor: int
    currency: str


class Line(NamedTuple):
    """What each did; `reason` and `detail` say why: our trigger, or why we would not have charged."""

    subscription_id: str
    result: Result
    reason: str
    detail: str
    ours: Ours | None
    theirs: Charged | None

    @property
    def at(self) -> datetime:
        instants = [each.at for each in (self.ours, self.theirs) if each is not None]
        return min(instants)


COLUMNS: Final = (
    "subscription_id",
    "result",
    "reason",
    "detail",
    "our_at",
    "our_offering_id",
    "our_amount_minor",
    "our_max_amount_minor",
    "our_currency",
    "their_at",
    "their_offering_id",
    "their_amount_minor",
    "their_currency",
    "seconds_apart",
)


def fields_of(line: Line) -> tuple[object, ...]:
    """The line under COLUMNS; an empty field is one that there is not."""
    ours, theirs = line.ours, line.theirs
    apart = int((ours.at - theirs.at).total_seconds()) if ours and theirs else ""
    return (
        *line[:4],
        *(
            (
                _text(ours.at),
                ours.offering_id,
                _shown(ours.amount_minor),
                ours.max_amount_minor,
                ours.currency,
            )
            if ours
            else ("",) * 5
        ),
        *(
            (_text(theirs.at), theirs.offering_id, theirs.amount_minor, theirs.currency)
            if theirs
            else ("",) * 4
        ),
        apart,
    )


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _shown(amount: int | None) -> object:
    return "" if amount is None else amount


def matched(subscription_id: str, ours: Ours, theirs: Charged) -> Line:
    """Both charged, within the window."""
    result: Result = "both" if ours.offering_id == theirs.offering_id else "other_offering"
    if ours.amount_minor is not None and (ours.amount_minor, ours.currency) != theirs[1:3]:
        result = "other_amount"
    return Line(subscription_id, result, ours.trigger, ours.detail, ours, theirs)


class Pairing:
    """Finds for each of our renewals the charge of theirs that goes with it: the earliest within the window.

    `theirs` and `ours` are those that wait for the other side; told in the order of time.
    """

    def __init__(self, within: timedelta) -> None:
        self._within = within
        self.ours: list[Ours] = []
        self.theirs: list[Charged] = []

    def we_charge(self, ours: Ours) -> Charged | None:
        """The charge of theirs that it goes with; None: it waits."""
        for place, theirs in enumerate(self.theirs):
            if ours.at - theirs.at <= self._within:
                return self.theirs.pop(place)
        self.ours.append(ours)
        return None

    def they_charge(self, theirs: Charged) -> Ours | None:
        for place, ours in enumerate(self.ours):
            if theirs.at - ours.at <= self._within:
                return self.ours.pop(place)
        self.theirs.append(theirs)
        return None

    def ends_at(self) -> datetime | None:
        """When the first charge of theirs has waited for longer than it may."""
        return self.theirs[0].at + self._within + timedelta(microseconds=1) if self.theirs else None


@dataclass
class Totals:
    """The sum of all lines. Amounts in minor units by currency."""

    lines: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    our_minor: Counter[tuple[str, str]] = field(default_factory=Counter)
    their_minor: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.lines[line.result] += 1
            self.reasons[line.result, line.reason] += 1
            if line.ours and line.ours.amount_minor is not None:
                self.our_minor[line.result, line.ours.currency] += line.ours.amount_minor
            if line.theirs:
                self.their_minor[line.result, line.theirs.currency] += line.theirs.amount_minor

    def told(self) -> Iterator[str]:
        """The summary, a line at a time."""
        for result in RESULTS:
            yield f"{result:<15}{self.lines[result]:>10}{self._amounts(result)}"
            for (of, reason), number in sorted(self.reasons.items(), key=lambda each: (-each[1], each[0])):
                if of == result:
                    yield f"  {reason:<26}{number:>10}"

    def _amounts(self, result: str) -> str:
        currencies = sorted(
            {currency for of, currency in [*self.our_minor, *self.their_minor] if of == result}
        )
        told = [
            f"{currency} ours {self.our_minor[result, currency]} theirs {self.their_minor[result, currency]}"
            for currency in currencies
        ]
        return f"   {'; '.join(told)}" if told else ""
