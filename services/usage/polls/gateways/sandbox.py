"""The carrier's HTTP API as the sandbox speaks it (see deploy/sandbox): what an ICCID holds."""

from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from services.usage.polls.gateways.carrier import BalanceAnswer
from shared.calls.http_client import HttpClient, NotSent, Unanswered
from shared.contracts.fields import Bytes, Instant

_NO_ANSWER: Final = BalanceAnswer("no_answer", is_outage=True)


class _Profile(BaseModel):
    model_config = ConfigDict(strict=True)

    iccid: str
    remaining_bytes: Bytes
    expires_at: Instant | None


class SandboxBalances:
    """One carrier over HTTP."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def balance(self, iccid: str) -> BalanceAnswer:
        try:
            answer = await self._client.request("GET", f"/v1/profiles/{iccid}")
        except (NotSent, Unanswered):
            return _NO_ANSWER
        if answer.status != HTTPStatus.OK:
            # 501 is the answer of a carrier that is well and cannot do what it is asked.
            is_outage = answer.status >= 500 and answer.status != HTTPStatus.NOT_IMPLEMENTED
            return BalanceAnswer("no_answer" if is_outage else "refused", is_outage=is_outage)
        try:
            profile = _Profile.model_validate_json(answer.body)
        except ValidationError:
            return BalanceAnswer("unreadable")
        if profile.iccid != iccid:
            return BalanceAnswer("unreadable")
        return BalanceAnswer("answered", profile.remaining_bytes, profile.expires_at)
