"""The operators' HTTP API as the command line calls it: JSON in, JSON out, every refusal in one line."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from shared.calls.http_client import HttpAnswer, NotSent, Unanswered, open_client

TIMEOUT_SECONDS: Final = 30.0
HOW: Final = "`make operator-token NAME=you` prints one."


class Refused(Exception):
    """The service, or the way to it, said no; the message is one line and says what to do."""


class Api:
    """One service at one address, as one operator. Blocking: a command does one thing."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._token = token

    def at(self, url: str) -> "Api":
        """Another service, as the same operator."""
        return Api(url, self._token)

    def get(self, path: str, **query: str | float | Sequence[str] | None) -> Any:
        """Read; parameters that are None or empty are left out."""
        given = {name: value for name, value in query.items() if value is not None and value != []}
        return self._call("GET", f"{path}?{urlencode(given, doseq=True)}" if given else path, None)

    def post(self, path: str, **body: object) -> Any:
        """Ask for something; fields that are None are left out."""
        given = {name: value for name, value in body.items() if value is not None}
        return self._call("POST", path, orjson.dumps(given))

    def _call(self, method: str, path: str, content: bytes | None) -> Any:
        if not self._token:
            raise Refused("No token says who you are: set RECARGA_OPERATOR_TOKEN to one. " + HOW)
        try:
            answer = asyncio.run(self._send(method, path, content, self._token))
        except NotSent as error:
            raise Refused(
                f"{self._url} does not answer ({error}). Is it up? --url names another address."
            ) from None
        except Unanswered as error:
            raise Refused(
                f"{self._url} did not answer ({error}). It may have been done: look before you repeat it."
            ) from None
        except ValueError as error:
            raise Refused(f"That cannot be sent: {error}.") from None
        return _body(answer)

    async def _send(self, method: str, path: str, content: bytes | None, token: str) -> HttpAnswer:
        client = open_client(self._url, timeout_seconds=TIMEOUT_SECONDS, connections=1)
        try:
            return await client.request(method, path, content, {"authorization": f"Bearer {token}"})
        finally:
            await client.close()


def _body(answer: HttpAnswer) -> Any:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise Refused(f"The answer ({answer.status}) is no JSON: is this a service of ours?") from None
    if answer.status < 400:
        return body
    raise Refused(_told(body))


def _told(problem: Mapping[str, Any]) -> str:
    """A problem document in one line: what it says, and what is wrong where."""
    faults = [f"{_where(fault)}: {fault['message']}." for fault in problem.get("errors", [])]
    return " ".join([str(problem.get("detail", problem)), *faults])


def _where(fault: Mapping[str, Any]) -> str:
    return str(fault.get("pointer") or fault.get("name"))
