"""Which subscriptions are live, and which are only looked at: the way over from another system, step by step."""
