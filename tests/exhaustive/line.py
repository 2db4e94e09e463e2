"""The line to an outside system: what can happen to one request between us and them.

Production's own gateways speak over it. A request arrives and is answered, or arrives and the answer is
lost, or is delayed (we give up waiting; it arrives later, or never), or is not sent, or is turned away.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from shared.calls.http_client import HttpAnswer, HttpClient, NotSent, Unanswered
from tests.exhaustive.choices import Choices, Option

There = TypeVar("There")
Result = TypeVar("Result")

EFFECTFUL: Final[tuple[Option, ...]] = (
    ("the answer is lost", "answer lost"),
    ("the request is delayed", "request delayed"),
    ("no connection", "no connection"),
    ("turned away", "turned away"),
)
ASKING: Final[tuple[Option, ...]] = (("no answer", "question unanswered"),)
WORKERS: Final[tuple[Option, ...]] = (("dies", "crash"), ("loses its lease", "zombie"))
"""What can become of whoever makes a call."""
BUSY: Final = HttpAnswer(429, {}, b'{"error":{"code":"rate_limited"}}')


class Request(NamedTuple):
    """One HTTP request, as it is written."""

    method: str
    path: str
    key: str | None
    body: bytes


class Delayed(NamedTuple):
    """A request on its way that nobody waits for. A timely one has arrived or is lost before the time
    in which "not found" is believed; one that a worker wrote after its lease is bound by nothing."""

    system: str
    request: Request
    is_timely: bool


Answering = Callable[[There, Request, Choices], tuple[There, HttpAnswer]]


class Line(HttpClient, Generic[There]):
    """Requests to one outside system; `there` is its state after them."""

    def __init__(self, system: str, there: There, answering: Answering[There], choices: Choices) -> None:
        self.system = system
        self.there = there
        self.delayed: list[Delayed] = []
        self.is_timely = True
        self._answering = answering
        self._choices = choices

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        request = Request(method, path, lower.get("idempotency-key"), body or b"")
        fate = self._choices.among("", *(EFFECTFUL if method == "POST" else ASKING))
        match fate:
            case "no connection":
                raise NotSent(fate)
            case "the request is delayed":
                self.delayed.append(Delayed(self.system, request, self.is_timely))
                raise Unanswered(fate)
            case "turned away":
                return BUSY
        self.there, answer = self._answering(self.there, request, self._choices)
        if fate:
            raise Unanswered(fate)
        return answer


def finished(coroutine: Coroutine[None, None, Result]) -> Result:
    """The result of a coroutine that waits for nothing: every line answers at once."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise AssertionError("it waits")
