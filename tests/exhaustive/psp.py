"""The PSP as we understand it: the specification that our promises rest on, in the words of its HTTP API.

- An intent takes money at most once. Once cancelled it never does; once it has taken money, or is
  deciding, it cannot be cancelled.
- A request under a key that was answered before is answered alike and does nothing.
- Who is declined may be charged all the same, later, until the intent is cancelled ("late success").
- A refund never exceeds what was taken. It may fail, at once or after it was reported made.
- It says unasked what happens later. That can be lost, but it is never wrong.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

import orjson

from services.payment.domain.capabilities import Capabilities
from services.payment.domain.outcome import Outcome
from services.payment.webhooks import outcome_of
from shared.calls.http_client import HttpAnswer
from tests.exhaustive.abstraction import NOW
from tests.exhaustive.case import CURRENCY, PRICE, RENEWAL
from tests.exhaustive.choices import Choices, Option
from tests.exhaustive.line import Request

CONFIRMABLE: Final = ("requires_payment_method", "requires_confirmation", "requires_action")
BANK: Final[tuple[Option, ...]] = (
    ("declined softly", "soft decline"),
    ("declined for good", "hard decline"),
    ("declined without the payer", "decline without the payer"),
    ("the payer must act", "action required"),
    ("deciding", "bank deciding"),
    ("declined, captured later", "late capture"),
    ("broken, nothing done", "psp broken"),
)
DECLINES: Final = {
    "declined softly": "insufficient_funds",
    "declined for good": "lost_card",
    "declined without the payer": "authentication_required",
    "declined, captured later": "insufficient_funds",
}
REFUNDS: Final[tuple[Option, ...]] = (
    ("failed", "refund fails"),
    ("pending", "refund pending"),
    ("refused", "refund refused"),
)
RARE: Final = {
    "disputed": "dispute",
    "given back by somebody": "refunded elsewhere",
    "returns": "refund returns",
}
NOT_OFFERED: Final = HttpAnswer(405, {}, b'{"error":{"code":"not_offered"}}')
LOSABLE: Final = frozenset({"payment_intent.succeeded", "payment_intent.canceled", "charge.refunded"})
"""Webhooks without which the same is learned by asking. What happens to a finished payment days later is told
until somebody listens: PSPs do so for days."""
INTERNAL: Final = HttpAnswer(500, {}, b'{"error":{"code":"internal"}}')


class Intent(NamedTuple):
    """The one object of a renewal at this PSP, or what came before it."""

    status: str = "requires_payment_method"
    token: str | None = None
    declined_as: str | None = None
    is_late: bool = False
    """Declined, and yet the money will be taken."""
    disputed: bool = False


class Refund(NamedTuple):
    intent: int
    key: str
    status: str
    is_ours: bool = True
    """False where somebody else gave the money back, at the PSP."""


class Hook(NamedTuple):
    """An event that the PSP tells unasked. `subject` counts intents, or refunds."""

    kind: str
    subject: int


class Psp(NamedTuple):
    """All that the PSP knows of our renewal."""

    name: str
    can: Capabilities
    intents: tuple[Intent, ...] = ()
    refunds: tuple[Refund, ...] = ()
    remembered: frozenset[tuple[str, int, bytes]] = frozenset()
    hooks: frozenset[Hook] = frozenset()
    tells_all: bool = False
    """Whether it also tells unasked what it has just answered."""

    def reference(self, intent: int) -> str:
        return f"{self.name}-pi-{intent}"

    def holds(self, place: int) -> bool:
        """Whether that intent took the payer's money and has it still."""
        given_back = any(one.intent == place and one.status == "succeeded" for one in self.refunds)
        return self.intents[place].status == "succeeded" and not given_back

    def captured(self) -> int:
        """How many intents hold the payer's money."""
        return sum(map(self.holds, range(len(self.intents))))

    def can_work(self, request: Request) -> bool:
        """Whether that request would move money if it came now, whatever its key."""
        match request.path.strip("/").split("/")[1:]:
            case ["payment_intents", reference, "confirm"]:
                return self.intents[_place(reference)].status in CONFIRMABLE
            case ["refunds"]:
                return self.holds(_place(orjson.loads(request.body)["payment_intent"]))
        return False

    def remembers(self, request: Request) -> bool:
        """Whether it would be answered as it was before."""
        return self.can.honours_keys and any(key == request.key for key, _, _ in self.remembered)

    def is_still(self) -> bool:
        """Whether nothing more will happen here by itself."""
        moving = any(one.is_late or one.status == "processing" for one in self.intents)
        return not moving and not self.hooks and all(one.status != "pending" for one in self.refunds)


def answer(psp: Psp, request: Request, choices: Choices) -> tuple[Psp, HttpAnswer]:
    """Serve one request. Keys are remembered for whatever was decided, where they are honoured."""
    parts = request.path.partition("?")[0].strip("/").split("/")[1:]
    if request.method == "GET":
        return psp, _asked(psp, parts, request.path) if psp.can.can_query else NOT_OFFERED
    if not psp.can.honours_keys:
        return _effect(psp, parts, request, choices)
    for key, status, body in psp.remembered:
        if key == request.key:
            return psp, HttpAnswer(status, {}, body)
    after, answered = _effect(psp, parts, request, choices)
    if request.key is not None:
        remembered = after.remembered | {(request.key, answered.status, answered.body)}
        after = after._replace(remembered=remembered)
    return after, answered


def _effect(psp: Psp, parts: list[str], request: Request, choices: Choices) -> tuple[Psp, HttpAnswer]:
    match parts:
        case ["payment_intents"]:
            after = psp._replace(intents=(*psp.intents, Intent()))
            return after, _told(_view(after, len(psp.intents)))
        case ["payment_intents", reference, "confirm"]:
            token = orjson.loads(request.body)["payment_method"]
            return _confirm(psp, _place(reference), token, choices)
        case ["payment_intents", reference, "cancel"]:
            return _cancel(psp, _place(reference), choices) if psp.can.can_cancel else (psp, NOT_OFFERED)
        case ["refunds"]:
            return _refund(psp, orjson.loads(request.body), choices)
    raise AssertionError(f"nobody asks for {request.path}")


def _confirm(psp: Psp, place: int, token: str, choices: Choices) -> tuple[Psp, HttpAnswer]:
    intent = psp.intents[place]
    if intent.status not in CONFIRMABLE:
        return psp, _unexpected(psp, place)
    said = choices.among("captured", *BANK)
    if said == "broken, nothing done":
        return psp, INTERNAL
    if said in DECLINES:
        late = intent.is_late or said == "declined, captured later"
        changed = Intent("requires_payment_method", token, DECLINES[said], late)
        after = _with(psp, place, changed)
        error = {
            "code": "card_declined",
            "decline_code": DECLINES[said],
            "payment_intent": _view(after, place),
        }
        return after, _told({"error": error}, 402)
    statuses = {"captured": "succeeded", "the payer must act": "requires_action", "deciding": "processing"}
    after = _with(psp, place, Intent(statuses[said], token, None, intent.is_late and said != "captured"))
    if said == "captured" and psp.tells_all:
        after = _tells(after, "payment_intent.succeeded", place)
    return after, _told(_view(after, place))


def _cancel(psp: Psp, place: int, choices: Choices) -> tuple[Psp, HttpAnswer]:
    intent = psp.intents[place]
    if intent.status == "processing":
        # Asked again and again while it decides it gives the same answer: each time has its price.
        choices.suffers("bank deciding")
    if intent.status in ("succeeded", "processing"):
        return psp, _unexpected(psp, place)
    after = _with(psp, place, Intent("canceled"))
    if intent.status != "canceled" and psp.tells_all:
        after = _tells(after, "payment_intent.canceled", place)
    return after, _told(_view(after, place))


def _refund(psp: Psp, body: dict[str, Any], choices: Choices) -> tuple[Psp, HttpAnswer]:
    place = _place(body["payment_intent"])
    already = any(one.intent == place and one.status != "failed" for one in psp.refunds)
    if psp.intents[place].status != "succeeded" or already or psp.intents[place].disputed:
        return psp, _told({"error": {"code": "charge_already_refunded"}}, 400)
    said = choices.among("succeeded", *REFUNDS)
    if said == "refused":
        return psp, _told({"error": {"code": "refund_not_possible"}}, 400)
    after = psp._replace(refunds=(*psp.refunds, Refund(place, body["metadata"]["key"], said)))
    if said == "succeeded" and psp.tells_all:
        after = _tells(after, "charge.refunded", len(psp.refunds))
    return after, _told(_refund_view(after, len(psp.refunds)))


def _asked(psp: Psp, parts: list[str], path: str) -> HttpAnswer:
    match parts:
        case ["payment_intents", reference]:
            return _told(_view(psp, _place(reference)))
        case ["refunds", reference]:
            return _told(_refund_view(psp, _place(reference)))
        case ["refunds"]:
            place = _place(path.partition("payment_intent=")[2].partition("&")[0])
            found = [at for at, one in enumerate(psp.refunds) if one.intent == place]
            return _told({"data": [_refund_view(psp, at) for at in reversed(found)]})
    raise AssertionError(f"nobody asks for {path}")


def events(psp: Psp, rare: Collection[str]) -> Iterator[tuple[str, str, Psp]]:
    """What can happen without a request, of RARE only `rare`: its name, its kind or "", the PSP after it."""
    for place, intent in enumerate(psp.intents):
        for what in _due(intent, is_held=psp.holds(place)):
            if what not in RARE or what in rare:
                yield f"intent {place} {what}", RARE.get(what, ""), _happens(psp, place, what)
    for place, refund in enumerate(psp.refunds):
        for what in _owed(refund):
            if what not in RARE or what in rare:
                yield f"refund {place} {what}", RARE.get(what, ""), _settles(psp, place, what)


def _due(intent: Intent, *, is_held: bool) -> tuple[str, ...]:
    if intent.status == "processing":
        return ("captured", "declined")
    if intent.is_late and intent.status in CONFIRMABLE:
        return ("captured",)
    if intent.status == "requires_action":
        return ("captured", "declined")
    return ("disputed", "given back by somebody") if is_held and not intent.disputed else ()


def _owed(refund: Refund) -> tuple[str, ...]:
    if refund.status == "pending":
        return ("succeeds", "fails")
    return ("returns",) if refund.status == "succeeded" else ()


def _happens(psp: Psp, place: int, what: str) -> Psp:
    intent = psp.intents[place]
    if what == "captured":
        after = _with(psp, place, Intent("succeeded", intent.token))
        return _tells(after, "payment_intent.succeeded", place)
    if what == "given back by somebody":
        after = psp._replace(refunds=(*psp.refunds, Refund(place, "", "succeeded", is_ours=False)))
        return _tells(after, "charge.refunded", len(psp.refunds))
    if what == "disputed":
        return _tells(_with(psp, place, intent._replace(disputed=True)), "charge.dispute.created", place)
    changed = intent._replace(status="requires_payment_method", declined_as="generic_decline")
    return _with(psp, place, changed)


def _settles(psp: Psp, place: int, what: str) -> Psp:
    status = "succeeded" if what == "succeeds" else "failed"
    refunds = list(psp.refunds)
    refunds[place] = refunds[place]._replace(status=status)
    kind = "charge.refunded" if what == "succeeds" else "refund.failed"
    return _tells(psp._replace(refunds=tuple(refunds)), kind, place)


def _tells(psp: Psp, kind: str, subject: int) -> Psp:
    return psp._replace(hooks=psp.hooks | {Hook(kind, subject)})


class _Subject(NamedTuple):
    id: str
    status: str
    amount_minor: int
    currency: str
    payment_intent: str | None
    metadata: dict[str, str]


class _Content(NamedTuple):
    object: _Subject


class _Event(NamedTuple):
    type: str
    data: _Content


def forgetful(psp: Psp) -> Psp:
    """The PSP when so much time has passed that it remembers no key; what it wrote down it still tells."""
    return psp._replace(remembered=frozenset())


def remembering(psp: Psp, usable: Collection[str]) -> Psp:
    """The PSP without keys that nobody can use again: they would only tell states apart."""
    kept = frozenset(one for one in psp.remembered if one[0] in usable)
    refunds = tuple(one if one.key in usable else one._replace(key="") for one in psp.refunds)
    return psp._replace(remembered=kept, refunds=refunds)


def told_unasked(psp: Psp, hook: Hook) -> Outcome:
    """The webhook as production reads it."""
    ours = {"renewal_id": str(RENEWAL)}
    if hook.kind in ("charge.refunded", "refund.failed"):
        refund = psp.refunds[hook.subject]
        status = "succeeded" if hook.kind == "charge.refunded" else "failed"
        intent = psp.reference(refund.intent)
        subject = _Subject(f"{psp.name}-re-{hook.subject}", status, PRICE, CURRENCY, intent, ours)
    else:
        subject = _Subject(psp.reference(hook.subject), "succeeded", PRICE, CURRENCY, None, ours)
    outcome = outcome_of(_Event(hook.kind, _Content(subject)), psp.name, NOW)
    assert outcome is not None
    return outcome


def _view(psp: Psp, place: int) -> dict[str, Any]:
    intent = psp.intents[place]
    error = None
    if intent.declined_as is not None:
        error = {"decline_code": intent.declined_as, "payment_method": intent.token}
    return {"id": psp.reference(place), "status": intent.status, "last_payment_error": error}


def _refund_view(psp: Psp, place: int) -> dict[str, Any]:
    refund = psp.refunds[place]
    return {"id": f"{psp.name}-re-{place}", "status": refund.status, "metadata": {"key": refund.key}}


def _unexpected(psp: Psp, place: int) -> HttpAnswer:
    error = {"code": "payment_intent_unexpected_state", "payment_intent": _view(psp, place)}
    return _told({"error": error}, 400)


def _told(document: dict[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, orjson.dumps(document))


def _with(psp: Psp, place: int, intent: Intent) -> Psp:
    return psp._replace(intents=(*psp.intents[:place], intent, *psp.intents[place + 1 :]))


def _place(reference: str) -> int:
    return int(reference.rpartition("-")[2])
