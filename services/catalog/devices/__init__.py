"""Devices: which ones an eSIM runs on."""
