"""Operators at work on renewals of a test: what they ask for over HTTP, and what is asked for besides."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from shared.operators.tokens import Role
from tests.integration.renewal.conftest import About, Subscriber, begun, known, offering, signed_in, someone
from tests.integration.wired import Reply, Wired

WHY = "the carrier confirmed it by telephone"
SEEN = "seen in the carrier's portal"


@dataclass(frozen=True, slots=True)
class Operator:
    """One person at the renewal service."""

    renewal: Wired
    name: str = "ana"
    role: Role = "operator"

    async def get(self, path: str) -> Reply:
        return await self.renewal.request("GET", path, None, signed_in(self.name, self.role))

    async def post(self, path: str, **body: Any) -> Reply:
        return await self.renewal.request("POST", path, body, signed_in(self.name, self.role))

    async def decide(self, about: About, how: str, version: int, **body: Any) -> Reply:
        """One decision about a renewal: `act`, `refund`, `resolve` or `release`."""
        path = f"/v1/renewals/{about.renewal_id}/operator/{how}"
        return await self.post(path, **{"why": WHY, "version": version} | body)

    async def approve(self, proposal: Reply, why: str = SEEN) -> Reply:
        return await self.post(f"/v1/operator/proposals/{proposal.body['proposal_id']}/approve", why=why)

    async def reject(self, proposal: Reply, why: str = "the carrier says otherwise") -> Reply:
        return await self.post(f"/v1/operator/proposals/{proposal.body['proposal_id']}/reject", why=why)

    async def audit(self, about: About) -> list[dict[str, Any]]:
        """What was done about one renewal, oldest first."""
        reply = await self.get(f"/v1/operator/audit?renewal_id={about.renewal_id}")
        items: list[dict[str, Any]] = reply.body["items"]
        return items[::-1]


async def undetermined(renewal: Wired) -> tuple[About, dict[str, Any]]:
    """A renewal that is parked since its top-up could not be determined, as it is read."""
    [about] = await begun(renewal, *await known(renewal))
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    return about, await shown(renewal, about)


async def hanging(renewal: Wired) -> tuple[About, dict[str, Any]]:
    """A renewal that is parked since its refund was refused, as it is read."""
    [about] = await begun(renewal, *await known(renewal))
    await renewal.consume("saga", about.priced(), about.captured(), about.top_up_rejected())
    await renewal.consume("saga", about.refund_rejected())
    return about, await shown(renewal, about)


async def shown(renewal: Wired, about: About) -> dict[str, Any]:
    """The renewal as the API shows it."""
    body: dict[str, Any] = (await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")).body
    return body


_brands = count(1)


async def of_a_new_brand(
    renewal: Wired, how_many: int = 1, carrier: str = "cubacel"
) -> tuple[str, list[Subscriber], list[About]]:
    """Renewals under way of a brand that no other test knows."""
    brand = f"brand-{next(_brands)}"
    people = [someone() for _ in range(how_many)]
    told = [
        message
        for one in people
        for message in (
            one.subscription(brand=brand, carrier=carrier),
            one.customer(),
            one.card(0),
            one.card(1),
        )
    ]
    await renewal.consume("projections", offering(), *told)
    return brand, people, await begun(renewal, *people)
