"""Each carrier's settings: who counts, and when it is said that data runs out."""
