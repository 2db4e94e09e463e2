"""The offline subscriber: what is answered by text message, and what comes of it."""
