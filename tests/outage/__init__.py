"""`make outage`: thousands of renewals behind one carrier's outage, and what became of them."""
