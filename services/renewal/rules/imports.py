"""Import of renewal rules from before Recarga: python -m services.renewal.rules.imports FILE."""

from services.renewal.rules.views import BulkRule
from shared.imports.command import main
from shared.imports.kinds import Kind

RULES = Kind(
    name="rules",
    item=BulkRule,
    service="renewal",
    url="http://127.0.0.1:18001",
    path="/v1/renewal-rules/bulk",
    unique=(("subscription_id",),),
    # What a rule names was imported into other services, and is known here a moment later.
    not_yet=frozenset({"subscription-unknown", "offering-unknown", "payment-method-unknown"}),
)

if __name__ == "__main__":
    main(RULES)
