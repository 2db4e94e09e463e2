"""What a cut-over says of a subscription: pure."""
