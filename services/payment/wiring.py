"""What of payment is connected to what."""

from datetime import timedelta
from functools import partial

from services.payment import archive, routes, webhooks
from services.payment.authority import Authority
from services.payment.calls import Calls, Result
from services.payment.domain.calls import Call
from services.payment.domain.capabilities import GATEWAYS
from services.payment.domain.payment import WALLET
from services.payment.gateways.psp import Psp
from services.payment.handlers import Commands, apply_captures
from services.payment.methods import routes as method_routes
from services.payment.settings import Settings
from services.payment.wallets import routes as wallet_routes
from shared.calls.http_client import open_client
from shared.calls.lane import Lane
from shared.calls.worker import CallWorker
from shared.clock import utc_now
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.prices import RenewalPriced
from shared.contracts.topups import TopUpApplied
from shared.http.signatures import Signatures
from shared.messaging.transaction import Transactions
from shared.runner import Consumer, Loop, Service

WORKER = "payments"
UNHURRIED_SECONDS = 0.25
"""The books are written when the customer has the data already."""


def build(settings: Settings, transactions: Transactions) -> Service:
    """The service, ready to be run."""
    authority = Authority(settings.patience, settings.lease)
    psp = _psp(settings)
    calls = Calls({psp.name: psp}, authority, settings.lease, utc_now)
    worker = CallWorker[Call, Result](
        WORKER,
        transactions,
        calls,
        _lanes(settings, psp.name),
        poll_seconds=settings.payment_poll_seconds,
    )
    calls.limit_questions(worker.may_ask)
    psp.ask_when_late(partial(worker.may_send, psp.name))
    removal = archive.removal(
        transactions,
        after=timedelta(days=settings.payment_archive_after_days),
        every=timedelta(seconds=settings.payment_archive_every_seconds),
    )
    tolerance = timedelta(seconds=settings.payment_webhook_tolerance_seconds)
    signed = Signatures(settings.webhook_secret(), tolerance, utc_now)
    return Service(
        title="Payment",
        description="Payment methods, wallets, captures, refunds, and the ledger.",
        consumers=(
            Consumer(
                "commands",
                topics=("prices.v1", "payment-commands.v1"),
                messages=(RenewalPriced, CapturePayment, CancelPayment, RefundPayment, ResolvePayment),
                handle=Commands(authority, worker),
            ),
            Consumer(
                "top-ups",
                topics=("topups.v1",),
                messages=(TopUpApplied,),
                handle=apply_captures,
                gather_seconds=UNHURRIED_SECONDS,
            ),
        ),
        loops=(Loop("payment calls", worker.run), Loop("archive", removal.run)),
        routers=(
            routes.routes(transactions),
            method_routes.routes(transactions, default_gateway=psp.name),
            wallet_routes.routes(transactions),
            webhooks.routes(transactions, authority, psp.name, signed),
        ),
        stops=(psp.close,),
    )


def _lanes(settings: Settings, gateway: str) -> list[Lane[Call]]:
    """One for the PSP; and one for the wallets, which nobody outside holds up."""
    limits, backlog = settings.payment_limits, settings.payment_backlog
    psp = Lane[Call](
        WORKER,
        gateway,
        usual=settings.psp_connections,
        backlog=backlog,
        policy=limits.breaker,
        calls_per_second=limits.calls_per_second,
        horizon_seconds=settings.payment_send_window_seconds / 3,
    )
    return [psp, Lane(WORKER, WALLET, usual=backlog, backlog=backlog, makes_room=False)]


def _psp(settings: Settings) -> Psp:
    client = open_client(
        str(settings.psp_url),
        timeout_seconds=settings.payment_call_seconds,
        connections=settings.psp_connections,
    )
    return Psp(
        settings.payment_gateway,
        client,
        GATEWAYS[settings.payment_gateway],
        timedelta(seconds=settings.payment_call_seconds),
        utc_now,
    )
