"""How the rows of renewal's tables are read as the lines that memory holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.renewal.cut_over.store import shares_of
from services.renewal.domain.asking import Trigger
from services.renewal.domain.renewal import Renewal
from services.renewal.domain.review import Review
from services.renewal.domain.waiting import Waiting
from services.renewal.rules.domain.decision import Decision
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import RenewalRule
from services.renewal.rules.store import rule_of
from services.renewal.store import Orphan
from tests.conformance.stage import Mirror
from tests.simulation.stores.renewal import (
    ArchivedLine,
    CutOverLine,
    HistoryLine,
    OfferingLine,
    OfferingTermsLine,
    ProgressLine,
    RefusalLine,
    RenewalLine,
    SubscriptionLine,
)

NOT_KEPT: Final[Mapping[str, frozenset[str]]] = {
    "renewal_rules": frozenset({"set_by", "set_at"}),
    "subscriptions": frozenset({"version"}),
    "customers": frozenset({"version"}),
    "payment_methods": frozenset({"version"}),
    "offerings": frozenset({"version"}),
    "charge_stops": frozenset({"kind", "name", "stopped_at", "why"}),
    # Copies, to search by; `request_hash` is read by read_standing.
    "archived_renewals": frozenset(
        {"closed_at", "requested_at", "subscription_id", "state", "reason", "parked_reason"}
    ),
    "archive_register": frozenset({"closed_at", "request_hash"}),
    "operator_proposals": frozenset("*"),
    "bulk_jobs": frozenset("*"),
    "bulk_targets": frozenset("*"),
    "rule_jobs": frozenset("*"),
    # Asked only where there are entries, which there are not.
    "acceptance_entries": frozenset("*"),
    "payer_countries": frozenset("*"),
    "method_kinds": frozenset("*"),
    # Of whoever answers by text message, which nobody does in memory.
    "subscriber_numbers": frozenset("*"),
    "text_messages": frozenset("*"),
    "cut_overs": frozenset({"live", "shadow", "why", "set_by", "set_at"}),
}
_PLACES: Final = "select * from waiting_requests where ended_at is null"
_REVIEW_PLACES: Final = "select * from acceptance_reviews where ended_at is null and dunning_try is null"
_ARCHIVED: Final = """
select r.*, e.renewal_id as registered, (
    select array_agg(h) from json_populate_recordset(null::renewal_history, a.history) as h
) as history
from archive_register as e
left join archived_renewals as a on e.renewal_id = a.renewal_id and e.closed_at = a.closed_at
left join lateral json_populate_record(null::renewals, a.renewal) as r on true
"""


def _renewal_of(row: Mapping[str, Any]) -> tuple[Any, RenewalLine]:
    renewal = Renewal._make(row[name] for name in Renewal._fields)
    asked = (row[name] for name in RenewalLine._fields[1:])
    return row["renewal_id"], RenewalLine(renewal, *asked)


def _history_of(row: Mapping[str, Any]) -> tuple[Any, HistoryLine]:
    line = HistoryLine._make(row[name] for name in HistoryLine._fields)
    return (row["renewal_id"], row["version"]), line


def _archived_of(row: Mapping[str, Any]) -> tuple[Any, ArchivedLine]:
    told = sorted((each["version"], _history_of(each)[1]) for each in row["history"] or ())
    return row["registered"], ArchivedLine(_renewal_of(row)[1], tuple(told))


def _slot_of(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["subscription_id"], row["renewal_id"]


def _refusal_of(row: Mapping[str, Any]) -> tuple[Any, RefusalLine]:
    return row["renewal_id"], RefusalLine._make(row[name] for name in RefusalLine._fields)


def _kept_of(row: Mapping[str, Any]) -> tuple[Any, Any]:
    trigger = Trigger._make(row[name] for name in Trigger._fields)
    return row["subscription_id"], (trigger, row["kept_at"])


def _waiting_of(row: Mapping[str, Any]) -> tuple[Any, Waiting]:
    return row["renewal_id"], Waiting._make(row[name] for name in Waiting._fields)


def _review_of(row: Mapping[str, Any]) -> tuple[Any, Review]:
    return row["renewal_id"], Review._make(row[name] for name in Review._fields)


def _orphan_of(row: Mapping[str, Any]) -> tuple[Any, Orphan]:
    return row["event_id"], Orphan._make(row[name] for name in Orphan._fields)


def _progress_of(row: Mapping[str, Any]) -> tuple[Any, ProgressLine]:
    line = ProgressLine._make(row[name] for name in ProgressLine._fields)
    return (row["topic"], row["partition"]), line


def _stall_of(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return (row["topic"], row["partition"], row["began_at"]), row["ended_at"]


def _rule_of(row: Mapping[str, Any]) -> tuple[Any, RenewalRule]:
    return row["subscription_id"], rule_of(row)


def _mandate_of(row: Mapping[str, Any]) -> tuple[Any, Mandate]:
    line = Mandate._make(row[name] for name in Mandate._fields)
    return (line.subscription_id, line.mandate_id), line


def _decision_of(row: Mapping[str, Any]) -> tuple[Any, Decision]:
    line = Decision._make(row[name] for name in Decision._fields)
    return line.place, line


def _terms_of(row: Mapping[str, Any]) -> tuple[Any, OfferingTermsLine]:
    return row["offering_id"], OfferingTermsLine._make(row[name] for name in OfferingTermsLine._fields)


def _subscription_of(row: Mapping[str, Any]) -> tuple[Any, SubscriptionLine]:
    line = SubscriptionLine._make(row[name] for name in SubscriptionLine._fields)
    return row["subscription_id"], line


def _customer_of(row: Mapping[str, Any]) -> tuple[Any, bool]:
    return row["customer_id"], row["identity_verified"]


def _method_of(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["payment_method_id"], (row["payer_id"], row["status"])


def _offering_of(row: Mapping[str, Any]) -> tuple[Any, OfferingLine]:
    return row["offering_id"], OfferingLine._make(row[name] for name in OfferingLine._fields)


def _cut_over_of(row: Mapping[str, Any]) -> tuple[Any, CutOverLine]:
    return row["version"], CutOverLine(row["percent"], tuple(shares_of(row["shares"])))


def _listed_of(row: Mapping[str, Any]) -> tuple[Any, bool]:
    return row["subscription_id"], row["live"]


def _stop_of(row: Mapping[str, Any]) -> tuple[Any, str]:
    return row["scope"], row["stopped_by"]


def _burst_of(row: Mapping[str, Any]) -> tuple[Any, int]:
    return (row["scope"], row["began_at"]), row["renewals"]


def _reset_of(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["scope"], row["reset_at"]


MIRRORS: Final = (
    Mirror("renewals", "renewals", "select * from renewals", _renewal_of),
    Mirror("slots", "renewals", "select * from renewals where closed_at is null", _slot_of),
    Mirror("history", "renewal_history", "select * from renewal_history", _history_of),
    Mirror("archive", "archived_renewals", _ARCHIVED, _archived_of),
    Mirror("refusals", "refusals", "select * from refusals", _refusal_of),
    Mirror("kept", "kept_triggers", "select * from kept_triggers", _kept_of),
    Mirror("waiting", "waiting_requests", "select * from waiting_requests", _waiting_of),
    Mirror("waiting_places", "waiting_requests", _PLACES, _slot_of),
    Mirror("reviews", "acceptance_reviews", "select * from acceptance_reviews", _review_of),
    Mirror("review_places", "acceptance_reviews", _REVIEW_PLACES, _slot_of),
    Mirror("orphans", "orphans", "select * from orphans", _orphan_of),
    Mirror("progress", "consumer_progress", "select * from consumer_progress", _progress_of),
    Mirror("stalls", "stalls", "select * from stalls", _stall_of),
    Mirror("rules", "renewal_rules", "select * from renewal_rules", _rule_of),
    Mirror("mandates", "mandates", "select * from mandates", _mandate_of),
    Mirror("decisions", "renewal_decisions", "select * from renewal_decisions", _decision_of),
    Mirror("cut_overs", "cut_overs", "select * from cut_overs", _cut_over_of),
    Mirror("listed", "cut_over_lists", "select * from cut_over_lists", _listed_of),
    Mirror("offering_terms", "offering_terms", "select * from offering_terms", _terms_of),
    Mirror("subscriptions", "subscriptions", "select * from subscriptions", _subscription_of),
    Mirror("customers", "customers", "select * from customers", _customer_of),
    Mirror("methods", "payment_methods", "select * from payment_methods", _method_of),
    Mirror("offerings", "offerings", "select * from offerings", _offering_of),
    Mirror("burst_counts", "burst_counts", "select * from burst_counts", _burst_of),
    Mirror("burst_resets", "burst_resets", "select * from burst_resets", _reset_of),
    Mirror("stops", "charge_stops", "select * from charge_stops", _stop_of),
)
