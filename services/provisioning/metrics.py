"""What provisioning exports; rates of `applied` against `sent` are what a dashboard watches first."""

from prometheus_client import Counter

from shared.observability.metrics import children

_TOP_UPS = Counter(
    "recarga_top_ups_total", "Answers given: what became of top-ups, repeats included", ["outcome"]
)
_FINDINGS = Counter(
    "recarga_top_up_calls_total",
    "Calls to a carrier by what was asked and what was learned",
    ["call", "finding"],
)
_SUBSCRIPTION_CHANGES = Counter(
    "recarga_subscription_changes_total",
    "Subscriptions created or changed over the API, or marked as used in another device",
    ["change"],
)

top_ups = children(_TOP_UPS)
findings = children(_FINDINGS)
subscription_changes = children(_SUBSCRIPTION_CHANGES)

HELD = Counter("recarga_top_ups_held_total", "Instructions that came too late to begin anything")
LEASES_LOST = Counter(
    "recarga_top_up_leases_lost_total", "Outcomes that came after another worker had taken the attempt over"
)
CONTRADICTED = Counter(
    "recarga_top_ups_contradicted_total",
    "Top-ups the carrier applied after they were said to be rejected or cancelled: a person must look",
)
