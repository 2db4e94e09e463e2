"""Usage records over HTTP, line by line, and from files."""
