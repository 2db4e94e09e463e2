"""`Idempotency-Key` (IETF httpapi draft): the same key and body are the same request, however often sent.

Which keys were seen is kept by the services, in the rows that the requests made. Here is the header, the
fingerprint of a body, and the answers to those who use a key wrongly.
"""

from hashlib import sha256
from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import Header
from pydantic import AfterValidator, BaseModel

from shared.http.problems import Problem

HEADER = "Idempotency-Key"
LONGEST_KEY = 255


def _key(value: str) -> str:
    """The key itself. The draft writes it as a quoted string, most clients send it bare."""
    key = value.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not 1 <= len(key) <= LONGEST_KEY or not all("!" <= character <= "~" for character in key):
        raise ValueError(f"must be 1 to {LONGEST_KEY} visible ASCII characters: a random UUID is a good key")
    return key


IdempotencyKey = Annotated[
    str,
    Header(
        alias=HEADER,
        description="The same key and body are the same request. 1 to 255 visible ASCII characters.",
    ),
    AfterValidator(_key),
]
"""The required header; without it the answer is 400 idempotency-key-missing."""


def request_hash(body: BaseModel) -> bytes:
    """32 bytes that are equal exactly where two bodies say the same (SHA-256 of canonical JSON)."""
    return sha256(orjson.dumps(body.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).digest()


def key_missing() -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        type="idempotency-key-missing",
        title="The Idempotency-Key header is missing",
        detail="Without a key a repeated request could be carried out twice, so nothing was done. "
        "Send the header with a value of your own, and the same value whenever you repeat this request.",
    )


def key_reused() -> Problem:
    """For a key that came before with another body."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type="idempotency-key-reused",
        title="The Idempotency-Key was used for another request",
        detail="This key came before with a different body, so nothing was done. "
        "Send a new key for a new request, or the first body again to see its answer.",
    )
