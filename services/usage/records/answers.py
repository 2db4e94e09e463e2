"""What each line of usage records is answered: what became of it, and what to do now."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pydantic import Field

from services.usage.domain.arrivals import Result
from services.usage.records.lines import Fault, Line
from shared.http.body import Answer

LineResult = Result | Literal["invalid", "unavailable"]

_SEEN: Final = "GET /v1/quarantined-records shows it."
DETAILS: Final[Mapping[LineResult, str | None]] = {
    "counted": None,
    "duplicate": "The same record came before and counts once: nothing is to be done.",
    "unknown_iccid": "No subscription has this ICCID yet. The record is kept and counts once one has: "
    "only compare the ICCID.",
    "dropped": "No subscription has this ICCID, and too many such records are kept already. "
    "Send it again once its subscription is there.",
    "too_large": f"More bytes than one record may have, so it was set aside. {_SEEN} "
    "Correct it and send it again.",
    "ends_before_start": f"It ended before it started, so it was set aside. {_SEEN} "
    "Correct its times and send it again.",
    "in_future": f"It ends too far in the future, so it was set aside. {_SEEN} "
    "Compare the clock of its source, correct its times and send it again.",
    "too_old": "It ended before the days of which repeats are recognised, so it was set aside. "
    f"{_SEEN} Sending it again changes nothing.",
    "changed_repeat": "A record with the same source, id and day came before with other contents. "
    f"That one counts, this one was set aside. {_SEEN} If it is another record, give it an id of its own.",
    "invalid": None,
    "unavailable": "The database did not answer, so it is not known whether it counted. Send it again: "
    "what counted already counts once.",
}


class LineAnswer(Answer):
    """What became of one line."""

    line: int = Field(description="its number in the request, from 1")
    result: LineResult
    field: str | None = Field(None, description="of an invalid one: the field that is wrong, if it is one")
    detail: str | None = Field(None, description="what to do, unless it counted")


def answer(line: Line, result: LineResult) -> LineAnswer:
    """The answer to a line; to one that is no record it is always `invalid`."""
    if isinstance(line.read, Fault):
        why = f"{line.read.why} Correct the line and send it again."
        return LineAnswer(line=line.number, result="invalid", field=line.read.field, detail=why)
    return LineAnswer(line=line.number, result=result, detail=DETAILS[result])


def written(answers: Sequence[LineAnswer]) -> bytes:
    """As NDJSON."""
    return b"".join(each.model_dump_json(exclude_none=True).encode() + b"\n" for each in answers)
