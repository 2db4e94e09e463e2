"""What the API of the cut-over takes and shows."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from services.renewal.cut_over.domain.cohort import Share
from services.renewal.cut_over.store import Setting
from services.renewal.operators.views import Because
from shared.contracts.fields import Count, Id
from shared.http.body import Answer, Body

MAX_NAMED: Final = 5_000
MAX_SHARES: Final = 200

Percentage = Annotated[int, Field(ge=0, le=100)]
Names = Annotated[tuple[Id, ...], Field(max_length=MAX_NAMED)]


class ShareBody(Body):
    """How many of a hundred subscriptions of a brand, a carrier, or both together are live."""

    brand: Id | None = None
    carrier: Id | None = None
    percent: Percentage

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.brand is None and self.carrier is None:
            raise ValueError("name a brand, a carrier or both; `percent` beside `shares` is for all others")
        return self


class CutOverBody(Because):
    """The whole setting: it replaces the one before."""

    replaces: Annotated[Count, Field(description="The version that this was made from; 0 for the first.")]
    percent: Annotated[Percentage, Field(description="Of all that no share holds for.")]
    shares: Annotated[tuple[ShareBody, ...], Field(max_length=MAX_SHARES)] = ()
    live: Annotated[Names, Field(description="Subscriptions that are live, whatever the percentage.")] = ()
    shadow: Annotated[Names, Field(description="Subscriptions that are not, whatever the percentage.")] = ()

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if len({(share.brand, share.carrier) for share in self.shares}) < len(self.shares):
            raise ValueError("two shares are of the same brand and carrier")
        both = sorted(set(self.live) & set(self.shadow))
        if both:
            raise ValueError(f"a subscription is named as live and as shadow: {both[0]}")
        return self

    @property
    def wanted(self) -> list[Share]:
        """In one order, so that the same said otherwise is the same."""
        read = [Share(share.brand, share.carrier, share.percent) for share in self.shares]
        return sorted(read, key=lambda share: (share.brand or "", share.carrier or ""))


class CutOverSummary(Answer):
    """A version of the setting; of the lists how many they name."""

    version: int
    percent: int
    shares: list[Share]
    live: int
    shadow: int
    why: str
    set_by: str
    set_at: datetime


class CutOverView(Answer):
    """The setting in force. Version 0: nobody ever set one, and everything is live."""

    version: int
    percent: int
    shares: list[Share]
    live: list[str]
    shadow: list[str]
    why: str | None
    set_by: str | None
    set_at: datetime | None


class LivenessView(Answer):
    """Whether a subscription is live, and why."""

    subscription_id: str
    live: bool
    bucket: int
    """Live where it is less than the percentage that holds."""
    percent: int
    named: bool
    """By a list, which counts for more."""


def summary(setting: Setting) -> CutOverSummary:
    return CutOverSummary(**setting._asdict())


def view(setting: Setting | None, live: list[str], shadow: list[str]) -> CutOverView:
    if setting is None:
        return CutOverView(
            version=0, percent=100, shares=[], live=[], shadow=[], why=None, set_by=None, set_at=None
        )
    return CutOverView(**setting._asdict() | {"live": live, "shadow": shadow})
