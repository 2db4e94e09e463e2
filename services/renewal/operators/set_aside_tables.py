"""What the command line prints of keys that were set aside."""

from collections.abc import Sequence

from services.renewal.operators.tables import Row, console, show, when

__all__ = ["audit", "keys", "proposals", "records", "told", "when"]


def told(text: str) -> None:
    """A sentence as it is."""
    console().print(text, markup=False)


def keys(items: Sequence[Row], *, more: bool) -> None:
    """Which keys wait."""
    show(
        f"{len(items)} keys" + (", and there are more" if more else ""),
        ("consumer", "key id", "version", "key", "records", "since", "let go", "topic", "reason"),
        [
            (
                one["consumer"],
                one["key_id"],
                one["version"],
                one["key"],
                one["records"],
                when(one["since"]),
                when(one["released_at"]),
                one["topic"],
                one["reason"],
            )
            for one in items
        ],
    )


def records(items: Sequence[Row], *, more: bool) -> None:
    """The records of one key; what they hold is too long for a table."""
    for one in items:
        told(f"{one['topic']} {one['partition']} {one['offset']}  {one['type']}  {when(one['set_aside_at'])}")
        told(f"    {one['reason']}")
        told(f"    {one['payload']}")
    if more:
        told("There are more.")


def proposals(items: Sequence[Row]) -> None:
    """What was proposed, and how it stands."""
    show(
        "Proposals",
        ("proposal", "what", "consumer", "keys", "by", "until", "state", "why"),
        [
            (
                one["proposal_id"],
                one["action"],
                one["consumer"],
                " ".join(one["key_ids"][:3]) + (" ..." if len(one["key_ids"]) > 3 else ""),
                one["proposed_by"],
                when(one["expires_at"]),
                one["state"] if one["decided_by"] is None else f"{one['state']} by {one['decided_by']}",
                one["why"],
            )
            for one in items
        ],
    )


def audit(items: Sequence[Row], *, more: bool) -> None:
    """Who did what."""
    show(
        f"{len(items)} deeds" + (", and there are more" if more else ""),
        ("at", "who", "what", "consumer", "key id", "before", "after", "why"),
        [
            (
                when(one["at"]),
                one["operator"],
                f"{one['step']} {one['action']}",
                one["consumer"],
                one["key_id"],
                _standing(one["before"]),
                _standing(one["after"]),
                one["why"],
            )
            for one in items
        ],
    )


def _standing(standing: Row | None) -> str:
    if standing is None:
        return ""
    let_go = ", let go" if standing["released_at"] else ""
    return f"{standing['version']}, {standing['records']} records{let_go}"
