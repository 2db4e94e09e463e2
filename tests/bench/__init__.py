"""`make bench`: what this machine does with the whole stack, and what the same machine could do at best."""
