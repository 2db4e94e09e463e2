"""Real chaos: the stack under load while everything that can die, stop or lie does, drawn from a seed."""
