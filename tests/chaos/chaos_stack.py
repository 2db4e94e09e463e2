"""The local stack with an order file for every service process, and leases that end while one watches."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.local.stack import Stack
from shared import crash_points

IMPATIENT: Final = {
    # As in production, only sooner. Leases are shorter than a zombie's sleep, resolutions longer than a lie.
    "RECARGA_RENEWAL_PATIENCE_SECONDS": "5",
    "RECARGA_PAYMENT_SEND_WINDOW_SECONDS": "1.5",
    "RECARGA_PAYMENT_CALL_SECONDS": "2.5",
    "RECARGA_PAYMENT_LEASE_SECONDS": "7",
    "RECARGA_PAYMENT_RESOLUTION_SECONDS": "20",
    "RECARGA_PAYMENT_BACK_OFF_CAP_SECONDS": "4",
    "RECARGA_PAYMENT_QUESTION_SECONDS": "4",
    "RECARGA_PAYMENT_REFUND_PAUSE_SECONDS": "20",
    "RECARGA_PROVISIONING_SEND_WINDOW_SECONDS": "1.5",
    "RECARGA_PROVISIONING_CALL_SECONDS": "2.5",
    "RECARGA_PROVISIONING_LEASE_SECONDS": "5",
    "RECARGA_PROVISIONING_RESOLUTION_SECONDS": "20",
    "RECARGA_PROVISIONING_BACK_OFF_CAP_SECONDS": "4",
}


class ChaosStack(Stack):
    """As `make up`, two processes of every service, each of which follows the orders in its file."""

    def order_file(self, instance: str) -> Path:
        return self.home.run / f"crash-order-{instance}"

    def environment_of(self, instance: str) -> dict[str, str]:
        order = {crash_points.VARIABLE: str(self.order_file(instance))}
        return {**super().environment_of(instance), **order}
