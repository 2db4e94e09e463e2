"""Provisioning's tables as a page: how long anything is waited for, and what is assumed of who says nothing.

Written down a second time: what changes here changes how often a carrier is asked, and when it is believed.
"""

from services.provisioning.subscriptions.domain.subscription import Subscription
from services.provisioning.topups.domain.attempt import OPEN, Attempt, Capabilities, Patience
from services.provisioning.topups.domain.findings import Finding, Settled
from services.provisioning.topups.domain.instructions import APPLY, CANCEL, RESOLVE, Ground
from services.provisioning.topups.domain.top_up import FINAL, SPOKEN, TopUp
from tests.unit.provisioning.given import NOW


def test_how_long_a_carrier_is_waited_for() -> None:
    assert Patience() == Patience(
        send_window=3.0,
        call=5.0,
        lease=15.0,
        resolution=120.0,
        repeats=4,
        key_margin=600.0,
        back_off=0.5,
        back_off_cap=15.0,
    )


def test_what_a_carrier_can_do_that_says_nothing_else() -> None:
    assert Capabilities() == Capabilities(
        honours_keys=True, key_memory_seconds=86_400.0, queries=True, cancels=True, visibility_seconds=0.0
    )


def test_what_is_known_of_a_top_up_just_begun() -> None:
    assert tuple(TopUp("pending", 1, 1, NOW)) == (
        *("pending", 1, 1, NOW, 0, False, False, False, 0),
        *(None, None, None, None, None, None, None),
    )
    assert tuple(Attempt("apply", 1, "waiting", 0, 0)) == (
        *("apply", 1, "waiting", 0, 0),
        *(None, None, None, None, False),
    )
    assert Ground(NOW) == Ground(NOW, known=True, cancels=True)


def test_what_a_finding_says_that_says_nothing_else() -> None:
    assert tuple(Finding("unknown")) == ("unknown", None, True, None, None, None, None, False, False)
    top_up, attempt = TopUp("sending", 1, 1, NOW), Attempt("apply", 1, "sending", 1, 1)
    assert tuple(Settled(top_up, attempt)) == (top_up, attempt, False, 0.0, False)


def test_what_is_final_and_what_is_spoken_of() -> None:
    assert {"waiting", "sending", "processing"} == OPEN
    assert {"applied", "rejected", "cancelled"} == FINAL
    assert {"applied", "rejected", "cancelled", "failed", "undetermined"} == SPOKEN


def test_a_new_subscription_matches_its_device_and_has_no_top_ups() -> None:
    new = Subscription("sub-1", "ola", "cubacel", "8999", "8904", None, "owner-1", "active")
    assert (new.device_matches, new.top_ups, new.version) == (True, 0, 1)


ACTS = """
state         lower   equal   higher  CancelTopUp  ResolveTopUp
held          ignore  start   start   call_off     ignore
pending       ignore  ignore  ignore  end          ignore
sending       ignore  ignore  ignore  call_off     ignore
failed        ignore  answer  start   call_off     ignore
calling_off   ignore  ignore  ignore  call_off     ignore
undetermined  ignore  answer  answer  call_off     decide
applied       answer  answer  answer  answer       answer
rejected      answer  answer  answer  answer       answer
cancelled     answer  answer  answer  answer       answer
"""


def test_what_an_instruction_does_in_each_state() -> None:
    written = [line.split() for line in ACTS.strip().splitlines()[1:]]
    assert {state: [*APPLY[state], CANCEL[state], RESOLVE[state]] for state in APPLY} == {
        state: acts for state, *acts in written
    }
