"""Payment methods: a payer's ways to pay, held as tokens that never leave this service."""
