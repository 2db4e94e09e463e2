"""Import of subscriptions from before Recarga: python -m services.provisioning.subscriptions.imports FILE."""

from services.provisioning.subscriptions.bodies import SubscriptionItem
from shared.imports.command import main
from shared.imports.kinds import Kind

SUBSCRIPTIONS = Kind(
    name="subscriptions",
    item=SubscriptionItem,
    service="provisioning",
    url="http://127.0.0.1:18004",
    path="/v1/subscriptions/bulk",
    unique=(("subscription_id",), ("iccid",)),
)

if __name__ == "__main__":
    main(SUBSCRIPTIONS)
