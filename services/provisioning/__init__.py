"""Provisioning: subscriptions and their top-ups. The only authority on whether a top-up is applied."""
