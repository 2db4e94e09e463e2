"""The saga coordinator: what is intended, and what happens next."""
