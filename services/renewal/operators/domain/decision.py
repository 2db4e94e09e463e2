"""What an operator can want done to a renewal, and what of it needs a second person."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

from services.renewal.domain.actions import (
    Action,
    OperatorCancels,
    OperatorRefunds,
    OperatorReleases,
    OperatorResolves,
    OperatorRetries,
)
from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import Renewal
from services.renewal.domain.trial import does_something

ActionName = Literal[
    "retry",  # the step's command again, now
    "cancel",  # give up while no money was taken
    "refund",  # give the money back, once nothing can be applied
    "resolve",  # say what an unknown outcome was
    "release",  # close a parked renewal as decided
]
Finding = Literal["applied", "not_applied", "captured", "not_captured", "refunded"]
Outcome = Literal["completed", "refunded", "failed", "cancelled"]
Choice = Literal[Finding, Outcome]

CLASSES: Final[Mapping[ActionName, type[Action]]] = {
    "retry": OperatorRetries,
    "cancel": OperatorCancels,
    "refund": OperatorRefunds,
    "resolve": OperatorResolves,
    "release": OperatorReleases,
}

MONEY: Final[frozenset[ActionName]] = frozenset({"refund", "resolve", "release"})
"""Decides whose money it is: one operator proposes, another approves."""

CHOICES: Final[Mapping[ActionName, tuple[Choice, ...]]] = {
    "resolve": get_args(Finding),
    "release": get_args(Outcome),
}
"""What has to be chosen besides; the other actions say everything by themselves."""


class Decision(NamedTuple):
    """One action, with the finding of a `resolve` or the outcome of a `release`."""

    action: ActionName
    choice: Choice | None = None

    @property
    def needs_second(self) -> bool:
        return self.action in MONEY

    def asked_by(self, operator: str, why: str, approver: str | None = None) -> Action:
        """The message that the saga reads."""
        if self.action == "resolve":
            return OperatorResolves(operator, self.choice, why=why, approver=approver)  # type: ignore[arg-type] # of CHOICES
        if self.action == "release":
            return OperatorReleases(operator, self.choice, why, approver=approver)  # type: ignore[arg-type] # of CHOICES
        return CLASSES[self.action](operator, why=why, approver=approver)


def possible(renewal: Renewal, moment: Moment) -> list[ActionName]:
    """The actions that would do something to this renewal now, with one of their choices at least."""
    return [name for name in CLASSES if _is_possible(name, renewal, moment)]


def _is_possible(name: ActionName, renewal: Renewal, moment: Moment) -> bool:
    return any(_does_something(name, choice, renewal, moment) for choice in CHOICES.get(name, (None,)))


def choices(name: ActionName, renewal: Renewal, moment: Moment) -> list[Choice]:
    """Which findings, or which outcomes, would do something to this renewal now."""
    return [choice for choice in CHOICES.get(name, ()) if _does_something(name, choice, renewal, moment)]


def _does_something(name: ActionName, choice: Choice | None, renewal: Renewal, moment: Moment) -> bool:
    return does_something(renewal, Decision(name, choice).asked_by("anybody", ""), moment)
