"""Numbers that name a card, an eSIM or a chip never leave the process in clear."""

import re

LONGEST_TEXT = 300
"""Characters of one value in a log line or a problem document."""

# An ICCID has 18-20 digits, an EID 32, an IMEI 15, a card number 13-19: a run of 13 or more is one of them.
# Cards are also written in groups of four; the look-behind keeps the groups of a UUID out of that.
_LONG_NUMBER = re.compile(r"[0-9]{13,}|(?<![0-9A-Za-z-])(?:[0-9]{4}[ -]){3}[0-9]{1,7}(?![0-9A-Za-z-])")


def masked(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text with every long number reduced to its last four digits, at most `longest` characters."""
    if len(text) > longest:
        text = text[:longest] + "…"
    if _LONG_NUMBER.search(text) is None:
        return text
    return _LONG_NUMBER.sub(lambda number: f"[number ending {number[0][-4:]}]", text)
