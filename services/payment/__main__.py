"""Starts payment: python -m services.payment."""

from services.payment import settings, wiring
from shared.runner import main

if __name__ == "__main__":
    main(wiring.build, settings.Settings)
