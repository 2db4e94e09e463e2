"""Which fields of the messages may be written to a log, and which never. Every field is in one of the two.

A new field is added here by whoever adds it, after asking: can it name a person, a card, an eSIM or a device?
"""

LOGGABLE = frozenset(
    {
        *(
            "renewal_id",
            "subscription_id",
            "offering_id",
            "payer_id",
            "payment_method_id",
            "payment_method_ids",
        ),
        *(
            "customer_id",
            "owner_id",
            "caller",
            "request_id",
            "record_id",
            "report_id",
            "notification_id",
            "session_id",
            "source",
        ),
        *("version", "attempt", "ordinal", "cycle", "top_ups", "origin", "action", "state", "status", "kind"),
        *(
            "reason",
            "decision",
            "decided_by",
            "decline_class",
            "decline_code",
            "unresolved",
            "reached_provider",
        ),
        *("amount_minor", "expected_amount_minor", "max_amount_minor", "currency", "retry_after_seconds"),
        *("data_bytes", "validity_seconds", "stacking", "product_code", "remaining_bytes", "threshold_bytes"),
        *("granted_bytes", "lapsed_bytes"),
        *("bytes_up", "bytes_down", "brand", "brands", "carrier", "carriers", "destination"),
        *("subscription_statuses", "device_matches", "identity_verified"),
        *(
            "act_before",
            "action_before",
            "promised_by",
            "requested_at",
            "priced_at",
            "captured_at",
            "applied_at",
        ),
        *(
            "completed_at",
            "failed_at",
            "cancelled_at",
            "refunded_at",
            "disputed_at",
            "parked_at",
            "refused_at",
        ),
        *("changed_at", "occurred_at", "exhausted_at", "expires_at", "started_at", "ended_at", "reported_at"),
        *("crossed_at", "cycle_began_at", "expiry_stated"),
        *("mandate_id", "charge_at", "asked_at", "next_try_at", "enabled", "paused", "is_bulk"),
        *("limit", "counted", "window_seconds", "stopped_at"),
        *("threshold_percent", "predicted_seconds", "expiring_seconds", "lead_seconds"),
        *("terms", "grant"),
    }
)
"""Ids, amounts, codes and instants; `terms` and `grant` hold nothing else."""

WITHHELD = frozenset(
    {
        "action_url",
        "iccid",
        "eid",
        "imei",
        "bound_imei",
        "offended_imei",
        "msisdn",
        "name",
        "detail",
        "country",
        "language",
    }
)
"""Numbers of eSIMs, devices and telephones, free text, what says something about a person, links that act."""
