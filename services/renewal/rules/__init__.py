"""Rules: standing instructions to renew, the consent behind each, and what became of every trigger."""
