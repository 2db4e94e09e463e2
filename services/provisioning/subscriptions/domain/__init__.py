"""What a subscription is and when it has changed. Pure."""
