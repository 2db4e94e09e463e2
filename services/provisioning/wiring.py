"""What of provisioning is connected to what."""

from services.provisioning.settings import CarrierSettings, Settings
from services.provisioning.subscriptions import routes as subscription_routes
from services.provisioning.topups import routes as top_up_routes
from services.provisioning.topups.calls import Outcome, TopUpCalls
from services.provisioning.topups.decisions import Job
from services.provisioning.topups.gateways.carrier import Carriers, Connected
from services.provisioning.topups.gateways.sandbox import SandboxCarrier
from services.provisioning.topups.handlers import TopUpInstructions
from shared.calls.http_client import HttpClient, open_client
from shared.calls.worker import CallWorker
from shared.contracts.payments import PaymentCaptured
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp
from shared.messaging.transaction import Transactions
from shared.runner import Consumer, Loop, Service

OTHERS = "*"


def build(settings: Settings, transactions: Transactions) -> Service:
    """The service, ready to be run."""
    clients: dict[str, HttpClient] = {}
    carriers = _carriers(settings, clients)
    calls = TopUpCalls(carriers, settings.patience)
    worker = CallWorker[Job, Outcome](
        "top-ups",
        transactions,
        call=calls.call,
        record=calls.record,
        claim=calls.claim,
        concurrency=settings.provisioning_connections,
        backlog=settings.provisioning_backlog,
        claim_limit=min(200, settings.provisioning_backlog),
        poll_seconds=settings.provisioning_poll_seconds,
    )

    async def close_clients() -> None:
        for client in clients.values():
            await client.close()

    return Service(
        title="Recarga provisioning",
        description="Subscriptions and their top-ups: the only authority on whether a top-up is applied.",
        consumers=(
            Consumer(
                name="top-ups",
                topics=(PaymentCaptured.topic, ApplyTopUp.topic),
                messages=(PaymentCaptured, ApplyTopUp, CancelTopUp, ResolveTopUp),
                handle=TopUpInstructions(worker, carriers, settings.patience),
            ),
        ),
        routers=(subscription_routes.routes(transactions), top_up_routes.routes(transactions)),
        loops=(Loop("top-ups", worker.run),),
        stops=(close_clients,),
    )


def _carriers(settings: Settings, clients: dict[str, HttpClient]) -> Carriers:
    """Every carrier with its gateway; carriers at one address share its connections."""

    def connected(carrier: CarrierSettings) -> Connected:
        url = str(carrier.url or settings.carrier_url)
        if url not in clients:
            # As many connections as calls at once: no request waits for one beyond its send window.
            clients[url] = open_client(
                url,
                timeout_seconds=settings.provisioning_call_seconds,
                connections=settings.provisioning_connections,
            )
        return Connected(SandboxCarrier(clients[url]), carrier.can)

    named = settings.provisioning_carriers
    return Carriers(
        {name: connected(carrier) for name, carrier in named.items() if name != OTHERS},
        connected(named.get(OTHERS, CarrierSettings())),
    )
