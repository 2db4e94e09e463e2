"""Starts the renewal service: `python -m services.renewal`."""

from services.renewal import settings, wiring
from shared.runner import main

if __name__ == "__main__":
    main(wiring.build, settings.Settings)
