"""Many renewals on virtual time, through the real handlers, with faults chosen by seed (`make simulate`)."""
