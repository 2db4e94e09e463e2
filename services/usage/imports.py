"""Import of what subscribers have left from before Recarga: python -m services.usage.imports FILE."""

from services.usage.bodies import BucketItem
from shared.imports.command import main
from shared.imports.kinds import Kind

BUCKETS = Kind(
    name="buckets",
    item=BucketItem,
    service="usage",
    url="http://127.0.0.1:18005",
    path="/v1/buckets/bulk",
    unique=(("subscription_id", "bucket_id"),),
)

if __name__ == "__main__":
    main(BUCKETS)
