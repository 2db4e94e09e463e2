"""Who sends the request. Until there is sign-in the header is believed: it tells callers apart."""

from typing import Annotated

from fastapi import Depends, Header

from shared.contracts.fields import Id

LOCAL = "local"


async def _caller(
    recarga_caller: Annotated[
        Id, Header(alias="Recarga-Caller", description="Which system sends this; its own name for itself.")
    ] = LOCAL,
) -> str:
    return recarga_caller


Caller = Annotated[str, Depends(_caller)]
"""The `Recarga-Caller` header, `local` where there is none."""
