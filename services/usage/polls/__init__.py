"""Asking carriers what is left, where they count and do not report by themselves."""
