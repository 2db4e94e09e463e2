"""Top-ups: data and validity granted at the carrier, at most once per renewal."""
