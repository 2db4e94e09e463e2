"""Every decision about a top-up, without I/O, clock or randomness.

`instructions` folds what is commanded, `findings` what the carrier says; `attempt` chooses what to ask next.
"""
