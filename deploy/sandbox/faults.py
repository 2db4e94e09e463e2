"""Fault profiles set over HTTP: which operations misbehave, how, and how often. Deterministic by seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

from . import fields
from .behaviours import ALL_CALLS, BEHAVIOURS, Behaviour, rows_for
from .exchange import NO_ANSWER, SECOND, Document, Reply, error_reply

RULES_LIMIT: Final = 100
RULE_FIELDS: Final = (
    "operation",
    "behaviour",
    "probability",
    "every_nth",
    "count",
    "seed",
    "seconds",
    "retry_after_seconds",
)
LONGEST_SECONDS: Final = 3_600.0
GARBAGE: Final = b"<html><body>502 upstream prematurely closed <!-- \x00\xff"


@dataclass(slots=True)
class Firing:
    """A behaviour that acts on the call at hand."""

    behaviour: Behaviour
    delay_us: int
    retry_after_seconds: int
    times: int = ALL_CALLS


def firing_of(behaviour: Behaviour, times: int = ALL_CALLS) -> Firing:
    """The firing of a token's or an ICCID's behaviour: its own default times."""
    return Firing(behaviour, int(behaviour.seconds * SECOND), max(1, round(behaviour.seconds)), times)


@dataclass(slots=True)
class Rule:
    """One line of a fault profile, with what it has seen so far."""

    document: Document
    operation: str
    firing: Firing
    probability: float | None
    every_nth: int | None
    remaining: int | None
    random: Random
    seen: int = 0
    fired: int = 0

    def fires(self, operation: str) -> bool:
        """Asked once per call it could apply to, and only then does it count or draw."""
        allowed = self.firing.behaviour.operations
        if self.operation not in ("*", operation) or (allowed and operation not in allowed):
            return False
        if operation == "webhook" and not allowed:
            return False
        if self.remaining == 0:
            return False
        self.seen += 1
        if self.every_nth is not None:
            hit = self.seen % self.every_nth == 0
        else:
            hit = self.random.random() < (1.0 if self.probability is None else self.probability)
        if hit:
            self.fired += 1
            if self.remaining is not None:
                self.remaining -= 1
        return hit


@dataclass(slots=True)
class FaultProfile:
    """The rules in force on one server; the first that fires wins."""

    server: str
    operations: frozenset[str]
    rules: list[Rule] = field(default_factory=list)

    def fire(self, operation: str) -> Firing | None:
        for rule in self.rules:
            if rule.fires(operation):
                return rule.firing
        return None

    def replace(self, documents: object) -> None:
        """Take over a whole profile, or refuse it whole."""
        if type(documents) is not list or len(documents) > RULES_LIMIT:
            raise fields.invalid("faults", f"a list of at most {RULES_LIMIT} rules")
        self.rules = [self._rule(document) for document in documents]

    def _rule(self, document: object) -> Rule:
        if type(document) is not dict or not document.keys() <= set(RULE_FIELDS):
            raise fields.invalid("faults", "a list of objects with the fields " + ", ".join(RULE_FIELDS))
        operation = fields.choice(document, "operation", ("*", *sorted(self.operations)))
        names = tuple(row.name for row in rows_for(self.server))
        behaviour = BEHAVIOURS[fields.choice(document, "behaviour", names)]
        self._check_fit(operation, behaviour)
        if document.get("probability") is not None and document.get("every_nth") is not None:
            raise fields.invalid("probability", "left out when `every_nth` is given")
        seconds = fields.number(document, "seconds", default=behaviour.seconds, most=LONGEST_SECONDS)
        default = firing_of(behaviour).retry_after_seconds
        return Rule(
            document=document,
            operation=operation,
            firing=Firing(
                behaviour,
                int((seconds or 0.0) * SECOND),
                _optional_integer(document, "retry_after_seconds", least=0, default=default) or 0,
            ),
            probability=fields.number(document, "probability", default=None, most=1.0),
            every_nth=_optional_integer(document, "every_nth", least=1),
            remaining=_optional_integer(document, "count", least=1),
            random=Random(_optional_integer(document, "seed", least=0, default=0)),
        )

    def _check_fit(self, operation: str, behaviour: Behaviour) -> None:
        fits = behaviour.operations
        if operation == "*":
            return
        if (fits and operation not in fits) or (operation == "webhook" and not behaviour.webhook):
            expected = ", ".join(fits) or "an operation that is called over HTTP"
            raise fields.invalid("operation", f"{expected} for the behaviour {behaviour.name}")

    def view(self) -> list[Document]:
        return [rule.document | {"seen": rule.seen, "fired": rule.fired} for rule in self.rules]


def _optional_integer(document: Document, name: str, *, least: int, default: int | None = None) -> int | None:
    return default if document.get(name) is None else fields.integer(document, name, least=least)


def door_reply(firing: Firing) -> Reply:
    """The answer of a call that was turned away before anything happened."""
    match firing.behaviour.door:
        case "silence":
            return Reply(504, b"", hold_us=NO_ANSWER)
        case "limit":
            reply = error_reply(429, "rate_limit", "Too many requests: wait.", kind="rate_limit_error")
            reply.retry_after_seconds = firing.retry_after_seconds
            return reply
        case _:
            return error_reply(503, "unavailable", "Out of order: nothing was done.", kind="api_error")


def delivered(reply: Reply, firing: Firing) -> Reply:
    """What arrives of a true answer."""
    match firing.behaviour.delivery:
        case "silence":
            return Reply(reply.status, b"", hold_us=NO_ANSWER, replayed=reply.replayed)
        case "slow":
            return Reply(reply.status, reply.body, hold_us=firing.delay_us, replayed=reply.replayed)
        case "garbage":
            return Reply(200, GARBAGE, replayed=reply.replayed, content_type=b"text/html")
        case "error":
            return error_reply(500, "internal", "Something broke on the way back.", kind="api_error")
        case _:
            return reply
