"""The real stack on one machine without Docker: Kafka, PostgreSQL, the sandbox and every service."""
