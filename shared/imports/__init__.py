"""Import of what was there before, from CSV: judged line by line, sent in bulk, resumable."""
