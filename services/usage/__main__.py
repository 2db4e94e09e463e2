"""Starts usage: python -m services.usage."""

from services.usage import settings, wiring
from shared.runner import main

if __name__ == "__main__":
    main(wiring.build, settings.Settings)
