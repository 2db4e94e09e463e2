"""The in-memory stores of the simulation against the PostgreSQL ones: generated sequences, run on both.

Every answer, every error, who waits for whom, and all tables afterwards must be the same to the microsecond:
`now()` and `clock_timestamp()` of the PostgreSQL schema are made by the tests (server.py). What is generated
is the same in every run; RECARGA_CONFORMANCE_EXAMPLES asks for more of it.
"""
