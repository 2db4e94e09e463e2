"""Two processes hear of the same renewal at the same time: neither forgets what the other wrote."""

from tests.integration.at_once import at_once, consuming
from tests.integration.renewal.conftest import begun, known, row
from tests.integration.wired import Wired


async def test_facts_that_come_to_two_processes_at_once_are_folded_one_upon_the_other(renewal: Wired) -> None:
    [about] = await begun(renewal, *await known(renewal))
    priced, captured = (consuming(renewal, "saga", fact) for fact in (about.priced(), about.captured()))
    await at_once(renewal, priced, captured)
    found = await row(renewal, about.renewal_id)
    assert (found["state"], found["version"]) == ("captured", 3)
    assert found["priced_at"] is not None
