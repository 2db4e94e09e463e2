"""Last month as we would have done it, beside what the system before us charged: no server, and no charge."""
