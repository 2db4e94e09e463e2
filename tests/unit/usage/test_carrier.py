"""What a carrier's row of settings means where balances are counted by it."""

from services.usage.domain.carrier import Carrier
from services.usage.domain.triggers import Wants


def test_only_where_the_next_bucket_pays_is_an_overrun_owed() -> None:
    assert Carrier("records", "next_bucket", Wants(10)).owes_overrun is True
    assert Carrier("records", "written_off", Wants(10)).owes_overrun is False


def test_without_a_word_about_it_no_difference_to_a_report_is_tolerated() -> None:
    assert Carrier("records", "written_off", Wants(10)).tolerance_bytes == 0
