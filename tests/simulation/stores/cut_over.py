"""services/renewal/cut_over: whether triggers are of live subscriptions, on tables in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.renewal.cut_over import store
from services.renewal.cut_over.domain.cohort import Cohort
from services.renewal.domain.asking import Trigger
from tests.simulation.database import Open, statement
from tests.simulation.stores.renewal import CutOverLine, tables


@statement
async def read_cohorts(transaction: Open, triggers: Sequence[Trigger]) -> list[Cohort]:
    own = tables(transaction)
    settings = dict(transaction.scan(own.cut_overs))
    setting = settings[max(settings)] if settings else CutOverLine(None, ())
    return [
        Cohort(
            setting.percent,
            list(setting.shares),
            transaction.get(own.listed, trigger.subscription_id),
            _was_shadow(transaction, trigger),
        )
        for trigger in triggers
    ]


def _was_shadow(transaction: Open, trigger: Trigger) -> bool:
    place = (trigger.subscription_id, trigger.cycle, trigger.kind, trigger.dunning_try)
    decision = transaction.get(tables(transaction).decisions, place)
    return decision is not None and decision.shadow


FUNCTIONS: Final = {store: {"read_cohorts": read_cohorts}}
NOT_ASKED: Final = {
    store: {
        "read",
        "list_settings",
        "insert",
        "read_list",
        "read_listed",
        "replace_lists",
        "read_whereabouts",
    }
}
"""Functions that only HTTP needs."""
