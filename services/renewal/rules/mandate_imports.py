"""Import of mandates from before Recarga: python -m services.renewal.rules.mandate_imports FILE."""

from services.renewal.rules.views import BulkMandate
from shared.imports.command import main
from shared.imports.kinds import Kind

MANDATES = Kind(
    name="mandates",
    item=BulkMandate,
    service="renewal",
    url="http://127.0.0.1:18001",
    path="/v1/mandates/bulk",
    unique=(("subscription_id", "mandate_id"),),
)

if __name__ == "__main__":
    main(MANDATES)
