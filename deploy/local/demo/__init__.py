"""`make demo`: a day in the life of a carrier, on the real stack, told as it happens."""
