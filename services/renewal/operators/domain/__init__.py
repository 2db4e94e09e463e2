"""What operators may decide, without I/O, clock or randomness."""
