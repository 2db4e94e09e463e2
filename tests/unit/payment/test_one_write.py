"""Several changes of one renewal are one write: what it holds, and whether a call is to be made after it."""

from services.payment.domain.calls import wait
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import (
    AttemptRow,
    CallStatus,
    Change,
    Folded,
    Operation,
    Payment,
    call_key,
)
from tests.unit.payment.story import NOON, PRICE, RENEWAL, Story, captured, capturing


def written(payment: Payment | None, *changes: Change | None) -> Folded:
    """What a batch writes of these changes of a row; without a row, they open it."""
    folded = Folded(payment)
    for change in changes:
        folded.add(change)
    return folded


def paid_by_wallet() -> tuple[Story, list[Change | None]]:
    """A wallet is ordered to pay and pays, each a change of its own."""
    story = Story(wallet_minor=PRICE)
    return story, [story.capture(1, "purse").last, story.wallet().last]


def test_before_the_first_change_there_is_nothing_to_write() -> None:
    row = capturing().row
    assert written(row) == Folded(
        row, changed=False, begins=False, wallet_minor=0, messages=[], attempts={}, transfers=[]
    )


def test_what_changes_nothing_is_not_written() -> None:
    row = capturing().row
    assert written(row, None) == written(row)
    assert written(None, None) == written(None)


def test_a_row_that_is_opened_is_written_and_its_call_made() -> None:
    story = Story().priced()
    folded = written(None, story.last)
    assert (folded.payment, folded.changed, folded.begins) == (story.row, True, True)


def test_a_row_of_another_version_is_written() -> None:
    story = capturing()
    before = story.row
    folded = written(before, story.outcome(Kind.DECLINED).last)
    assert (folded.payment, folded.changed, folded.begins) == (story.row, True, False)


def test_what_is_only_said_again_is_said_and_not_written() -> None:
    story = captured()
    folded = written(story.row, story.capture().last)
    assert (folded.changed, folded.begins, len(folded.messages)) == (False, False, 1)


def test_all_that_is_said_and_moved_is_written_in_its_order() -> None:
    story, changes = paid_by_wallet()
    changes += [story.refund().last, story.wallet().last]
    folded = written(None, *changes)
    assert folded.payment == story.row
    assert folded.messages == story.said
    assert [transfer.kind for transfer in folded.transfers] == ["capture", "refund"]


def test_a_wallet_gains_the_sum_of_all_changes() -> None:
    story, changes = paid_by_wallet()
    assert written(None, *changes).wallet_minor == -PRICE
    assert written(None, *changes, story.refund().last, story.wallet().last).wallet_minor == 0


def test_a_call_that_a_later_change_ends_is_not_made() -> None:
    story = captured()
    before = story.row
    begun = story.refund().last
    assert written(before, begun).begins
    ended = story.outcome(Kind.REFUNDED).last
    assert not written(before, begun, ended).begins


def test_a_call_that_a_later_change_leaves_under_way_is_made() -> None:
    story = captured()
    before = story.row
    begun = story.refund().last
    found = story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    assert found.last is not None
    assert (found.row.operation, found.last.begins) == (Operation.REFUND, False)
    assert written(before, begun, found.last).begins


def test_a_call_that_was_under_way_before_is_not_made_once_more() -> None:
    story = capturing()
    waiting = wait(story.row, NOON, story.patience)
    assert waiting.payment.operation is Operation.CAPTURE
    assert not written(story.row, waiting).begins


def test_a_call_begun_and_ended_in_one_write_keeps_its_key() -> None:
    _, changes = paid_by_wallet()
    key = call_key(RENEWAL, "capture", "purse", 1)
    succeeded = AttemptRow(1, Operation.CAPTURE, "purse", "wallet", key, CallStatus.SUCCEEDED, "captured")
    assert written(None, *changes).attempts == {1: succeeded}


def test_a_call_begun_in_an_earlier_write_has_its_key_there() -> None:
    story = capturing()
    before = story.row
    folded = written(before, story.outcome(Kind.DECLINED, code="lost_card").last)
    declined = AttemptRow(
        1, Operation.CAPTURE, "card-1", "sandbox", None, CallStatus.DECLINED, "lost_card", None
    )
    assert folded.attempts == {1: declined}
