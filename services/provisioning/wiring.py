"""What of provisioning is connected to what."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from services.provisioning.settings import CarrierSettings, Settings
from services.provisioning.subscriptions import routes as subscription_routes
from services.provisioning.subscriptions.handlers import mark_foreign_devices
from services.provisioning.topups import archive
from services.provisioning.topups import routes as top_up_routes
from services.provisioning.topups.calls import Outcome, TopUpCalls
from services.provisioning.topups.decisions import Job
from services.provisioning.topups.gateways.carrier import OTHERS, Carriers, Connected
from services.provisioning.topups.gateways.sandbox import SandboxCarrier
from services.provisioning.topups.handlers import TopUpInstructions
from shared.calls.http_client import HttpClient, open_client
from shared.calls.lane import Lane
from shared.calls.worker import CallWorker
from shared.contracts.devices import ForeignDeviceSeen
from shared.contracts.payments import PaymentCaptured
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp
from shared.messaging.transaction import Transactions
from shared.runner import Consumer, Loop, Service

WORKER = "top-ups"


def build(settings: Settings, transactions: Transactions) -> Service:
    """The service, ready to be run."""
    clients: dict[str, HttpClient] = {}
    limits = {OTHERS: CarrierSettings(), **settings.provisioning_carriers}
    carriers = _carriers(settings, limits, clients)
    worker = CallWorker[Job, Outcome](
        WORKER,
        transactions,
        TopUpCalls(carriers, settings.patience),
        [_lane(settings, name, carrier) for name, carrier in limits.items()],
        claim_limit=min(200, settings.provisioning_backlog),
        poll_seconds=settings.provisioning_poll_seconds,
    )
    for name, client in clients.items():
        client.ask_when_late(partial(worker.may_send, name))

    removal = archive.removal(
        transactions,
        after=timedelta(days=settings.provisioning_archive_after_days),
        every=timedelta(seconds=settings.provisioning_archive_every_seconds),
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
            Consumer(
                name="devices",
                topics=(ForeignDeviceSeen.topic,),
                messages=(ForeignDeviceSeen,),
                handle=mark_foreign_devices,
            ),
        ),
        routers=(subscription_routes.routes(transactions), top_up_routes.routes(transactions)),
        loops=(Loop("top-ups", worker.run), Loop("archive", removal.run)),
        stops=(close_clients,),
    )


def _lane(settings: Settings, name: str, carrier: CarrierSettings) -> Lane[Job]:
    return Lane(
        WORKER,
        name,
        usual=carrier.connections or settings.provisioning_connections,
        backlog=settings.provisioning_backlog,
        policy=carrier.breaker,
        calls_per_second=carrier.calls_per_second,
        horizon_seconds=settings.provisioning_send_window_seconds / 3,
    )


def _carriers(
    settings: Settings, limits: Mapping[str, CarrierSettings], clients: dict[str, HttpClient]
) -> Carriers:
    """Every carrier with its gateway, and with as many connections as it may have calls at once."""

    def connected(name: str, carrier: CarrierSettings) -> Connected:
        clients[name] = open_client(
            str(carrier.url or settings.carrier_url),
            timeout_seconds=settings.provisioning_call_seconds,
            connections=carrier.connections or settings.provisioning_connections,
        )
        return Connected(SandboxCarrier(clients[name]), carrier.can)

    every = {name: connected(name, carrier) for name, carrier in limits.items()}
    others = every.pop(OTHERS)
    return Carriers(every, others)
