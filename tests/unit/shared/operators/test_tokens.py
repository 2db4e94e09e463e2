"""A token names an operator as long as it lives, and only where our secret signed it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr

from shared.operators.tokens import Operator, TokenRefused, Tokens, sign

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = SecretStr("a secret of this test, 32 bytes and more")
HOUR = timedelta(hours=1)
CLAIMS = {"aud": "recarga-operators", "sub": "ana", "role": "operator", "exp": int(NOW.timestamp()) + 3600}


def read(token: str, at: datetime = NOW, secret: SecretStr | None = SECRET) -> Operator:
    return Tokens(secret, lambda: at).read(token)


def signed(claims: dict[str, Any], algorithm: str = "HS256") -> str:
    key = OctKey.import_key(SECRET.get_secret_value())
    return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])


def test_a_token_says_who_and_in_which_role() -> None:
    assert read(sign(SECRET, "ana", "viewer", NOW, HOUR)) == Operator("ana", "viewer")


def test_a_token_is_good_until_it_is_over() -> None:
    token = sign(SECRET, "ana", "operator", NOW, HOUR)
    assert read(token, NOW + HOUR - timedelta(seconds=1)).name == "ana"
    with pytest.raises(TokenRefused, match="good until 2026-11-23 13:00 UTC"):
        read(token, NOW + HOUR)


def test_a_token_of_another_stack_is_refused() -> None:
    other = SecretStr("another secret, which is long enough too")
    with pytest.raises(TokenRefused, match="this stack's secret"):
        read(sign(other, "ana", "operator", NOW, HOUR))


def test_without_a_secret_nobody_is_believed() -> None:
    with pytest.raises(TokenRefused, match="RECARGA_OPERATOR_SECRET_FILE"):
        read(sign(SECRET, "ana", "operator", NOW, HOUR), secret=None)


@pytest.mark.parametrize("left_out", CLAIMS)
def test_a_token_that_says_less_than_it_must_is_refused(left_out: str) -> None:
    read(signed(CLAIMS))
    with pytest.raises(TokenRefused):
        read(signed({name: value for name, value in CLAIMS.items() if name != left_out}))


@pytest.mark.parametrize(
    "different",
    [{"role": "king"}, {"sub": "Ana"}, {"sub": ""}, {"sub": 5}, {"aud": "customers"}, {"exp": "tomorrow"}],
)
def test_a_token_that_says_something_else_is_refused(different: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        read(signed(CLAIMS | different))


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "señal", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ."])
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        read(token)


def test_another_algorithm_is_refused_though_the_secret_is_right() -> None:
    with pytest.raises(TokenRefused):
        read(signed(CLAIMS, "HS512"))


@pytest.mark.parametrize("name", ["Ana", "", "4na", "ana maria", "a" * 32, "ana:ben"])
def test_a_name_that_could_be_taken_for_another_is_not_signed(name: str) -> None:
    with pytest.raises(ValueError, match="no operator's name"):
        sign(SECRET, name, "operator", NOW, HOUR)


@pytest.mark.parametrize("life", [timedelta(0), -HOUR, timedelta(days=8)])
def test_no_token_lives_for_ever(life: timedelta) -> None:
    with pytest.raises(ValueError, match="lives"):
        sign(SECRET, "ana", "operator", NOW, life)


def test_a_short_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sign(SecretStr("short"), "ana", "operator", NOW, HOUR)
