"""Which ways to pay are accepted: by destination, payer's country and kind; the most specific entry wins."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, Literal, NamedTuple

Verdict = Literal["allow", "review", "refuse"]
"""`review`: a person decides, for each renewal anew."""
ANY: Final = "*"
"""In an entry: whatever it is, known or not."""
NOT_ACCEPTED: Final = "not_accepted"
"""Why a request is refused, to whoever asks."""

ReviewState = Literal[
    "in_review",  # nobody has decided yet
    "approved",  # what was to be reviewed is accepted, for this renewal
    "refused",  # by a person, by time, or by what stood in the way after it was approved
    "withdrawn",  # whoever asked does not want it any more
]


class Entry(NamedTuple):
    """One line of the table; `*` stands for all."""

    destination: str
    payer_country: str
    method_kind: str
    verdict: Verdict

    @property
    def rank(self) -> tuple[int, bool, bool]:
        """How specific it is: by how many it names, then the destination before the country."""
        named = [name != ANY for name in self[:3]]
        return sum(named), named[0], named[1]


class Reviewed(NamedTuple):
    """What a person was asked about this very request before, and what became of it."""

    state: ReviewState
    methods: frozenset[str]
    """Those that were to be decided about: an approval is good for these alone."""
    deadline_at: datetime
    reason: str | None = None
    detail: str | None = None
    """Both where it is refused or withdrawn."""


class Acceptance(NamedTuple):
    """What the table says about one request; what nobody told us of is None, and only `*` is meant."""

    destination: str | None
    payer_country: str | None
    kinds: Mapping[str, str]
    """Of the methods that are known, by their ids."""
    entries: Collection[Entry]
    """Those that can concern it."""
    reviewed: Reviewed | None = None

    def accepted(self, payment_method_ids: Collection[str]) -> tuple[str, ...]:
        """Those that may be tried, in their order."""
        return tuple(method for method in payment_method_ids if self.verdict(method) == "allow")

    def to_review(self, payment_method_ids: Collection[str]) -> tuple[str, ...]:
        """Those that a person has to decide about, in their order."""
        return tuple(method for method in payment_method_ids if self.verdict(method) == "review")

    def objection(
        self, payment_method_ids: Collection[str], *, may_ask: bool = True
    ) -> tuple[str, str] | None:
        """Why none of these may be tried, a code and a sentence; None where one may.

        None as well where a person decides, unless nobody may be asked any more.
        """
        if self.accepted(payment_method_ids) or (may_ask and self.to_review(payment_method_ids)):
            return None
        if self.reviewed is not None and self.reviewed.reason is not None:
            return self.reviewed.reason, self.reviewed.detail or ""
        return NOT_ACCEPTED, self.sentence(payment_method_ids)

    def sentence(self, payment_method_ids: Collection[str]) -> str:
        """That none of these is accepted, and what to do."""
        kinds = ", ".join(sorted({self.kinds.get(method, "unknown") for method in payment_method_ids}))
        destination = self.destination or "this destination"
        country = self.payer_country or "an unknown country"
        return (
            f"For {destination} no payment by {kinds} is taken from a payer in {country}. "
            "Name a method of another kind, or another payer."
        )

    def verdict(self, payment_method_id: str) -> Verdict:
        """The table's, or of a person where the table leaves it to one and they have decided."""
        says = self.entry_verdict(payment_method_id)
        if says != "review" or self.reviewed is None or self.reviewed.state == "in_review":
            return says
        approved = self.reviewed.state == "approved" and payment_method_id in self.reviewed.methods
        return "allow" if approved else "refuse"

    def entry_verdict(self, payment_method_id: str) -> Verdict:
        """Of the most specific entry; where there is none everything is allowed."""
        asked = (self.destination, self.payer_country, self.kinds.get(payment_method_id))
        meant = [
            entry
            for entry in self.entries
            if all(name in (ANY, is_) for name, is_ in zip(entry[:3], asked, strict=True))
        ]
        return max(meant, key=lambda entry: entry.rank).verdict if meant else "allow"
