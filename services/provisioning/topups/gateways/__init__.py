"""The carriers: one file per kind of outside system, what each can do as data."""
