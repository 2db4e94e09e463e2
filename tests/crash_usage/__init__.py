"""SIGKILLs while a file of usage records is counted: every bucket must hold what the file alone says."""
