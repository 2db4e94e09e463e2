"""What operators do: look for renewals, decide about them, in bulk too, and stop automatic charges."""
