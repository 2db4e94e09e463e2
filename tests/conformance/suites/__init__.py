"""What is generated for each service's stores, and how its tables are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.conformance.stage import Suite
from tests.conformance.suites.messaging import MessagingSuite
from tests.conformance.suites.payment import PaymentSuite
from tests.conformance.suites.provisioning import ProvisioningSuite
from tests.conformance.suites.renewal import RenewalSuite

SUITES: Final[Mapping[str, Callable[[], Suite]]] = {
    "messaging": MessagingSuite,
    "payment": PaymentSuite,
    "provisioning": ProvisioningSuite,
    "renewal": RenewalSuite,
}
