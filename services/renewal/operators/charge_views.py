"""What the API of the switch takes and shows, and why a subscription did not renew."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from services.renewal.domain.asking import PAUSED, UNTIL
from services.renewal.domain.charge_stop import ChargeStop, StopKind, scope_of, stopping
from services.renewal.operators.charge_store import KeptTrigger, Refused
from services.renewal.operators.views import Because
from services.renewal.rules.views import DecisionView, RuleView
from services.renewal.views import RenewalSummary
from shared.contracts.fields import Id
from shared.http.body import Answer


class Scope(Because):
    """What to stop or to resume: everywhere, or one brand, carrier or subscription by its name."""

    kind: StopKind
    name: Annotated[
        Id | None, Field(description="Of the brand, carrier or subscription; left out for everywhere.")
    ] = None

    @property
    def scope(self) -> str:
        return scope_of(self.kind, self.name)


class StopView(Answer):
    """A stop of automatic charges that is in force."""

    scope: str
    kind: StopKind
    name: str | None
    stopped_by: str
    stopped_at: datetime
    why: str


class StopsView(Answer):
    """Everything that is stopped, and how many triggers wait for that to be over (counted to 100,000)."""

    stops: list[StopView]
    kept_triggers: int


class KeptTriggerView(Answer):
    """A trigger of the rule that waits, and what it waits for."""

    kind: str
    cycle: int
    held_by: str | None
    not_before: datetime | None
    kept_at: datetime
    detail: str


class RefusalView(Answer):
    """A request or trigger that did not become a renewal."""

    caller: str
    request_id: str
    reason: str
    detail: str
    refused_at: datetime


class SubscriptionView(Answer):
    """What there is to say about why a subscription renewed, or did not."""

    subscription_id: str
    brand: str
    carrier: str
    status: str
    rule: RuleView | None
    charges_stopped: StopView | None
    """What keeps its rule from renewing it now."""
    kept_trigger: KeptTriggerView | None
    decisions: list[DecisionView]
    """What became of its triggers, newest first."""
    refusals: list[RefusalView]
    """Newest first."""
    renewals: list[RenewalSummary]
    """Newest first."""


def stop_view(stop: ChargeStop) -> StopView:
    return StopView.model_validate(stop._asdict())


def in_force(
    stops: Sequence[ChargeStop], brand: str | None, carrier: str | None, subscription_id: str
) -> StopView | None:
    """The stop that keeps the subscription's rule from charging, if any does."""
    scope = stopping([stop.scope for stop in stops], brand, carrier, subscription_id)
    return next((stop_view(stop) for stop in stops if stop.scope == scope), None)


def kept_view(kept: KeptTrigger, stops: Sequence[ChargeStop]) -> KeptTriggerView:
    return KeptTriggerView.model_validate(kept._asdict() | {"detail": _kept_for(kept, stops)})


def _kept_for(kept: KeptTrigger, stops: Sequence[ChargeStop]) -> str:
    if kept.held_by is None:
        return "Another renewal of the subscription is under way; it is looked at again when that is closed."
    if kept.held_by == UNTIL and kept.not_before is not None:
        return f"It is looked at again at {kept.not_before:%Y-%m-%d %H:%M} UTC: its decision says why."
    if kept.held_by == UNTIL:
        return (
            "It costs more than was agreed to: the payer was asked, and it goes on by itself when they agree."
        )
    if kept.held_by == PAUSED:
        return "Its rule is paused; it is looked at again when the rule goes on."
    for stop in stops:
        if stop.scope == kept.held_by:
            return (
                f"{stop.stopped_by} stopped automatic charges ({stop.scope}): {stop.why}. "
                "It is looked at again when they are resumed; asked for by hand it renews now."
            )
    return (
        f"Automatic charges were stopped ({kept.held_by}) and are resumed: it is looked at again in a moment."
    )


def refusal_view(refused: Refused) -> RefusalView:
    return RefusalView.model_validate(refused._asdict())
