"""Which ways to pay are accepted: by destination, payer's country and kind; the most specific entry wins."""

from collections.abc import Collection, Mapping
from typing import Final, Literal, NamedTuple

Verdict = Literal["allow", "refuse"]
ANY: Final = "*"
"""In an entry: whatever it is, known or not."""


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


class Acceptance(NamedTuple):
    """What the table says about one request; what nobody told us of is None, and only `*` is meant."""

    destination: str | None
    payer_country: str | None
    kinds: Mapping[str, str]
    """Of the methods that are known, by their ids."""
    entries: Collection[Entry]
    """Those that can concern it."""

    def accepted(self, payment_method_ids: Collection[str]) -> tuple[str, ...]:
        """Those that may be tried, in their order."""
        return tuple(method for method in payment_method_ids if self.verdict(method) == "allow")

    def verdict(self, payment_method_id: str) -> Verdict:
        """Of the most specific entry; where there is none everything is allowed."""
        asked = (self.destination, self.payer_country, self.kinds.get(payment_method_id))
        meant = [
            entry
            for entry in self.entries
            if all(name in (ANY, is_) for name, is_ in zip(entry[:3], asked, strict=True))
        ]
        return max(meant, key=lambda entry: entry.rank).verdict if meant else "allow"
