"""Subscriptions: one ICCID bound to one device, its owner and its status."""
