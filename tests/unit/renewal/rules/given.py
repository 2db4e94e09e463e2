"""A rule in its short form, on the payer's mandate, and a trigger of its subscription: as all must be."""

from datetime import timedelta
from typing import Any

from services.renewal.domain.admission import Answer
from services.renewal.domain.asking import Trigger
from services.renewal.domain.policy import POLICY
from services.renewal.rules.domain.judgement import Told, answer_trigger
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import Instruction, Pause, RenewalRule, short_form
from tests.unit.renewal.story import T0
from tests.unit.renewal.test_admission import standing

GIGABYTE = 10**9
TRIGGER = Trigger("sub-1", 3, "exhausted", None)
DETAILED = TRIGGER._replace(
    remaining_bytes=0,
    granted_bytes=GIGABYTE,
    cycle_began_at=T0 - timedelta(days=10),
    occurred_at=T0,
)


def says(**different: Any) -> Instruction:
    """Exhausted data renews `cuba-1gb` for at most 800."""
    short = short_form(("exhausted",), "cuba-1gb", ("card-1",), 800, "USD", enabled=True)
    return Instruction(**{name: getattr(short, name) for name in Instruction.model_fields} | different)


def mandate(**different: Any) -> Mandate:
    """Ana agreed to 900 a charge a year ago."""
    return Mandate(
        subscription_id="sub-1",
        mandate_id="m-1",
        payer_id="ana",
        text_version="2026-01",
        text_sha256=b"\x01" * 32,
        channel="app",
        given_at=T0 - timedelta(days=365),
        language="es-CU",
        max_amount_minor=900,
        currency="USD",
        valid_until=None,
        recorded_by="app",
        recorded_at=T0 - timedelta(days=365),
    )._replace(**different)


def told(pause: Pause | None = None, opt_out: Pause | None = None, **different: Any) -> Told:
    """What is known of the rule; what `says` takes is for the rule, the rest is as Told names it."""
    known = {name: different.pop(name) for name in list(different) if name in Told._fields}
    rule = RenewalRule("sub-1", 1, says(**different), "m-1", pause, opt_out)
    return Told(rule, mandate())._replace(**known)


def pull(trigger: Trigger = TRIGGER, known: Told | None = None, **different: Any) -> Answer:
    """What the trigger leads to; `different` is of the standing."""
    stands = standing(renewal_id=trigger.renewal_id, **different)
    return answer_trigger(trigger, told() if known is None else known, stands, T0, POLICY)
