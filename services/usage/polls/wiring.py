"""What polls are connected to: a lane and a gateway for each carrier with limits of its own."""

from functools import partial

from services.usage.polls.calls import Asked, PollCalls
from services.usage.polls.gateways.carrier import OTHERS
from services.usage.polls.gateways.sandbox import SandboxBalances
from services.usage.polls.store import Poll
from services.usage.reports import Reports
from services.usage.settings import POLL_HORIZON_SECONDS, CarrierSettings, Settings
from shared.calls.http_client import HttpClient, open_client
from shared.calls.lane import Lane
from shared.calls.worker import CallWorker
from shared.clock import utc_now
from shared.messaging.transaction import Transactions

WORKER = "balances"


class Polls:
    """The worker that asks, and its connections."""

    def __init__(self, settings: Settings, transactions: Transactions, reports: Reports) -> None:
        carriers = {OTHERS: CarrierSettings(), **settings.usage_carriers}
        self._clients = {name: _client(settings, carrier) for name, carrier in carriers.items()}
        gateways = {name: SandboxBalances(client) for name, client in self._clients.items()}
        self.worker = CallWorker[Poll, Asked](
            WORKER,
            transactions,
            PollCalls(gateways, reports, settings.usage_poll_lease_seconds, utc_now),
            [_lane(settings, name, carrier) for name, carrier in carriers.items()],
            claim_limit=min(200, settings.usage_poll_backlog),
            poll_seconds=settings.usage_poll_look_seconds,
        )
        for name, client in self._clients.items():
            client.ask_when_late(partial(self.worker.may_send, name))

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()


def _client(settings: Settings, carrier: CarrierSettings) -> HttpClient:
    return open_client(
        str(carrier.url or settings.carrier_url),
        timeout_seconds=settings.usage_poll_call_seconds,
        connections=carrier.connections or settings.usage_poll_connections,
    )


def _lane(settings: Settings, name: str, carrier: CarrierSettings) -> Lane[Poll]:
    return Lane(
        WORKER,
        name,
        usual=carrier.connections or settings.usage_poll_connections,
        backlog=settings.usage_poll_backlog,
        policy=carrier.breaker,
        calls_per_second=carrier.calls_per_second,
        horizon_seconds=POLL_HORIZON_SECONDS,
    )
