"""Functions over queries.sql: rules as rows, and what triggers ask of them. No decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import orjson

from services.renewal.domain.asking import Trigger
from services.renewal.rules.domain.judgement import Told
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.offering import OfferingTerms
from services.renewal.rules.domain.question import Question
from services.renewal.rules.domain.rule import Instruction, Pause, RenewalRule, short_form
from services.renewal.rules.domain.spending import REPLIES, Charge
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)


def rule_of(row: Any) -> RenewalRule:
    """What the row says: its document where that was written last, else its short form."""
    if row["document"] is not None and row["document_version"] == row["version"]:
        says = Instruction.model_validate_json(row["document"])
    else:
        says = short_form(
            tuple(row["triggers"]),
            row["offering_id"],
            tuple(row["payment_method_ids"]),
            row["cap_amount_minor"],
            row["currency"],
            enabled=row["enabled"],
        )
    pause, opt_out = _pause_of(row, "paused"), _pause_of(row, "opted_out")
    if pause is not None and pause.by.startswith(REPLIES):
        # Nobody else has paused it; or a process of an older version has written down the subscriber's word.
        pause, opt_out = None, opt_out or pause
    return RenewalRule(row["subscription_id"], row["version"], says, row["mandate_id"], pause, opt_out)


def _pause_of(row: Any, column: str) -> Pause | None:
    if row[f"{column}_at"] is None:
        return None
    return Pause(row[f"{column}_at"], row[f"{column}_by"], row[f"{column}_why"])


def row_of(rule: RenewalRule) -> tuple[Any, ...]:
    """The row, with the short form that processes of an older version read.

    Those would heed neither a pause nor what the short form does not say: to them such a rule is off. Others
    know of a single pause: where the subscriber alone has stopped it they read that.
    """
    says = rule.says
    nobody = (None, None, None)
    return (
        rule.subscription_id,
        rule.version,
        says.model_dump_json(),
        ",".join(wish.kind for wish in says.triggers),
        says.offerings.same,
        ",".join(says.payment_method_ids),
        says.cap_amount_minor,
        says.currency,
        says.enabled and not rule.pauses and says.is_short,
        rule.mandate_id,
        *(rule.pause or rule.opt_out or nobody),
        *(rule.opt_out or nobody),
    )


_WIDTH = 16


async def read(connection: Connection, subscription_id: str) -> RenewalRule | None:
    row = await connection.fetchrow(SQL["read_rule"], subscription_id)
    return None if row is None else rule_of(row)


async def lock(connection: Connection, subscription_ids: Collection[str]) -> dict[str, RenewalRule]:
    """The known ones among these, locked in key order."""
    rows = await connection.fetch(SQL["lock_rules"], list(subscription_ids))
    return {row["subscription_id"]: rule_of(row) for row in rows}


async def write(
    connection: Connection, rules: Collection[RenewalRule], set_by: str, now: datetime
) -> dict[str, int]:
    """Write these rules, at most one per subscription; the version that each has become."""
    rows = [row_of(rule) for rule in sorted(rules)]
    written = await connection.fetch(SQL["write_rules"], *columns(rows, _WIDTH), set_by, now)
    return {row["subscription_id"]: row["version"] for row in written}


class Named(NamedTuple):
    """What is known of what a rule names."""

    owner_id: str | None
    """None: nobody has told us of the subscription."""
    offerings: list[str]
    """Each as `id status`."""
    methods: list[str]
    """Each as `id payer status`."""


async def read_what_rules_name(
    connection: Connection, wanted: Sequence[tuple[str, Instruction]]
) -> list[Named]:
    """For each (subscription_id, what its rule is to say), in their order."""
    rows = [
        (subscription_id, ",".join(says.offerings.named), ",".join(says.payment_method_ids))
        for subscription_id, says in wanted
    ]
    found = await connection.fetch(SQL["read_what_rules_name"], *columns(rows, 3))
    return [Named._make(row) for row in found]


async def read_told(connection: Connection, subscription_ids: Sequence[str], now: datetime) -> list[Told]:
    """What triggers of these subscriptions ask, in their order."""
    rows = await connection.fetch(SQL["read_told"], list(subscription_ids), now, REPLIES)
    return [told_of(row) for row in rows]


def told_of(row: asyncpg.Record) -> Told:
    if row["subscription_id"] is None:
        return Told()
    return Told(
        rule_of(row),
        _mandate_of(row),
        [
            Charge(datetime.fromisoformat(at), amount, currency)
            for at, amount, currency in orjson.loads(row["charges"])
        ],
        [_terms_of(text) for text in row["offerings"]],
        row["applied_cycle"],
        _waiting_of(row),
    )


def _mandate_of(row: asyncpg.Record) -> Mandate | None:
    if row["payer_id"] is None:
        return None
    named = dict(row.items()) | {"currency": row["mandate_currency"]}
    return Mandate(*(named[field] for field in Mandate._fields))


def _terms_of(text: str) -> OfferingTerms:
    offering_id, validity_seconds, status = text.split(" ")
    return OfferingTerms(offering_id, int(validity_seconds), status)


def _waiting_of(row: asyncpg.Record) -> Trigger | None:
    if row["kept_cycle"] is None:
        return None
    return Trigger(
        row["subscription_id"],
        row["kept_cycle"],
        row["kept_kind"],
        None,
        dunning_try=row["kept_try"],
        not_before=row["kept_until"],
        announced=row["kept_announced"],
    )


async def adopt(connection: Connection, subscription_ids: Collection[str]) -> None:
    """Give rules of an older version's processes the evidence that they lack."""
    await connection.execute(SQL["adopt_rules"], list(subscription_ids))


async def call_off_announcements(connection: Connection, subscription_ids: Collection[str]) -> None:
    await connection.execute(SQL["call_off_announcements"], list(subscription_ids))


async def try_other_cards(connection: Connection, rules: Collection[RenewalRule], now: datetime) -> None:
    """Tries that wait for another payment method are due now where these rules name one."""
    rows = [(rule.subscription_id, ",".join(rule.says.payment_method_ids)) for rule in rules]
    await connection.execute(SQL["try_other_cards"], *columns(rows, 2), now)


async def take_due(connection: Connection, now: datetime, limit: int) -> list[Trigger]:
    """At most `limit` triggers whose instant has come; nobody keeps them any more."""
    rows = await connection.fetch(SQL["take_due_triggers"], now, limit)
    return [Trigger._make(row) for row in rows]


async def take_unpaused(
    connection: Connection, kept_after: datetime, kept_before: datetime, limit: int
) -> list[Trigger]:
    """At most `limit` triggers, of those kept in between, that wait for a rule which is not paused."""
    rows = await connection.fetch(SQL["take_unpaused_triggers"], kept_after, kept_before, limit)
    return [Trigger._make(row) for row in rows]


async def take_answered(
    connection: Connection, kept_after: datetime, kept_before: datetime, limit: int
) -> list[Trigger]:
    """At most `limit` triggers, of those kept in between, whose price is by now agreed to."""
    rows = await connection.fetch(SQL["take_answered_triggers"], kept_after, kept_before, limit)
    return [Trigger._make(row) for row in rows]


async def read_questions(connection: Connection, subscription_ids: Collection[str]) -> dict[str, Question]:
    """What payers of these subscriptions were asked to agree to, and have not answered."""
    rows = await connection.fetch(SQL["read_questions"], list(subscription_ids))
    return {
        row["subscription_id"]: Question(row["offering_id"], int(row["amount_minor"]), row["currency"])
        for row in rows
    }


async def look_again(connection: Connection, subscription_ids: Collection[str], now: datetime) -> None:
    """What waits for a payer's answer in these subscriptions is due now."""
    await connection.execute(SQL["look_again"], sorted(subscription_ids), now)


async def upsert_offering_terms(connection: Connection, rows: Collection[tuple[Any, ...]]) -> None:
    """Rows of (offering_id, version, validity_seconds, data_bytes, destination, status)."""
    await connection.execute(SQL["upsert_offering_terms"], *columns(rows, 6))
