"""What a search and a timeline show."""

from datetime import datetime
from typing import Literal

from services.renewal.domain.renewal import HistoryEntry, State
from services.renewal.operators.charge_views import KeptTriggerView, StopView
from services.renewal.operators.domain.filter import cases_of
from services.renewal.operators.domain.outlook import Upcoming
from services.renewal.operators.search import Found
from services.renewal.operators.store import AuditLine
from services.renewal.operators.views import ProposalView
from services.renewal.views import RenewalSummary, summary
from shared.http.body import Answer


class FoundRenewal(RenewalSummary):
    """A renewal that matches a search."""

    brand: str | None
    carrier: str | None
    age_seconds: float
    cases: list[str]
    """What a person has to look into."""
    next_due_at: datetime | None


class UpcomingView(Answer):
    """When time does something next, and what, if nothing is heard before."""

    at: datetime
    timer: str
    to_state: State
    says: list[str]
    reason: str | None
    then: str


class TimelineLine(Answer):
    """One thing that happened: `history` is the renewal's own, `operator` what a person did about it."""

    at: datetime
    kind: Literal["history", "operator"]
    what: str
    who: str | None
    why: str | None
    version: int | None
    from_state: State | None
    to_state: State | None
    attempt: int | None
    reason: str | None


class Timeline(Answer):
    """All that happened to a renewal, in order, and what will."""

    renewal: RenewalSummary
    brand: str | None
    carrier: str | None
    cases: list[str]
    """What a person has to look into about it, also where it is closed."""
    waits_for: str
    next: list[UpcomingView]
    """Earliest first."""
    timers_held: bool
    """A consumer is behind: until it has caught up silence and deadlines wait."""
    allowed: list[str]
    """What an operator may do in its state."""
    choices: dict[str, list[str]]
    """Of each of these that needs a choice: what `resolve` can have found, how `release` can end it."""
    open_proposal: ProposalView | None
    charges_stopped: StopView | None
    """What keeps the subscription's rule from renewing it next time."""
    kept_trigger: KeptTriggerView | None
    """The rule's next renewal, while it has to wait."""
    events: list[TimelineLine]


def found_renewal(found: Found, now: datetime) -> FoundRenewal:
    renewal = found.renewal
    return FoundRenewal(
        **summary(renewal).model_dump(),
        brand=found.brand,
        carrier=found.carrier,
        cases=list(cases_of(renewal)),
        age_seconds=max(0.0, (now - renewal.requested_at).total_seconds()),
        next_due_at=renewal.next_due_at if renewal.is_open else None,
    )


def upcoming_view(one: Upcoming) -> UpcomingView:
    return UpcomingView.model_validate(one._asdict())


def history_line(entry: HistoryEntry) -> TimelineLine:
    return TimelineLine(
        at=entry.at,
        kind="history",
        what=entry.message,
        who=None,
        why=entry.detail,
        version=entry.version,
        from_state=entry.from_state,
        to_state=entry.to_state,
        attempt=entry.attempt,
        reason=entry.reason,
    )


def deed_line(line: AuditLine) -> TimelineLine:
    return TimelineLine(
        at=line.at,
        kind="operator",
        what=" ".join(word for word in (line.step, line.action, line.choice) if word),
        who=line.operator,
        why=line.why,
        version=None,
        from_state=None,
        to_state=None,
        attempt=None,
        reason=None,
    )
