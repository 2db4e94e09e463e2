"""What the command line prints: tables for people, ids in full."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

# Without a terminal nothing is cut: the output may be searched, or read in a ticket.
_UNCUT: Final = 240

Row = Mapping[str, Any]


def console(*, stderr: bool = False) -> Console:
    """Made when something is printed: it looks at what the output is then."""
    found = Console(highlight=False, stderr=stderr, soft_wrap=True)
    return found if found.is_terminal else Console(highlight=False, stderr=stderr, width=_UNCUT)


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One table; a cell that is None is left empty."""
    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.no_wrap = column.header in ("renewal", "proposal", "job", "id", "key id", "version")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).replace("[", r"\[")


def when(text: str | None) -> str:
    """An instant of the API as people read it, in UTC to the second."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def since(seconds: float) -> str:
    """An age in its two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    told = [f"{number}{unit}" for number, unit in parts if number]
    return " ".join(told[:2]) or "0s"


def renewals(items: Sequence[Row], *, more: bool) -> None:
    """What a search found."""
    show(
        f"{len(items)} renewals" + (", and there are more" if more else ""),
        (
            "renewal",
            "state",
            "version",
            "age",
            "subscription",
            "brand",
            "carrier",
            "reason",
            "case",
            "next due",
        ),
        [
            (
                one["renewal_id"],
                one["state"],
                one["version"],
                since(one["age_seconds"]),
                one["subscription_id"],
                one["brand"],
                one["carrier"],
                one["parked_reason"] or one["reason"],
                ", ".join(one["cases"]),
                when(one["next_due_at"]),
            )
            for one in items
        ],
    )


def timeline(told: Row) -> None:
    """One renewal: where it stands, what happened, what comes next."""
    renewal = told["renewal"]
    show(
        f"Renewal {renewal['renewal_id']}",
        ("state", "version", "subscription", "brand", "carrier", "offering", "amount", "waits for"),
        [
            (
                renewal["state"],
                renewal["version"],
                renewal["subscription_id"],
                told["brand"],
                told["carrier"],
                renewal["offering_id"],
                _money(renewal),
                told["waits_for"],
            )
        ],
    )
    show(
        "\nWhat happened",
        ("at", "what", "to", "attempt", "who", "why"),
        [
            (
                when(line["at"]),
                line["what"],
                line["to_state"],
                line["attempt"],
                line["who"],
                ": ".join(word for word in (line["reason"], line["why"]) if word),
            )
            for line in told["events"]
        ],
    )
    if told["next"]:
        held = ", once all consumers have caught up" if told["timers_held"] else ""
        show(
            f"\nWhat comes next{held}",
            ("at", "what"),
            [(when(one["at"]), one["then"]) for one in told["next"]],
        )
    if told["cases"]:
        console().print(f"\nTo be looked into: {', '.join(told['cases'])}.")
    if told["open_proposal"]:
        proposals([told["open_proposal"]])
    if told["kept_trigger"]:
        console().print(f"\nThe rule's next renewal waits. {told['kept_trigger']['detail']}", markup=False)
    console().print(f"\nAllowed now: {', '.join(_with_choices(told)) or 'nothing'}.")


def _with_choices(told: Row) -> list[str]:
    """What is allowed, with what has to be chosen for it."""
    chosen = {name: f" ({' or '.join(of)})" for name, of in told["choices"].items()}
    return [f"{name}{chosen.get(name, '')}" for name in told["allowed"]]


def _money(renewal: Row) -> str:
    minor = (
        renewal["amount_minor"] if renewal["amount_minor"] is not None else renewal["expected_amount_minor"]
    )
    return f"{minor} minor units of {renewal['currency']}"


def proposals(items: Sequence[Row]) -> None:
    show(
        "\nProposals",
        ("proposal", "renewal", "version", "what", "state", "by", "until", "why", "decided"),
        [
            (
                one["proposal_id"],
                one["renewal_id"],
                one["version"],
                " ".join(word for word in (one["action"], one["choice"]) if word),
                one["state"],
                one["proposed_by"],
                when(one["expires_at"]),
                one["why"],
                one["decided_by"] and f"by {one['decided_by']}: {one['decided_why']}",
            )
            for one in items
        ],
    )


def audit(items: Sequence[Row], *, more: bool) -> None:
    show(
        f"{len(items)} lines" + (", and there are more" if more else ""),
        ("at", "who", "did", "renewal", "before", "after", "why"),
        [
            (
                when(one["at"]),
                one["operator"],
                " ".join(word for word in (one["step"], one["action"], one["choice"]) if word),
                one["renewal_id"] or one["job_id"],
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
    if "state" in standing:
        return f"{standing['state']} {standing['version']}"
    return ", ".join(f"{name} {value}" for name, value in standing.items())


def jobs(items: Sequence[Row]) -> None:
    show(
        "Bulk jobs",
        ("job", "what", "state", "renewals", "done", "moved", "refused", "left", "a second", "by", "why"),
        [
            (
                one["job_id"],
                " ".join(word for word in (one["action"], one["choice"]) if word),
                one["state"],
                one["renewals"],
                one["done"],
                one["moved"],
                one["refused"],
                one["left"],
                one["per_second"],
                one["made_by"] if one["started_by"] is None else f"{one['made_by']}, {one['started_by']}",
                one["why"],
            )
            for one in items
        ],
    )


def sample(job: Row) -> None:
    """What a dry-run would do, by state and by its first renewals."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(job["by_state"].items())) or "none"
    console().print(f"\n{job['matched']} match, {job['renewals']} can be acted upon: {states}.")
    show(
        f"\nThe first {len(job['sample'])}",
        ("renewal", "state", "version", "result"),
        [(one["renewal_id"], one["state"], one["version"], one["result"]) for one in job["sample"]],
    )


def reviews(items: Sequence[Row], *, more: bool) -> None:
    """What waits for a decision."""
    show(
        f"{len(items)} reviews" + (", and there are more" if more else ""),
        (
            "renewal",
            "version",
            "subscription",
            "asked by",
            "payer",
            "from",
            "for",
            "pays by",
            "since",
            "until",
        ),
        [
            (
                one["renewal_id"],
                one["version"],
                one["subscription_id"],
                one["caller"],
                one["payer_id"],
                one["payer_country"],
                " ".join(word for word in (one["offering_id"], one["destination"]) if word),
                ", ".join(one["kinds"]),
                when(one["opened_at"]),
                when(one["decide_before"]),
            )
            for one in items
        ],
    )


def stops(told: Row) -> None:
    if not told["stops"]:
        console().print(f"Automatic charges go on everywhere; {told['kept_triggers']} triggers wait.")
        return
    show(
        "Automatic charges are stopped",
        ("where", "by", "since", "why"),
        [(one["scope"], one["stopped_by"], when(one["stopped_at"]), one["why"]) for one in told["stops"]],
    )
    console().print(f"\n{told['kept_triggers']} triggers wait until they are resumed.")


def subscription(told: Row) -> None:
    """Why a subscription renewed, or did not."""
    rule = told["rule"]
    state = "no rule" if rule is None else "a rule" if rule["enabled"] else "a rule that is switched off"
    if rule is not None and rule["paused"]:
        state = f"a rule that {rule['paused']['by']} has paused"
    who = f"{told['subscription_id']} of {told['brand']} at {told['carrier']}"
    console().print(f"{who} is {told['status']} and has {state}.")
    if told["charges_stopped"]:
        stop = told["charges_stopped"]
        told_by = f"{stop['stopped_by']}: {stop['why']}"
        console().print(f"Automatic charges are stopped ({stop['scope']}) by {told_by}.", markup=False)
    if told["kept_trigger"]:
        console().print(f"A trigger waits. {told['kept_trigger']['detail']}", markup=False)
    show(
        "\nTriggers of its rule",
        ("at", "cycle", "trigger", "outcome", "reason", "next try", "detail"),
        [
            (
                when(one["decided_at"]),
                one["cycle"],
                one["trigger"],
                one["outcome"],
                one["reason"],
                when(one["next_try_at"]),
                one["detail"],
            )
            for one in told["decisions"]
        ],
    )
    show(
        "\nRefused",
        ("at", "caller", "reason", "detail"),
        [(when(one["refused_at"]), one["caller"], one["reason"], one["detail"]) for one in told["refusals"]],
    )
    show(
        "\nRenewals",
        ("renewal", "state", "version", "asked for", "origin", "reason"),
        [
            (
                one["renewal_id"],
                one["state"],
                one["version"],
                when(one["requested_at"]),
                one["origin"],
                one["parked_reason"] or one["reason"],
            )
            for one in told["renewals"]
        ],
    )
