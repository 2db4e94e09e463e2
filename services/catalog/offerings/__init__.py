"""Offerings: what is sold."""
