"""A payer's link: signed, for one question, good until the answer is due."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr

from services.renewal.customer_links import CustomerLinks, LinkExpired, LinkNotGenuine
from services.renewal.domain.actions import Action, Timer
from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import STATES
from services.renewal.domain.saga import MATRIX, decide
from shared.contracts.loggable import LOGGABLE, WITHHELD
from shared.contracts.renewals import CustomerActionRequired
from shared.observability.redaction import redact
from tests.unit.renewal.story import RENEWAL_ID, T0, Says, new
from tests.unit.renewal.test_matrix import AT, SAMPLES, standing

SECRET = SecretStr("a secret of these tests, longer than 32 bytes")
UNTIL = T0 + timedelta(minutes=10)
ADDRESS = "https://pay.example/renewals"
says = Says()


def at(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def links(now: datetime = T0, secret: SecretStr | None = SECRET) -> CustomerLinks:
    return CustomerLinks(secret, ADDRESS, at(now))


def question() -> CustomerActionRequired:
    story = new().when(says.priced(), says.action_required())
    [asked] = story.told(CustomerActionRequired)
    return asked


def token_of(asked: CustomerActionRequired) -> str:
    assert asked.action_url is not None
    parts = urlsplit(asked.action_url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == ADDRESS
    [token] = parse_qs(parts.query)["token"]
    return token


def forged(secret: SecretStr = SECRET, **different: Any) -> str:
    """A token signed with that secret, in which something is different; None leaves it out."""
    claims = {"aud": "recarga-payers", "sub": str(RENEWAL_ID), "attempt": 1, "exp": int(UNTIL.timestamp())}
    kept = {name: value for name, value in (claims | different).items() if value is not None}
    return jwt.encode({"alg": "HS256"}, kept, OctKey.import_key(secret.get_secret_value()))


def test_a_link_says_which_attempt_of_which_renewal_was_asked_about_and_until_when() -> None:
    read = links().read(token_of(links().signed(question())))
    assert read == (RENEWAL_ID, 1, UNTIL)


def test_the_same_question_has_the_same_link_and_nothing_else_of_it_changes() -> None:
    asked = question()
    signed = links().signed(asked)
    assert signed == links(T0 + timedelta(minutes=3)).signed(asked)
    assert signed.event_id == asked.event_id
    assert signed.model_copy(update={"action_url": None}) == asked
    assert type(signed).model_validate_json(signed.model_dump_json()) == signed


@pytest.mark.parametrize(("seconds", "is_good"), [(-1, True), (0, False), (1, False), (86_400, False)])
def test_a_link_is_good_until_the_answer_is_due(seconds: float, is_good: bool) -> None:
    token = token_of(links().signed(question()))
    read = links(UNTIL + timedelta(seconds=seconds)).read
    if is_good:
        assert read(token).until == UNTIL
        return
    with pytest.raises(LinkExpired) as expired:
        read(token)
    assert expired.value.args == (UNTIL,)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "é.é.é",
        "a.b." + "c" * 10_000,
        forged(SecretStr("another secret than ours, just as long")),
        forged(aud="recarga-operators"),
        forged(aud=None),
        forged(sub="nobody"),
        forged(sub=None),
        forged(attempt=None),
        forged(attempt=0),
        forged(attempt="1"),
        forged(exp=None),
        forged(exp=10**30),
        forged(exp="soon"),
    ],
)
def test_what_we_did_not_sign_for_a_payer_is_not_believed(token: str) -> None:
    assert links().read(forged()).attempt == 1
    with pytest.raises(LinkNotGenuine):
        links().read(token)


def test_a_link_with_another_end_is_not_believed() -> None:
    token = token_of(links().signed(question()))
    head, body, signature = token.split(".")
    for changed in (
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{forged(attempt=2).split('.')[1]}.{signature}",
    ):
        with pytest.raises(LinkNotGenuine):
            links().read(changed)


def test_without_a_secret_no_link_is_made_and_none_believed() -> None:
    unsigned = links(secret=None)
    assert unsigned.signed(question()).action_url is None
    with pytest.raises(LinkNotGenuine):
        unsigned.read(forged())


def test_a_secret_that_anybody_could_guess_is_refused() -> None:
    with pytest.raises(ValueError, match="less than 32 bytes"):
        links(secret=SecretStr("short"))


def test_a_link_is_never_logged() -> None:
    assert "action_url" in WITHHELD - LOGGABLE
    assert redact({"action_url": "https://pay.example?token=x"}) == {"action_url": "[redacted]"}


def test_only_events_ask_a_payer_for_something() -> None:
    """The saga's handler signs what it says; timers and people say no such thing."""
    for message in MATRIX:
        for state in STATES:
            said = decide(standing(state), SAMPLES[message], Moment(AT, POLICY)).says
            if any(isinstance(one, CustomerActionRequired) for one in said):
                assert not issubclass(message, Timer | Action)
