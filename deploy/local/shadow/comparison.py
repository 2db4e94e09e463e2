"""Every subscription's month, one after the other, written down as it goes."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deploy.local.shadow.diff import COLUMNS, RESULTS, Line, Totals, fields_of
from deploy.local.shadow.kept import KeptMandate, KeptRule, word_of_the_importer
from deploy.local.shadow.month import Month, Subscriber, World
from deploy.local.shadow.shelf import Shelf
from services.provisioning.subscriptions.bodies import SubscriptionItem
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import RenewalRule, changed
from services.usage.bodies import BucketItem
from services.usage.rules import wants_of


@dataclass(frozen=True)
class Comparison:
    """What is on the shelf, in this world."""

    shelf: Shelf
    world: World
    began_at: datetime

    def lines(self) -> Iterator[list[Line]]:
        """The lines of each subscription, in the order of their ids; at last those of nobody."""
        for name, body in self.shelf.subscriptions():
            subscription = SubscriptionItem.model_validate_json(body)
            records = self.shelf.records_of(subscription.iccid)
            charges = self.shelf.charges_of(name)
            yield Month(self.world, self._subscriber(subscription)).go_by(records, charges)
        why = "No subscription has that id or ICCID."
        for named, theirs in self.shelf.charges_of_nobody():
            yield [Line(named, "only_they", "subscription_unknown", why, None, theirs)]

    def write(self, path: Path, totals_path: Path) -> Totals:
        """Every line as CSV, and a line for each subscription that has any; the sum of all."""
        totals = Totals()
        with (
            path.open("w", encoding="utf-8", newline="") as file,
            totals_path.open("w", encoding="utf-8", newline="") as sums,
        ):
            every, each = csv.writer(file, lineterminator="\n"), csv.writer(sums, lineterminator="\n")
            every.writerow(COLUMNS)
            each.writerow(("subscription_id", *RESULTS, "our_minor", "their_minor"))
            for lines in self.lines():
                totals.add(lines)
                every.writerows(fields_of(line) for line in lines)
                if lines:
                    each.writerow(_sum(lines))
        return totals

    def _subscriber(self, subscription: SubscriptionItem) -> Subscriber:
        name = subscription.subscription_id
        rule, mandate, methods = None, None, []
        body = self.shelf.one("rule_of", name)
        if body is not None:
            rule = KeptRule.model_validate_json(body).rule
            mandate = self._mandate(rule, subscription)
            payer_id = rule.payer(subscription.owner_id) or ""
            methods = [
                f"{method} {told}"
                for method in rule.says.payment_method_ids
                if (told := self._method(method, payer_id)) is not None
            ]
        buckets = [BucketItem.model_validate_json(each) for each in self.shelf.buckets_of(name)]
        return Subscriber(
            subscription,
            rule,
            mandate,
            None if rule is None else wants_of(changed(rule)),
            methods,
            [each.granted(each.bucket_id, self.began_at) for each in buckets],
        )

    def _mandate(self, rule: RenewalRule, subscription: SubscriptionItem) -> Mandate | None:
        name, owner_id = rule.subscription_id, subscription.owner_id
        if rule.mandate_id is not None:
            body = self.shelf.one("mandate_of", name, rule.mandate_id)
            return None if body is None else KeptMandate.model_validate_json(body).mandate(self.began_at)
        if rule.payer(owner_id) != owner_id:
            return None
        return word_of_the_importer(rule, owner_id, self.began_at)

    def _method(self, method: str, assumed: str) -> str | None:
        """`payer status` of the method; where no methods were given it is the payer's own, and active."""
        if not self.shelf.has_methods:
            return f"{assumed} active"
        told: str | None = self.shelf.one("method", method)
        return told


def _sum(lines: list[Line]) -> tuple[object, ...]:
    results = [line.result for line in lines]
    ours = sum(line.ours.amount_minor or 0 for line in lines if line.ours)
    theirs = sum(line.theirs.amount_minor for line in lines if line.theirs)
    return (lines[0].subscription_id, *(results.count(result) for result in RESULTS), ours, theirs)
