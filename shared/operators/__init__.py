"""Who an operator is, and what operators do in every service alike."""
