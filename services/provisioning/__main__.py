"""Starts provisioning: python -m services.provisioning."""

from services.provisioning import settings, wiring
from shared.runner import main

if __name__ == "__main__":
    main(wiring.build, settings.Settings)
