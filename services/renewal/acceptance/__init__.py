"""The acceptance policy: which payments a destination, a payer's country and a kind of method allow."""
