"""Which word a text message says, and whom its number speaks for."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renewal.domain.admission import Refusal
from services.renewal.text_messages.domain.reply import (
    MOST_HOLDERS,
    NOT_ACTIVE,
    NUMBER_AMBIGUOUS,
    NUMBER_UNKNOWN,
    TOO_MANY,
    WORDS,
    Holder,
    Word,
    addressed,
    word_of,
)

HOLDERS = st.lists(
    st.builds(
        Holder,
        st.uuids().map(str),
        st.sampled_from(["active", "suspended", "expired", "terminated"]),
        st.just("owner"),
    ),
    max_size=MOST_HOLDERS - 1,
    unique_by=lambda one: one.subscription_id,
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1", "renew"),
        (" 1\r\n", "renew"),
        ("１", "renew"),
        ("Renovar.", "renew"),
        ("STOP", "stop"),
        ("stop!", "stop"),
        ("¡Baja!", "stop"),
        ("0", "stop"),
        ("11", None),
        ("1 0", None),
        ("no 1", None),
        ("-1", None),
        ("+1", None),
        ("stop it", None),
        ("", None),
        ("...", None),
    ],
)
def test_a_word_is_recognised_alone_however_it_is_written(text: str, word: Word | None) -> None:
    assert word_of(text) == word


@pytest.mark.parametrize("text", ["1", "renew", "renovar"])
def test_these_words_renew(text: str) -> None:
    assert word_of(text) == "renew"


@pytest.mark.parametrize(
    "text",
    ["0", "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "baja", "alto", "cancelar"],
)
def test_whoever_opts_out_in_any_usual_way_is_understood(text: str) -> None:
    assert word_of(text) == "stop"


@given(
    said=st.sampled_from(sorted(WORDS)),
    upper=st.booleans(),
    before=st.text(" \t\n.!", max_size=3),
    after=st.text(" \t\n.!", max_size=3),
)
def test_case_and_what_stands_around_it_do_not_matter(
    said: str, upper: bool, before: str, after: str
) -> None:
    assert word_of(before + (said.upper() if upper else said) + after) == WORDS[said]


@given(said=st.sampled_from(sorted(WORDS)), more=st.text(min_size=1, max_size=60))
def test_a_text_that_says_more_than_one_word_says_none(said: str, more: str) -> None:
    assert word_of(f"{said} x{more}") is None
    assert word_of(f"{more}x {said}") is None


@given(holders=HOLDERS, word=st.sampled_from(["renew", "stop"]))
def test_a_number_speaks_for_one_subscription_or_for_none(holders: list[Holder], word: Word) -> None:
    active = [one for one in holders if one.status == "active"]
    living = [one for one in holders if one.status != "terminated"]
    found = addressed(holders, word)
    if len(active) == 1:
        assert found == active[0]
    elif len(active) > 1:
        assert found == NUMBER_AMBIGUOUS
    elif word == "stop" and len(living) == 1:
        assert found == living[0], "who opts out is heard before the plan is active again"
    else:
        assert isinstance(found, Refusal)
        assert not holders or found in (NOT_ACTIVE, NUMBER_AMBIGUOUS)
        assert holders or found == NUMBER_UNKNOWN


def test_a_number_that_too_many_have_had_speaks_for_nobody() -> None:
    assert MOST_HOLDERS == 20, "so many names of one number are read at most"
    many = [Holder(f"sub-{n}", "terminated", "owner") for n in range(MOST_HOLDERS - 1)]
    only = Holder("sub-now", "active", "owner")
    assert addressed([*many[1:], only], "renew") == only
    assert addressed([*many, only], "renew") == NUMBER_AMBIGUOUS


def test_why_a_reply_does_nothing_is_told_by_the_reasons_of_the_page() -> None:
    page = (Path(__file__).parents[4] / "docs" / "text-messages.md").read_text(encoding="utf-8")
    reasons = [why.reason for why in (NUMBER_UNKNOWN, NUMBER_AMBIGUOUS, NOT_ACTIVE, TOO_MANY)]
    assert len(set(reasons)) == len(reasons)
    assert all(f"`{reason}`" in page for reason in reasons)
