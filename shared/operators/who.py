"""Who stands behind a request to an operator's route: the router's gate, and the two kinds of parameter."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.http.problems import Problem
from shared.operators.tokens import Operator, TokenRefused, Tokens

_OPERATOR: Final = "recarga.operator"
_HOW: Final = (
    "Get one with `make operator-token NAME=you` and send it as `Authorization: Bearer TOKEN`. "
    "Nothing was done."
)
_BEARER = HTTPBearer(
    scheme_name="operator token", description="Printed by `make operator-token NAME=you`.", auto_error=False
)


class Gate:
    """The first dependency of a router: nobody comes in without a token, whatever else is wrong."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def __call__(
        self,
        request: Request,
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        if sent is None:
            raise _unknown("operator-token-missing", "This is for operators, and the request names none.")
        try:
            request.scope[_OPERATOR] = self._tokens.read(sent.credentials)
        except TokenRefused as refused:
            raise _unknown("operator-token-refused", str(refused)) from None


def _unknown(problem: str, why: str) -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        type=problem,
        title="An operator's token is needed",
        detail=f"{why} {_HOW}",
        headers={"www-authenticate": 'Bearer realm="operators"'},
    )


async def _looking(request: Request) -> Operator:
    found: Operator = request.scope[_OPERATOR]
    return found


async def _acting(request: Request) -> Operator:
    found = await _looking(request)
    if found.role != "operator":
        raise Problem(
            HTTPStatus.FORBIDDEN,
            type="role-not-sufficient",
            title="The role does not allow this",
            detail=f"{found.name} is here as {found.role} and may look, not act. "
            "Get a token of the role operator: `make operator-token NAME=you ROLE=operator`. "
            "Nothing was done.",
            role=found.role,
            needed="operator",
        )
    return found


Looking = Annotated[Operator, Depends(_looking)]
"""Any operator."""

Acting = Annotated[Operator, Depends(_acting)]
"""An operator who may act; 403 for the others."""
