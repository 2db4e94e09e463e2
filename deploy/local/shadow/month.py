"""One subscription's month as we would have done it: usage counted, triggers judged, top-ups simulated. Pure.

The functions that count and judge are those of the services: buckets and triggers of usage, the judgement
of renewal's rules, the catalog's pricing. What a carrier and a payment provider would have said is assumed:
every payment is made, and every top-up is applied at once.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from deploy.local.shadow.diff import Line, Ours, Pairing, matched
from deploy.local.shadow.shelf import Charged, Use
from services.catalog.offerings.bodies import OfferingItem
from services.catalog.prices.domain.price_list import PriceList
from services.catalog.prices.domain.pricing import price_renewal
from services.provisioning.subscriptions.bodies import SubscriptionItem
from services.renewal.domain import wording
from services.renewal.domain.admission import Admitted, Announced, Kept, Standing
from services.renewal.domain.asking import Trigger, trigger_of
from services.renewal.domain.policy import Moment, Policy
from services.renewal.rules.domain.decision import Decision, after_end, decision_of
from services.renewal.rules.domain.judgement import Told, answer_trigger, wish_of
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.offering import OfferingTerms
from services.renewal.rules.domain.rule import RenewalRule
from services.renewal.rules.domain.spending import Charge
from services.usage.domain.balance import Balance, Granted, add_bucket, consume, top_up_bucket_id
from services.usage.domain.burn import burn_record
from services.usage.domain.carrier import Carrier
from services.usage.domain.device import offended_binding
from services.usage.domain.triggers import Wants, next_due_at, take_due
from shared.contracts.prices import RenewalRejected


@dataclass(frozen=True)
class World:
    """What all subscriptions have in common."""

    offerings: Mapping[str, OfferingItem]
    prices: PriceList | None
    """None: none were given, and amounts are not compared."""
    carrier: Carrier
    late_records: timedelta
    policy: Policy
    within: timedelta
    """So far apart at most two charges are about the same."""
    ends_at: datetime


@dataclass(frozen=True)
class Subscriber:
    """One subscription with its rule, as the files have them."""

    subscription: SubscriptionItem
    rule: RenewalRule | None
    mandate: Mandate | None
    rule_wants: tuple[int | None, ...] | None
    methods: Sequence[str]
    """Those that the rule names and that are known, each as `id payer status`."""
    buckets: Sequence[Granted]


@dataclass
class Month:
    """The state of one subscription while its month goes by."""

    world: World
    subscriber: Subscriber
    lines: list[Line] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    begun: set[object] = field(default_factory=set)
    waiting: Trigger | None = None
    last: Decision | None = None
    left: dict[Charged, int] = field(default_factory=dict)
    """How many bytes were left when they charged what could not be matched at once."""

    def __post_init__(self) -> None:
        subscription = self.subscriber.subscription
        self.name = subscription.subscription_id
        self.pairing = Pairing(self.world.within)
        self.balance = Balance(
            self.name,
            subscription.carrier,
            subscription.bound_imei,
            rule_wants=self.subscriber.rule_wants,
        )
        for granted in sorted(self.subscriber.buckets, key=lambda each: (each.cycle, each.bucket_id)):
            add_bucket(self.balance, granted, granted.began_at, self.world.late_records)
            self._look_ahead(granted.began_at)

    @property
    def wants(self) -> Wants:
        wants = self.world.carrier.wants
        return wants if self.balance.rule_wants is None else wants.overruled_by(self.balance.rule_wants)

    def go_by(self, records: Sequence[Use], charges: Sequence[Charged]) -> list[Line]:
        """The lines of the month, in the order of time. Both are given in that order."""
        uses, theirs = deque(records), deque(charges)
        while uses or theirs:
            if theirs and (not uses or theirs[0].at <= uses[0].ended_at):
                self._wake(theirs[0].at)
                self._they_charge(theirs.popleft())
            else:
                self._wake(uses[0].ended_at)
                self._use(uses.popleft())
        self._wake(self.world.ends_at + self.world.within)
        self._end()
        return sorted(self.lines, key=lambda line: (line.at, line.result))

    # -- what happens -------------------------------------------------------------------------------

    def _use(self, use: Use) -> None:
        balance, now = self.balance, use.ended_at
        balance.burn = burn_record(balance.burn, use.size, use.started_at, use.ended_at)
        owes_overrun = self.world.carrier.owes_overrun
        consume(balance, use.size, use.started_at, use.ended_at, owes_overrun=owes_overrun)
        if offended_binding(balance, use.imei, use.started_at) is not None:
            balance.foreign_imei = use.imei
        self._say(now)

    def _they_charge(self, theirs: Charged) -> None:
        ours = self.pairing.they_charge(theirs)
        if ours is not None:
            self.lines.append(matched(self.name, ours, theirs))
            return
        self.left[theirs] = self.balance.remaining_bytes(theirs.at)
        if not self.balance.granted_bytes:
            # Nothing is known that could run out: it begins with what they sold.
            self._only_they(theirs, theirs.at)

    def _wake(self, until: datetime) -> None:
        """All that happens because time passes, before that moment."""
        while True:
            due = self._due()
            if due is None or due[0] > until:
                return
            now, what = due
            if what == "lapse":
                self._say(now)
            elif what == "trigger" and self.waiting is not None:
                trigger, self.waiting = self.waiting, None
                self._judge(trigger, now)
            else:
                self._only_they(self.pairing.theirs[0], now)

    def _due(self) -> tuple[datetime, str] | None:
        held = self.waiting.not_before if self.waiting is not None else None
        instants = (
            (self.balance.next_due_at, "lapse"),
            (held, "trigger"),
            (self.pairing.ends_at(), "window"),
        )
        due = [(at, place, what) for place, (at, what) in enumerate(instants) if at is not None]
        if not due:
            return None
        at, _, what = min(due)
        return at, what

    def _only_they(self, theirs: Charged, now: datetime) -> None:
        """They alone charged it. Their top-up goes to our balance too, so that the month goes on alike."""
        self.pairing.theirs.remove(theirs)
        reason, detail = self._why_not(self.left[theirs])
        self.lines.append(Line(self.name, "only_they", reason, detail, None, theirs))
        self._top_up(theirs.offering_id, now)
        self._say_if_overrun_was_paid(now)

    def _end(self) -> None:
        for theirs in list(self.pairing.theirs):
            reason, detail = self._why_not(self.left[theirs])
            self.lines.append(Line(self.name, "only_they", reason, detail, None, theirs))
        for ours in self.pairing.ours:
            self.lines.append(Line(self.name, "only_we", ours.trigger, ours.detail, ours, None))

    def _why_not(self, remaining: int) -> tuple[str, str]:
        if self.subscriber.rule is None:
            return "rule_missing", "The subscription has no rule."
        if not self.balance.granted_bytes:
            return "balance_unknown", "No bucket of the subscription was given, and none had been sold yet."
        if self.last is not None and self.last.cycle == self.balance.cycle:
            return self.last.reason or self.last.outcome, self.last.detail
        share = remaining * 100 // self.balance.granted_bytes
        return "no_trigger", f"{remaining} bytes were left when they charged, {share} % of the last top-up."

    # -- triggers and what they lead to -------------------------------------------------------------

    def _say(self, now: datetime) -> None:
        for trigger in take_due(self.balance, now, self.wants):
            self._judge(trigger_of(trigger.message, None), now)
        self._look_ahead(now)

    def _look_ahead(self, now: datetime) -> None:
        self.balance.next_due_at = next_due_at(self.balance, now, self.wants)
        self.balance.events.clear()

    def _judge(self, trigger: Trigger, now: datetime) -> None:
        told = self._told()
        answer = answer_trigger(trigger, told, self._standing(trigger, told), now, self.world.policy)
        decision = decision_of(trigger, answer, now)
        if isinstance(answer, Kept | Announced):
            kept = self.waiting
            if kept is None or (kept.cycle, kept.dunning_try) < (trigger.cycle, trigger.dunning_try):
                self.waiting = answer.trigger
        if decision.reason != "cycle_over" and decision.outcome != "joined":
            self.last = decision
        if isinstance(answer, Admitted):
            self._renew(trigger, answer, decision, now)

    def _told(self) -> Told:
        rule = self.subscriber.rule
        if rule is None:
            return Told()
        sold = [
            OfferingTerms(item.offering_id, item.validity_seconds, item.status)
            for name in rule.says.offerings.named
            if (item := self.world.offerings.get(name)) is not None
        ]
        return Told(rule, self.subscriber.mandate, self.charges, sold, None, self.waiting)

    def _standing(self, trigger: Trigger, told: Told) -> Standing:
        subscription = self.subscriber.subscription
        offering = self.world.offerings.get(wish_of(told, trigger).offering_id)
        return Standing(
            renewal_id=trigger.renewal_id,
            existing_hash=b"" if trigger.renewal_id in self.begun else None,
            refused_hash=None,
            refused_reason=None,
            refused_detail=None,
            brand=subscription.brand,
            carrier=subscription.carrier,
            owner_id=subscription.owner_id,
            status=subscription.status,
            device_bound=subscription.bound_imei is not None,
            device_matches=self.balance.foreign_imei is None,
            cycle=self.balance.cycle,
            identity_verified=True,
            offering_status=offering.status if offering else None,
            offering_brands=list(offering.brands) if offering else None,
            offering_carriers=list(offering.carriers) if offering else None,
            offering_statuses=list(offering.subscription_statuses) if offering else None,
            methods=list(self.subscriber.methods),
            open_renewal_id=None,
        )

    def _renew(self, trigger: Trigger, answer: Admitted, decision: Decision, now: datetime) -> None:
        self.begun.add(trigger.renewal_id)
        terms, amount = answer.terms, None
        if self.world.prices is not None:
            said = wording.renewal_requested(answer.renewal, Moment(now, self.world.policy), terms)
            priced = price_renewal(said, self.world.prices)
            if isinstance(priced, RenewalRejected):
                failed = answer.renewal._replace(
                    state="failed", reason=priced.reason, amount_minor=priced.amount_minor, closed_at=now
                )
                self.last = after_end(decision, failed, now)
                return
            amount = priced.amount_minor
        limited = f"At most {terms.max_amount_minor} {terms.currency}, limited by {decision.bound_by}."
        ours = Ours(
            now, trigger.kind, limited, terms.offering_id, amount, terms.max_amount_minor, terms.currency
        )
        self.charges.append(Charge(now, terms.max_amount_minor if amount is None else amount, terms.currency))
        theirs = self.pairing.we_charge(ours)
        if theirs is not None:
            self.lines.append(matched(self.name, ours, theirs))
        self._top_up(terms.offering_id, now)
        self._say_if_overrun_was_paid(now)

    def _top_up(self, offering_id: str, now: datetime) -> None:
        """What the offering grants is there at once; it extends what is left, as sold."""
        item = self.world.offerings.get(offering_id)
        if item is None:
            return
        cycle = self.balance.cycle + 1
        granted = Granted(
            top_up_bucket_id(cycle),
            cycle,
            item.stacking,
            item.data_bytes,
            item.data_bytes,
            now + timedelta(seconds=item.validity_seconds),
            now,
            item.validity_seconds,
        )
        add_bucket(self.balance, granted, now, self.world.late_records)

    def _say_if_overrun_was_paid(self, now: datetime) -> None:
        if any(event.kind == "paid_overrun" for event in self.balance.events):
            self.balance.events.clear()
            self._say(now)
        self._look_ahead(now)
