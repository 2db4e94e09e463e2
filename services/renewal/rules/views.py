"""What the API of rules, mandates and decisions takes and shows."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from services.renewal.domain.asking import TriggerKind
from services.renewal.rules.domain.decision import Decision, Outcome
from services.renewal.rules.domain.dunning import Dunning
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import (
    MAX_TRIGGERS,
    Instruction,
    Limits,
    Offerings,
    Pause,
    QuietHours,
    RenewalRule,
    TriggerWish,
)
from services.renewal.rules.setting import Wanted
from shared.contracts.fields import ChargeMinor, Currency, Id, Instant
from shared.http.body import Answer, Body

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)]
"""BCP 47, as `es-CU`; `und` where nobody knows."""


TriggerText = Annotated[
    str,
    StringConstraints(
        pattern=r"^(threshold:([1-9][0-9]?|100)%|threshold:[1-9][0-9]{0,14}|(expiring|predicted):[1-9][0-9]{0,5})$"
    ),
]
"""A kind with its limit in a few characters, as one fits into a field of CSV: `threshold:20%` of what was
granted, `threshold:500000000` bytes, `expiring:86400` and `predicted:900` seconds."""


class TriggerBody(TriggerWish, Body):
    """One reason to renew, with its limit: when no more than this is left, or this long before the end."""


def _form(given: object) -> str | None:
    """Which of its forms a trigger is sent in, so that only that one says what is wrong with it."""
    if isinstance(given, str):
        return "text" if ":" in given else "kind"
    return "object" if isinstance(given, dict | TriggerBody) else None


AnyTrigger = Annotated[
    Annotated[TriggerKind, Tag("kind")]
    | Annotated[TriggerText, Tag("text")]
    | Annotated[TriggerBody, Tag("object")],
    Discriminator(
        _form,
        custom_error_type="trigger_type",
        custom_error_message="Input should be a kind of trigger as text, or an object that has one",
    ),
]
"""By its kind alone, with its limit in a few characters, or field by field."""


class OfferingsBody(Offerings, Body):
    """What to buy: the same again, more where it ran out early, less where much was left."""


class QuietHoursBody(QuietHours, Body):
    """Local hours in which nothing is charged: what is due then waits until they end."""


class DunningBody(Dunning, Body):
    """When a failed payment is tried anew, in seconds from try to try; after the last the rule is paused."""


class RuleBody(Limits, Body):
    """Renew by itself when data runs out: when, what to buy, how to pay, and at most for how much.

    The short form names kinds of triggers, one offering and one cap. Without `mandate_id` the rule stands on
    the mandate that it stood on before, or on the word of whoever sets it, up to the cap.
    """

    triggers: Annotated[tuple[AnyTrigger, ...], Field(min_length=1, max_length=MAX_TRIGGERS)]
    offering_id: Annotated[Id | None, Field(description="The short form of `offerings`.")] = None
    offerings: OfferingsBody | None = None
    quiet_hours: QuietHoursBody | None = None
    dunning: Annotated[DunningBody | None, Field(description="As the house does it, if left out.")] = None
    mandate_id: Annotated[Id | None, Field(description="The evidence of the payer's consent.")] = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.offerings is None and self.offering_id is None:
            raise ValueError("name an offering: offering_id, or offerings with same, up and down")
        if self.offerings is not None and self.offering_id not in (None, self.offerings.same):
            raise ValueError("offering_id and offerings.same differ: leave one of them out")
        wishes = self.wishes
        if len({wish.kind for wish in wishes}) < len(wishes):
            raise ValueError("a kind of trigger is named twice, with different limits")
        return self

    @property
    def wishes(self) -> tuple[TriggerWish, ...]:
        """Each once, by kind."""
        read = [_wish(wish) for wish in self.triggers]
        return tuple(sorted(set(read), key=lambda wish: wish.kind))

    @property
    def instruction(self) -> Instruction:
        offerings = self.offerings or Offerings(same=self.offering_id or "")
        quiet, dunning = self.quiet_hours, self.dunning
        return Instruction(
            **{name: getattr(self, name) for name in Limits.model_fields},
            triggers=self.wishes,
            offerings=Offerings(**{name: getattr(offerings, name) for name in Offerings.model_fields}),
            quiet_hours=quiet
            and QuietHours(**{name: getattr(quiet, name) for name in QuietHours.model_fields}),
            dunning=dunning and Dunning(**{name: getattr(dunning, name) for name in Dunning.model_fields}),
        )

    def wanted(self, subscription_id: str) -> Wanted:
        return Wanted(subscription_id, self.instruction, self.mandate_id)


class BulkRule(RuleBody):
    """One of many rules."""

    subscription_id: Id


class PauseView(Answer):
    """Who paused the rule, and why."""

    at: datetime
    by: str
    why: str


class RuleView(Answer):
    """A subscription's rule as it is now. What it shows may be sent back as it is."""

    subscription_id: str
    version: int
    triggers: list[TriggerKind | dict[str, Any]]
    """A kind by its name where no limit goes with it."""
    offering_id: str
    offerings: Offerings
    payment_method_ids: tuple[str, ...]
    payer_id: str | None
    cap_amount_minor: int
    currency: str
    cap_day_minor: int | None
    cap_period_minor: int | None
    period_days: int
    max_renewals: int | None
    cool_down_seconds: int
    quiet_hours: QuietHours | None
    dunning: Dunning | None
    """As the house does it, if null."""
    valid_until: datetime | None
    notice_seconds: int
    enabled: bool
    mandate_id: str | None
    paused: PauseView | None
    """By anybody; by the subscriber, where nobody else has."""
    opted_out: PauseView | None
    """By the subscriber's own text message, whoever has paused it besides."""


def rule_view(rule: RenewalRule) -> RuleView:
    says = rule.says
    return RuleView(
        subscription_id=rule.subscription_id,
        version=rule.version,
        triggers=[_shown(wish) for wish in says.triggers],
        offering_id=says.offerings.same,
        offerings=says.offerings,
        quiet_hours=says.quiet_hours,
        dunning=says.dunning,
        mandate_id=rule.mandate_id,
        paused=_pause_view(next(iter(rule.pauses), None)),
        opted_out=_pause_view(rule.opt_out),
        **{name: getattr(says, name) for name in Limits.model_fields},
    )


def _pause_view(pause: Pause | None) -> PauseView | None:
    return pause and PauseView(**pause._asdict())


def _wish(given: str | TriggerBody) -> TriggerWish:
    if isinstance(given, TriggerBody):
        return TriggerWish(**{name: getattr(given, name) for name in TriggerWish.model_fields})
    kind, _, limit = given.partition(":")
    if not limit:
        return TriggerWish.model_validate({"kind": kind})
    if kind != "threshold":
        return TriggerWish.model_validate({"kind": kind, "within_seconds": int(limit)})
    unit = "percent" if limit.endswith("%") else "bytes"
    return TriggerWish.model_validate({"kind": kind, unit: int(limit.removesuffix("%"))})


def _shown(wish: TriggerWish) -> Any:
    told = wish.model_dump(exclude_none=True)
    return wish.kind if told.keys() == {"kind"} else told


class MandateBody(Body):
    """What a payer agreed to: which text, where and when, up to which price per charge."""

    payer_id: Id
    text_version: Id
    text_sha256: Annotated[Sha256, Field(description="Of the text that was shown, in hexadecimal.")]
    channel: Annotated[Id, Field(description="Where it was given: `app`, `shop`, `phone`, ...")]
    given_at: Instant
    language: Language
    max_amount_minor: ChargeMinor
    currency: Currency
    valid_until: Instant | None = None


class BulkMandate(MandateBody):
    """One of many mandates."""

    subscription_id: Id
    mandate_id: Id


class MandateView(Answer):
    """Evidence of consent."""

    subscription_id: str
    mandate_id: str
    payer_id: str
    text_version: str
    text_sha256: str | None
    channel: str
    given_at: datetime
    language: str
    max_amount_minor: int
    currency: str
    valid_until: datetime | None
    recorded_by: str
    recorded_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_why: str | None


def mandate_view(mandate: Mandate) -> MandateView:
    told = mandate._asdict()
    if mandate.text_sha256 is not None:
        told["text_sha256"] = mandate.text_sha256.hex()
    return MandateView(**told)


def mandate_of(body: MandateBody, subscription_id: str, mandate_id: str, by: str, now: datetime) -> Mandate:
    return Mandate(
        subscription_id,
        mandate_id,
        body.payer_id,
        body.text_version,
        bytes.fromhex(body.text_sha256),
        body.channel,
        body.given_at,
        body.language,
        body.max_amount_minor,
        body.currency,
        body.valid_until,
        by,
        now,
    )


class DecisionView(Answer):
    """What became of a trigger, why, and when it is tried again."""

    cycle: int
    trigger: str
    dunning_try: int
    decided_at: datetime
    outcome: Outcome
    reason: str | None
    detail: str
    renewal_id: UUID | None
    next_try_at: datetime | None
    mandate_id: str | None
    limited_by: str | None
    """Which of the rule's limits was the lowest."""
    shadow: bool
    """The subscription was not live: this is what would have been done."""
    terms: dict[str, Any] | None
    """In shadow, what would have been renewed: offering, maximum, currency, first payment method."""


def decision_view(decision: Decision) -> DecisionView:
    return DecisionView(
        cycle=decision.cycle,
        trigger=decision.kind,
        dunning_try=decision.dunning_try,
        decided_at=decision.decided_at,
        outcome=decision.outcome,
        reason=decision.reason,
        detail=decision.detail,
        renewal_id=decision.renewal_id,
        next_try_at=decision.next_try_at,
        mandate_id=decision.mandate_id,
        limited_by=decision.bound_by,
        shadow=decision.shadow,
        terms=None if decision.terms is None else orjson.loads(decision.terms),
    )
