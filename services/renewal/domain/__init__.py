"""What a renewal may do, without I/O, clock or randomness: all of it arrives as arguments."""
