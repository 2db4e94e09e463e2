"""The store functions of the services on tables in memory, held equal to PostgreSQL by generated tests."""
