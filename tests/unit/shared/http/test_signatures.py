"""A signature is genuine for these very bytes, with this secret, and for a while."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.http.signatures import Signatures, Verdict

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOLERANCE = timedelta(minutes=5)
SECRET = "shared with the gateway"
SECONDS = int(TOLERANCE.total_seconds())


def header(signed_at: datetime, body: bytes, secret: str = SECRET) -> str:
    stamp = str(int(signed_at.timestamp()))
    signed = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
    return f"t={stamp},v1={signed.hexdigest()}"


def verdict(given: str | None, body: bytes, secret: str | None = SECRET) -> Verdict:
    held = None if secret is None else SecretStr(secret)
    return Signatures(held, TOLERANCE, lambda: NOON).verdict(given, body)


@given(body=st.binary(max_size=200), age=st.integers(-3 * SECONDS, 3 * SECONDS))
def test_it_is_genuine_exactly_within_the_tolerance(body: bytes, age: int) -> None:
    told = verdict(header(NOON - timedelta(seconds=age), body), body)
    assert told == ("genuine" if abs(age) <= SECONDS else "stale")


@given(age=st.sampled_from([-SECONDS - 1, -SECONDS, 0, SECONDS, SECONDS + 1]))
def test_it_is_right_where_it_is_genuine(age: int) -> None:
    signatures = Signatures(SecretStr(SECRET), TOLERANCE, lambda: NOON)
    given = header(NOON - timedelta(seconds=age), b"{}")
    assert signatures.is_right(given, b"{}") == (abs(age) <= SECONDS)


@given(body=st.binary(max_size=50), other=st.binary(max_size=50), place=st.integers(0, 63))
def test_no_other_bytes_moment_or_secret_are(body: bytes, other: bytes, place: int) -> None:
    genuine = header(NOON, body)
    if other != body:
        assert verdict(genuine, other) == "forged"
    at = len(genuine) - 64 + place
    wrong = genuine[:at] + ("0" if genuine[at] != "0" else "1") + genuine[at + 1 :]
    assert verdict(wrong, body) == "forged"
    later = str(int(NOON.timestamp()) + 1)
    assert verdict(genuine.replace(genuine[2:12], later), body) == "forged"
    assert verdict(header(NOON, body, "somebody else's"), body) == "forged"
    assert verdict(genuine, body, secret=None) == "forged"


@given(st.text(max_size=100))
def test_whatever_stands_in_the_header_it_is_forged_and_never_an_error(given: str) -> None:
    assert verdict(given, b"{}") == "forged"


@given(stamp=st.integers(0, 10**20), signature=st.binary(min_size=32, max_size=32))
def test_no_moment_is_too_far_away_to_be_judged(stamp: int, signature: bytes) -> None:
    assert verdict(f"t={stamp},v1={signature.hex()}", b"{}") == "forged"
