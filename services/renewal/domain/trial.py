"""What an action would do to a renewal as it stands: its rule is tried, and nothing of that is kept."""

from services.renewal.domain.actions import Action
from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import Renewal
from services.renewal.domain.saga import decide
from services.renewal.domain.wording import PriceUnknown


def does_something(renewal: Renewal, action: Action, moment: Moment) -> bool:
    """Whether the action would leave a line in the history. That its cell has a rule does not say so yet:
    the rule may find that this very renewal has nothing to cancel, to give back or to find out.
    """
    try:
        return decide(renewal, action, moment).history is not None
    except PriceUnknown:
        return False
