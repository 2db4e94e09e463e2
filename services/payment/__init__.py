"""Payment: the only authority on whether money moved."""
