"""How long Kafka holds a fetch back: not at all after a pause, a moment while records keep coming.

A batch of one record costs what a batch of thirty does: a fetch, a transaction, a publication, each with its
round trips. Kafka can wait for more before it answers a fetch, but aiokafka is told once, when it starts;
waiting always would delay a lone record and keep an idle consumer busy. So it is told anew after every poll.
"""

from aiokafka import AIOKafkaConsumer

GATHER_SECONDS = 0.02
IDLE_FETCH_MILLISECONDS = 500
IDLE_POLL_MILLISECONDS = 1_000
_ENOUGH_BYTES = 1 << 20


class Gathering:
    """The pace of one consumer's fetches. `seconds` is the longest that a record waits for others."""

    def __init__(self, seconds: float) -> None:
        self._milliseconds = max(1, int(seconds * 1_000))
        self._records_come = False

    @property
    def poll_milliseconds(self) -> int:
        """How long to wait for the next records: past one held fetch, they have stopped coming."""
        return self._milliseconds + 5 if self._records_come else IDLE_POLL_MILLISECONDS

    def polled(self, consumer: AIOKafkaConsumer, records: int) -> None:
        """Set the pace of the fetches to come by what a poll has brought.

        To be called before anything is awaited: the next fetch leaves then.
        """
        self._records_come = bool(records)
        wait, enough = (self._milliseconds, _ENOUGH_BYTES) if records else (IDLE_FETCH_MILLISECONDS, 1)
        # Private, but read anew for every fetch; the lock pins aiokafka and a test watches it.
        fetcher = consumer._fetcher
        fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = wait, enough
