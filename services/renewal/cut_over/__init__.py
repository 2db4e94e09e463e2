"""Which subscriptions are live, and which are only judged: the way over from another system, step by step."""
