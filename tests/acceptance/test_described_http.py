"""Requests made from each service's OpenAPI document, as it says and as it forbids: none makes it fail."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.result import Ok

from deploy.local.ports import SERVICES
from tests.acceptance.http_caller import PROBLEM_JSON
from tests.acceptance.office import Office

EXAMPLES = 6
"""Of each kind and operation: a fixed sample, the long search is not for every run."""
Operation = APIOperation[Any, Any, Any, Any]
SAMPLE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("application/x-ndjson")
def one_line(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body of lines that has one."""
    return json.dumps(value).encode() + b"\n"


@pytest.mark.parametrize("service", SERVICES)
async def test_no_request_that_the_document_describes_makes_the_service_fail(
    office: Office, service: str
) -> None:
    # A viewer: what is tried must not stop charges for all the other tests.
    viewer = office.signed_in("vera", "viewer")
    wrong, answers = await asyncio.to_thread(tried, office.stack.service_url(service), viewer)

    assert wrong == []
    assert answers["4xx"] > 0


def tried(url: str, headers: Mapping[str, str]) -> tuple[list[str], Counter[str]]:
    """What was answered wrongly, and how many answers of each class there were. Blocking."""
    wrong: list[str] = []
    answers: Counter[str] = Counter()
    for operation, mode in described(url):

        @SAMPLE
        @given(case=operation.as_strategy(generation_mode=mode))
        def answered(case: Case[Any]) -> None:
            response = case.call(headers=dict(headers))
            status, type_ = response.status_code, response.headers.get("content-type", [""])[0]
            answers[f"{status // 100}xx"] += 1
            if status >= 500 or (status >= 400 and not type_.startswith(PROBLEM_JSON)):
                wrong.append(f"{status} {type_}: {case.as_curl_command()}"[:2_000])

        answered()
    return wrong, answers


def described(url: str) -> Iterator[tuple[Operation, GenerationMode]]:
    """Every operation of the document, to be called as it says and as it forbids."""
    for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        # Where nothing can be sent nothing can be sent wrongly.
        yield operation, GenerationMode.POSITIVE
        if operation.body or operation.path_parameters or operation.query or operation.headers:
            yield operation, GenerationMode.NEGATIVE
