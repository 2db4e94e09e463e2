"""Prices: what it costs, and when."""
