"""The services. None imports another: they meet in Kafka only."""

NAMES = ("renewal", "catalog", "payment", "provisioning", "usage")
