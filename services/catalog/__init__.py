"""What is sold, at what price, to whom, and on which devices."""
