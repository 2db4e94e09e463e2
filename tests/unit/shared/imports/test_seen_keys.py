"""Keys that were seen, against the obvious model."""

from hypothesis import given
from hypothesis import strategies as st

from shared.imports.seen_keys import SeenKeys


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 5))))
def test_each_key_is_answered_with_the_line_that_had_it_first(keys: list[tuple[str, int]]) -> None:
    seen, model = SeenKeys(), dict[tuple[str, int], int]()
    for line, key in enumerate(keys, start=2):
        assert seen.earlier(key, line) == model.get(key)
        model.setdefault(key, line)


def test_a_hundred_thousand_keys_are_all_known_again() -> None:
    seen = SeenKeys()
    assert not any(seen.earlier(f"key-{number}", number) for number in range(1, 100_001))
    assert all(seen.earlier(f"key-{number}", 0) == number for number in range(1, 100_001))
