"""Kafka in and out: batches, one transaction each, with an outbox, dead letters and keys set aside."""
