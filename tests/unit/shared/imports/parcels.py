"""What the tests import: parcels, with a column of every form."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import AwareDatetime, Field, SecretStr, StringConstraints, model_validator

from shared.http.body import Body
from shared.imports.kinds import Kind
from shared.imports.reading import Chunk, Reader, Refusal

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,20}$")]


class Parcel(Body):
    """One item of the bulk route."""

    parcel_id: Name
    label: Name
    grams: Annotated[int, Field(ge=1, le=30_000)]
    paid_grams: int = 0
    insured: bool = False
    sent_at: AwareDatetime | None = None
    stamps: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _is_paid(self) -> "Parcel":
        if self.paid_grams > self.grams:
            raise ValueError("more was paid for than there is")
        return self


class LockedParcel(Parcel):
    """A parcel with something that must not be shown."""

    code: SecretStr | None = None


class Address(Body):
    street: Name
    floor: int | None = None


class SentParcel(Body):
    """A parcel with a part."""

    parcel_id: Name
    to: Address
    back_to: Address | None = None


def no_bomb(text: str) -> str | None:
    return "A parcel must not hold a bomb." if "bomb" in text else None


PARCELS = Kind(
    name="parcels",
    item=Parcel,
    service="post",
    url="http://127.0.0.1:1",
    path="/v1/parcels/bulk",
    unique=(("parcel_id",), ("label",)),
    not_yet=frozenset({"street-unknown"}),
)
LOCKED = Kind(
    name="locked parcels", item=LockedParcel, service="post", url="", path="", unique=(("parcel_id",),)
)
SENT = Kind(name="sent parcels", item=SentParcel, service="post", url="", path="", unique=(("parcel_id",),))
WATCHED = Kind(
    name="parcels",
    item=Parcel,
    service="post",
    url="http://127.0.0.1:1",
    path="/v1/parcels/bulk",
    unique=(("parcel_id",),),
    forbidden=no_bomb,
)
HEADER = "parcel_id,label,grams"


def lines(*texts: str) -> Iterator[bytes]:
    return (text.encode() for text in texts)


def read(
    *texts: str, header: str = HEADER, kind: Kind = PARCELS
) -> tuple[list[dict[str, object]], list[Refusal]]:
    """The items that can be sent and what is wrong with the other lines, of all chunks."""
    chunks = all_chunks([header, *texts], kind)
    items = [row.item for chunk in chunks for row in chunk.rows]
    return items, [refusal for chunk in chunks for refusal in chunk.refusals]


def all_chunks(texts: Iterable[str], kind: Kind = PARCELS) -> list[Chunk]:
    return list(Reader(kind, lines(*texts)).chunks())
