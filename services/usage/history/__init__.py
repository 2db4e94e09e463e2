"""What became of every byte, what was used when, and what is to be expected."""
