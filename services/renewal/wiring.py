"""What is connected to what: topics to handlers, loops, routes."""

from dataclasses import replace
from datetime import timedelta

from fastapi import APIRouter

from services.renewal import archive
from services.renewal.acceptance.facts import FACTS, keep_acceptance_facts
from services.renewal.acceptance.review_routes import ReviewRoutes
from services.renewal.acceptance.reviews import Reviews
from services.renewal.acceptance.routes import AcceptanceRoutes
from services.renewal.catch_up import CatchUp, ProgressReport
from services.renewal.customer_actions import CustomerActionRoutes
from services.renewal.customer_links import CustomerLinks
from services.renewal.cut_over.routes import CutOverRoutes
from services.renewal.domain.burst import BurstLimit, BurstLimits
from services.renewal.domain.policy import POLICY, Patience, Policy
from services.renewal.domain.renewal import State
from services.renewal.handlers import (
    ADMISSION_MESSAGES,
    ADMISSION_TOPICS,
    SAGA_MESSAGES,
    SAGA_TOPICS,
    AdmissionHandler,
    SagaHandler,
)
from services.renewal.operators.bulk import BulkJobs
from services.renewal.operators.bulk_routes import BulkRoutes
from services.renewal.operators.charge_routes import ChargeRoutes
from services.renewal.operators.charges import KeptTriggers
from services.renewal.operators.routes import DecisionRoutes
from services.renewal.operators.search_routes import SearchRoutes
from services.renewal.projections import PROJECTIONS, keep_projections
from services.renewal.routes import RenewalRoutes
from services.renewal.rules.decision_routes import DecisionRoutes as RuleDecisionRoutes
from services.renewal.rules.job_routes import RuleJobRoutes
from services.renewal.rules.jobs import RuleJobs
from services.renewal.rules.listing_routes import ListingRoutes
from services.renewal.rules.mandate_routes import MandateRoutes
from services.renewal.rules.offering_terms import keep_offering_terms
from services.renewal.rules.routes import RuleRoutes
from services.renewal.settings import Settings
from services.renewal.survey import Survey
from services.renewal.text_messages.replies import OldReplies, Replies
from services.renewal.text_messages.routes import TextMessageRoutes
from services.renewal.text_messages.senders import Senders
from services.renewal.timers import Timers
from services.renewal.waiting import WaitingRequests
from shared.clock import utc_now
from shared.contracts.offerings import OfferingChanged
from shared.messaging.transaction import Transactions
from shared.operators.tokens import Tokens
from shared.operators.who import Gate
from shared.runner import Consumer, Loop, Service


def build(settings: Settings, transactions: Transactions) -> Service:
    """The renewal service."""
    policy = policy_of(settings)
    catch_up = CatchUp()
    links = CustomerLinks(settings.customer_link_secret(), settings.customer_link_url, utc_now)
    batch = settings.renewal_batch_records
    saga = Consumer(
        "saga",
        SAGA_TOPICS,
        SAGA_MESSAGES,
        SagaHandler(policy, catch_up, links),
        max_records=batch,
        gather_seconds=settings.renewal_gather_seconds,
    )
    admission = Consumer(
        "admission", ADMISSION_TOPICS, ADMISSION_MESSAGES, AdmissionHandler(policy), max_records=batch
    )
    projections = Consumer(
        "projections",
        tuple(message.topic for message in PROJECTIONS),
        tuple(PROJECTIONS),
        keep_projections,
        max_records=batch,
    )
    # Of its own: it reads from the beginning what the projections of an older version had read already.
    offering_terms = Consumer(
        "offering-terms", (OfferingChanged.topic,), (OfferingChanged,), keep_offering_terms
    )
    acceptance_facts = Consumer(
        "acceptance-facts", tuple(fact.topic for fact in FACTS), FACTS, keep_acceptance_facts
    )
    timers = Timers(
        transactions,
        policy,
        tick_seconds=settings.renewal_timer_tick_seconds,
        per_tick=settings.renewal_timers_per_tick,
    )
    gate = Gate(Tokens(settings.operator_secret(), utc_now))
    proposals_live = timedelta(seconds=settings.renewal_proposal_seconds)
    removal = archive.removal(
        transactions,
        after=timedelta(days=settings.renewal_archive_after_days),
        every=timedelta(seconds=settings.renewal_archive_every_seconds),
    )
    report = ProgressReport(catch_up, saga, transactions.pool, utc_now)
    return Service(
        title="Renewal",
        description="Ask for renewals of prepaid plans, follow them, call them off; keep rules that ask.",
        consumers=(projections, offering_terms, acceptance_facts, saga, admission),
        routers=(
            RenewalRoutes(transactions, policy).router,
            CustomerActionRoutes(transactions, policy, links).router,
            RuleRoutes(transactions, policy).router,
            MandateRoutes(transactions).router,
            ListingRoutes(transactions).router,
            RuleDecisionRoutes(transactions).router,
            DecisionRoutes(transactions, policy, gate, proposals_live).router,
            SearchRoutes(transactions, policy, gate).router,
            BulkRoutes(transactions, policy, gate, settings.renewal_bulk_renewals, proposals_live).router,
            ChargeRoutes(transactions, gate).router,
            AcceptanceRoutes(transactions, gate).router,
            ReviewRoutes(transactions, policy, gate).router,
            CutOverRoutes(transactions, gate).router,
            RuleJobRoutes(transactions, gate, proposals_live).router,
            _text_messages(settings, transactions, policy),
        ),
        loops=(
            Loop("timers", timers.run),
            Loop("catch-up", report.run),
            Loop("bulk jobs", BulkJobs(transactions, policy).run),
            Loop("rule jobs", RuleJobs(transactions, policy).run),
            Loop("kept triggers", KeptTriggers(transactions, policy).run),
            Loop("waiting requests", WaitingRequests(transactions, policy).run),
            Loop("reviews", Reviews(transactions).run),
            Loop("survey", Survey(transactions.pool, utc_now).run),
            Loop("archive", removal.run),
            Loop("old text messages", OldReplies(transactions).run),
        ),
    )


def _text_messages(settings: Settings, transactions: Transactions, policy: Policy) -> APIRouter:
    """The port for SMS gateways: without a secret no gateway is known, and nothing is taken."""
    tolerance = timedelta(seconds=settings.renewal_text_message_tolerance_seconds)
    senders = Senders(settings.text_message_secrets(), tolerance, utc_now)
    replies = Replies(policy, settings.renewal_text_messages_per_hour)
    return TextMessageRoutes(transactions, senders, replies).router


def policy_of(settings: Settings) -> Policy:
    """The saga's policy with what the environment sets."""
    silence: dict[State, Patience] = {}
    for state, patience in POLICY.patience.items():
        if state in ("requested", "priced", "captured"):
            backoff = replace(patience.backoff, first_seconds=settings.renewal_patience_seconds)
            patience = replace(patience, backoff=backoff)
        silence[state] = patience
    return replace(
        POLICY,
        promise_seconds=settings.renewal_promise_seconds,
        deadline_seconds={
            "customer": settings.renewal_manual_deadline_seconds,
            "rule": settings.renewal_automatic_deadline_seconds,
        },
        patience=silence,
        review_seconds=settings.renewal_review_seconds,
        bursts=BurstLimits(
            BurstLimit(
                settings.renewal_burst_subscription_renewals, settings.renewal_burst_subscription_seconds
            ),
            BurstLimit(settings.renewal_burst_brand_renewals, settings.renewal_burst_brand_seconds),
            BurstLimit(settings.renewal_burst_renewals, settings.renewal_burst_seconds),
        ),
    )
