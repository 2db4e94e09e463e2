"""A rule: the standing instruction to renew when data runs out; what it says is kept as one document."""

from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from services.renewal.domain.asking import Trigger, TriggerKind
from services.renewal.rules.domain.dunning import HOUSE, Dunning
from shared.contracts.fields import (
    AheadSeconds,
    ChargeMinor,
    Currency,
    GrantedBytes,
    Id,
    Instant,
    PaymentMethodIds,
    Percent,
)
from shared.contracts.message import Part
from shared.contracts.renewal_rules import RenewalRuleChanged

DAY_SECONDS: Final = 86_400
MAX_TRIGGERS: Final = 4
MOST_AHEAD_SECONDS: Final = 31 * DAY_SECONDS
"""Whoever counts looks no further ahead."""

Days = Annotated[int, Field(ge=1, le=366)]
WaitSeconds = Annotated[int, Field(ge=0, le=31 * DAY_SECONDS)]
Hour = Annotated[int, Field(ge=0, le=23)]


class TriggerWish(Part):
    """One reason to renew. A limit that is left out is the one of whoever counts."""

    kind: TriggerKind
    percent: Percent | None = None
    """Renew when no more than this share of what the cycle granted is left."""
    bytes: GrantedBytes | None = None
    """With `percent` too, whichever is more."""
    within_seconds: AheadSeconds | None = None
    """Renew this long before the data lapses, or would be used up at the present rate."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "TriggerWish":
        if self.kind != "threshold" and (self.percent is not None or self.bytes is not None):
            raise ValueError("percent and bytes go with the kind threshold")
        if self.kind not in ("expiring", "predicted") and self.within_seconds is not None:
            raise ValueError("within_seconds goes with the kinds expiring and predicted")
        return self

    def is_met_by(self, trigger: Trigger) -> bool:
        """Whether the data is as near its end as the rule says; what is not told is no hindrance."""
        if self.kind != trigger.kind:
            return False
        if self.within_seconds is not None:
            if trigger.ends_at is None or trigger.occurred_at is None:
                return True
            return trigger.ends_at - trigger.occurred_at <= timedelta(seconds=self.within_seconds)
        if self.percent is None and self.bytes is None:
            return True
        if trigger.remaining_bytes is None or (self.percent is not None and trigger.granted_bytes is None):
            return True
        share = (self.percent or 0) * (trigger.granted_bytes or 0) // 100
        return trigger.remaining_bytes <= max(share, self.bytes or 0)


class Offerings(Part):
    """What to buy: the same again, more where it ran out early, less where much was left."""

    same: Id
    up: Id | None = None
    """Bought where the data was used up before `up_within_percent` of its validity had passed."""
    down: Id | None = None
    """Bought where at least `down_unused_percent` of the data was left."""
    up_within_percent: Percent = 50
    down_unused_percent: Percent = 50

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(name for name in (self.same, self.up, self.down) if name is not None)


class QuietHours(Part):
    """Local hours in which nothing is charged: from the first to before the second, over midnight too."""

    from_hour: Hour
    to_hour: Hour
    zone: Annotated[str, Field(min_length=1, max_length=64)]
    """Of the IANA time zone database, as `America/Havana`."""

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError("there is no such zone in the IANA time zone database") from error
        return zone

    @property
    def longest_seconds(self) -> int:
        """From their begin to their end; an hour less or more where clocks are changed meanwhile."""
        return (self.to_hour - self.from_hour) % 24 * 3600

    @model_validator(mode="after")
    def _leaves_time(self) -> "QuietHours":
        if self.from_hour == self.to_hour:
            raise ValueError("from_hour and to_hour are the same: nothing would ever be charged")
        return self


class Limits(Part):
    """How a rule pays and how often. Amounts in minor units of `currency`."""

    payment_method_ids: PaymentMethodIds
    """Tried in this order."""
    payer_id: Id | None = None
    """Whose methods pay; the owner's, if left out."""
    cap_amount_minor: ChargeMinor
    """At most this much per charge."""
    currency: Currency
    cap_day_minor: ChargeMinor | None = None
    """At most this much in any 24 hours, what is under way included."""
    cap_period_minor: ChargeMinor | None = None
    """At most this much in any `period_days` days."""
    period_days: Days = 30
    max_renewals: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """So many automatic renewals on one mandate, then no more."""
    cool_down_seconds: WaitSeconds = 0
    """From one automatic renewal to the next."""
    valid_until: Instant | None = None
    notice_seconds: WaitSeconds = 0
    """The payer is told this long before each charge; 0: not at all."""
    enabled: bool = True


class Instruction(Limits):
    """All that a rule says."""

    triggers: Annotated[tuple[TriggerWish, ...], Field(min_length=1, max_length=MAX_TRIGGERS)]
    offerings: Offerings
    quiet_hours: QuietHours | None = None
    dunning: Dunning | None = None
    """When a failed payment is tried anew; left out, as the house does it."""

    @property
    def dunned_by(self) -> Dunning:
        return self.dunning or HOUSE

    @property
    def lead_seconds(self) -> int:
        """How long it may take from a trigger until it is charged, as far as the rule itself has it wait."""
        quiet = 0 if self.quiet_hours is None else self.quiet_hours.longest_seconds
        return self.notice_seconds + quiet

    def wants(self, trigger: Trigger) -> bool:
        return any(wish.is_met_by(trigger) for wish in self.triggers)

    @property
    def is_short(self) -> bool:
        """Whether it says no more than processes from before mandates understand."""
        return self == short_form(
            tuple(wish.kind for wish in self.triggers),
            self.offerings.same,
            self.payment_method_ids,
            self.cap_amount_minor,
            self.currency,
            enabled=self.enabled,
        )


def short_form(
    kinds: tuple[TriggerKind, ...],
    offering_id: str,
    payment_method_ids: tuple[str, ...],
    cap_amount_minor: int,
    currency: str,
    *,
    enabled: bool,
) -> Instruction:
    """A rule as it was before mandates: kinds of triggers, one offering, one cap."""
    return Instruction(
        triggers=tuple(TriggerWish(kind=kind) for kind in kinds),
        offerings=Offerings(same=offering_id),
        payment_method_ids=payment_method_ids,
        cap_amount_minor=cap_amount_minor,
        currency=currency,
        enabled=enabled,
    )


class Pause(NamedTuple):
    """Who paused a rule, and why."""

    at: datetime
    by: str
    why: str


class RenewalRule(NamedTuple):
    """One subscription's rule."""

    subscription_id: str
    version: int
    says: Instruction
    mandate_id: str | None
    """The evidence of consent that it stands on; None only where an older process wrote it."""
    pause: Pause | None = None
    """By anybody but the subscriber: an operator, whoever looks after the account, the last failed try."""
    opt_out: Pause | None = None
    """The subscriber's own word, by text message. Neither is lifted with the other."""

    @property
    def pauses(self) -> tuple[Pause, ...]:
        """All that have paused it. Nothing is charged while there is one."""
        return tuple(pause for pause in (self.pause, self.opt_out) if pause is not None)

    def payer(self, owner_id: str | None) -> str | None:
        return self.says.payer_id or owner_id


def changed(rule: RenewalRule) -> RenewalRuleChanged:
    """What whoever counts is told of it."""
    wishes = {wish.kind: wish for wish in rule.says.triggers}
    threshold, predicted, expiring = (
        wishes.get(kind, TriggerWish(kind=kind)) for kind in ("threshold", "predicted", "expiring")
    )
    return RenewalRuleChanged(
        subscription_id=rule.subscription_id,
        version=rule.version,
        enabled=rule.says.enabled,
        paused=bool(rule.pauses),
        threshold_percent=threshold.percent,
        threshold_bytes=threshold.bytes,
        predicted_seconds=predicted.within_seconds,
        expiring_seconds=expiring.within_seconds,
        lead_seconds=min(rule.says.lead_seconds, MOST_AHEAD_SECONDS) or None,
    )
