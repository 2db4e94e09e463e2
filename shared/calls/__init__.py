"""Calls to the outside: made by workers from committed rows, never by a consumer."""
