"""Starts the catalog: python -m services.catalog."""

from services.catalog import settings, wiring
from shared.runner import main

if __name__ == "__main__":
    main(wiring.build, settings.Settings)
