"""The operators' command line against the running service: tables, and one line where it is refused."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.renewal.operators.__main__ import app
from shared.clock import utc_now
from shared.operators.tokens import Role, sign
from tests.integration.renewal.conftest import SECRET, begun, known
from tests.integration.renewal.operating import Operator, hanging, of_a_new_brand, undetermined
from tests.integration.wired import Wired

WHY = ("--why", "confirmed by the carrier")


async def run(
    renewal: Wired, *words: str, name: str = "ana", role: Role = "operator"
) -> tuple[int, str, str]:
    """Exit status, output and errors of one command, as that operator."""
    token = sign(SECRET, name, role, utc_now(), timedelta(hours=1))
    options = ["--url", f"http://127.0.0.1:{renewal.port}", "--token", token]
    return await typed(*options, *words)


async def typed(*words: str) -> tuple[int, str, str]:
    found = await asyncio.to_thread(CliRunner().invoke, app, list(words))
    return found.exit_code, found.stdout, found.stderr


async def told(renewal: Wired, *words: str, name: str = "ana") -> str:
    """What a command prints that must succeed."""
    status, output, errors = await run(renewal, *words, name=name)
    assert status == 0, errors
    return output


async def test_what_is_found_is_shown_with_its_past_and_its_future(renewal: Wired) -> None:
    brand, [one], [about] = await of_a_new_brand(renewal)
    await renewal.consume("saga", about.priced())
    listed = await told(renewal, "search", "--brand", brand, "--state", "priced", "--open")
    assert re.search(rf"{about.renewal_id} +priced +2 +\d+s +{one.subscription_id} +{brand}", listed)
    assert "0 renewals" in await told(renewal, "search", "--brand", brand, "--older-than", "1d")

    timeline = await told(renewal, "show", str(about.renewal_id))
    assert "RequestRenewal" in timeline
    assert "payment: the capture" in timeline
    assert "Nobody answered until then: CapturePayment is said." in timeline
    assert "Allowed now: retry, cancel." in timeline


async def test_a_proposal_is_made_listed_and_approved_by_somebody_else(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    id_, version = str(about.renewal_id), ("--version", str(seen["version"]))
    proposed = await told(renewal, "resolve", id_, "applied", *version, *WHY)
    [proposal_id] = re.findall(r"with: approve (\S+)", proposed)
    assert proposal_id in await told(renewal, "proposals", name="ben")

    status, output, errors = await run(renewal, "approve", proposal_id, *WHY)
    assert (status, output) == (1, "")
    assert re.fullmatch(r"Error: ana proposed it, so somebody else must approve it, .*\n", errors)

    approved = await told(renewal, "approve", proposal_id, *WHY, name="ben")
    assert f"Renewal {id_} is parked in version {seen['version'] + 1} now." in approved
    lines = await told(renewal, "audit", "--renewal", id_)
    assert re.search(r"ben +approved resolve applied", lines)
    assert re.search(r"ana +proposed resolve applied", lines)


async def test_what_one_may_decide_alone_is_done_at_once(renewal: Wired) -> None:
    about, seen = await hanging(renewal)
    id_, version = str(about.renewal_id), ("--version", str(seen["version"]))
    status, _output, errors = await run(renewal, "cancel", id_, *version, *WHY)
    assert (status, errors.count("\n")) == (1, 1)
    assert "Possible now: retry, refund, resolve, release." in errors
    assert f"Renewal {id_} is refunding" in await told(renewal, "retry", id_, *version, *WHY)
    [unpaid] = await begun(renewal, *await known(renewal))
    cancelled = await told(renewal, "cancel", str(unpaid.renewal_id), "--version", "1", *WHY)
    assert f"Renewal {unpaid.renewal_id} is cancelling_payment" in cancelled


async def test_what_was_proposed_can_be_rejected(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    for how in (("refund", str(about.renewal_id)), ("release", str(about.renewal_id), "refunded")):
        proposed = await told(renewal, *how, "--version", str(seen["version"]), *WHY)
        [proposal_id] = re.findall(r"with: approve (\S+)", proposed)
        rejected = await told(renewal, "reject", proposal_id, *WHY, name="ben")
        assert "rejected" in rejected


async def test_a_bulk_job_is_shown_started_and_followed_to_its_end(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 3)
    made = await told(renewal, "bulk", "make", "cancel", "--brand", brand, "--per-second", "50", *WHY)
    assert "3 match, 3 can be acted upon: 3 requested." in made
    [job_id] = re.findall(r"bulk start (\S+) --renewals 3", made)
    assert all(str(about.renewal_id) in made for about in abouts)
    followed = await told(renewal, "bulk", "start", job_id, "--renewals", "3", "--watch", *WHY)
    assert "done: 3 done, 0 moved, 0 refused, 0 of 3 left" in followed
    assert "cancel" in await told(renewal, "bulk", "list")
    assert await told(renewal, "bulk", "show", job_id)
    status, _output, errors = await run(renewal, "bulk", "stop", job_id, *WHY)
    assert (status, errors.count("\n")) == (1, 1)
    assert "The job is done" in errors


async def test_charges_are_stopped_explained_and_resumed(renewal: Wired) -> None:
    [one] = await known(renewal)
    stopped = await told(renewal, "charges", "stop", "--brand", "ola", "--why", "incident 7")
    assert re.search(r"brand ola +ana", stopped)
    assert "incident 7" in await told(renewal, "explain", one.subscription_id)
    assert "brand ola" in await told(renewal, "charges", "show")
    resumed = await told(renewal, "charges", "resume", "--brand", "ola", "--why", "mended")
    assert "Automatic charges go on everywhere" in resumed


async def test_a_stale_version_is_refused_in_one_line_with_the_version_now(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    status, output, errors = await run(renewal, "retry", str(about.renewal_id), "--version", "1", *WHY)
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert f"the renewal is parked in version {seen['version']} now" in errors


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("search", "--state", "lost"), "'parked'"),
        (("search", "--older-than", "soon"), "such as 30m"),
        (("search", "--brand", "no brand"), "brand: "),
        (("show", "01234567-89ab-7def-8123-456789abcdef"), "GET /v1/renewals"),
        (("explain", "no/body"), "the list at /docs"),
        (("charges", "stop", "--why", "because"), "one of --everywhere"),
        (("charges", "stop", "--brand", "a", "--carrier", "b", "--why", "because"), "one of --everywhere"),
        (("charges", "stop", "--brand", "olla", "--why", "because"), "There are, among others: "),
        (("charges", "resume", "--everywhere", "--why", "because"), "Possible to resume now: nothing"),
        (("bulk", "make", "cancel", "--why", "because"), "name one of state"),
        (("bulk", "make", "release", "--brand", "ola", "--why", "because"), "completed, refunded"),
    ],
)
async def test_whatever_is_refused_is_one_clear_line(
    renewal: Wired, words: tuple[str, ...], says: str
) -> None:
    await known(renewal)
    status, output, errors = await run(renewal, *words)
    assert (status, output, errors.count("\n")) == (1, "", 1), errors
    assert errors.startswith("Error: ")
    assert says in errors


@pytest.mark.parametrize(
    "words",
    [
        ("retry", "not-an-id", "--version", "1", *WHY),
        ("retry", "01234567-89ab-7def-8123-456789abcdef", *WHY),
        ("retry", "01234567-89ab-7def-8123-456789abcdef", "--version", "1"),
        ("resolve", "01234567-89ab-7def-8123-456789abcdef", "perhaps", "--version", "1", *WHY),
        ("dance",),
    ],
)
async def test_what_cannot_be_a_command_is_told_before_anything_is_sent(words: tuple[str, ...]) -> None:
    status, _output, errors = await typed("--token", "x", "--url", "http://127.0.0.1:9", *words)
    assert status == 2
    assert errors


async def test_nobody_at_the_address_and_nobody_in_the_token_are_told_apart(renewal: Wired) -> None:
    status, _output, errors = await typed("--token", "x", "--url", "http://127.0.0.1:9", "search")
    assert (status, "does not answer" in errors) == (1, True)
    status, _output, errors = await typed("--url", f"http://127.0.0.1:{renewal.port}", "search")
    assert (status, "make operator-token NAME=you" in errors) == (1, True)
    status, _output, errors = await run(renewal, "charges", "stop", "--everywhere", *WHY, role="viewer")
    assert (status, "may look, not act" in errors) == (1, True)


async def test_a_token_is_printed_where_the_secret_is(
    renewal: Wired, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _output, errors = await typed("token", "ana")
    assert (status, "RECARGA_OPERATOR_SECRET_FILE" in errors) == (1, True)
    secret = tmp_path / "operator"
    secret.write_text(SECRET.get_secret_value())
    monkeypatch.setenv("RECARGA_OPERATOR_SECRET_FILE", str(secret))
    status, printed, _errors = await typed("token", "ana", "--role", "viewer")
    assert status == 0
    url = f"http://127.0.0.1:{renewal.port}"
    assert (await typed("--url", url, "--token", printed.strip(), "search"))[0] == 0


async def test_the_command_line_decides_nothing_without_the_service(renewal: Wired) -> None:
    [about] = await begun(renewal, *await known(renewal))
    await run(renewal, "cancel", str(about.renewal_id), "--version", "1", *WHY)
    [deed] = await Operator(renewal).audit(about)
    assert (deed["operator"], deed["action"]) == ("ana", "cancel")
