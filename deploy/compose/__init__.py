"""The stack from images: `docker compose up`, and the eyes of those who run it."""
