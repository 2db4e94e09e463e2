"""How much data is left, and who must hear of it."""
