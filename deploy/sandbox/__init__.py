"""A PSP and a carrier as real HTTP servers that remember. Imports nothing of the project."""
