"""The bench's table of where a process's time goes counts every sample once, by what it was doing."""

from tests.bench.split import OTHER, split

RUN = "main (shared/runner.py:9)"
TAKE = f"{RUN};_take (shared/messaging/consumer.py:5)"
FOLD = f"{RUN};fold (services/payment/authority.py:5)"


def test_a_sample_belongs_to_the_first_kind_of_work_on_its_stack() -> None:
    recorded = [
        f"{TAKE};decode (shared/messaging/received.py:1) 3\n",
        f"{TAKE};fetch (asyncpg/connection.py:7) 2\n",
        f"{FOLD};captured (services/payment/domain/facts.py:7) 4\n",
        f"{RUN} 1\n",
    ]
    assert split(recorded) == {
        "decode messages": 3,
        "talk to PostgreSQL": 2,
        "decide (domain)": 4,
        OTHER: 1,
    }
