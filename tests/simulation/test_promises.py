"""Every check of a promise can fail: a world that is well is made wrong in one place, and that is told."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest

from services.payment.domain.payment import WALLET
from tests.simulation.ends import possible_ends
from tests.simulation.people import TAKEN
from tests.simulation.plan import plan
from tests.simulation.promises import LONGEST_SECONDS, broken
from tests.simulation.stores.messaging import AsideLine, OutboxLine
from tests.simulation.world import World

NOBODY: Final = UUID(int=7)


@cache
def seed_of(replays: bool) -> int:
    """The first seed whose world has all that is made wrong here."""
    return next(seed for seed in range(1, 200) if plan(seed).replays == replays and _has_all(_lived(seed)))


def _lived(seed: int) -> World:
    world = World(plan(seed))
    world.run()
    return world


def _has_all(world: World) -> bool:
    by_wallet = any(line.payment.gateway == WALLET for line in world.payment.payments.rows.values())
    states = {one.state for one in world.renewal.every_renewal().values()}
    refunded = any(effect.effect == "refunded" for effect in world.servers["psp"].effects)
    plain = bool(world.before_replay) or _plain(world) is not None
    return (
        not world.plan.nets_off
        and {"completed", "refunded"} <= states
        and refunded
        and plain
        and (by_wallet or bool(world.before_replay))
    )


# -- where to find what is made wrong -------------------------------------------------------------------


def _one(world: World, state: str) -> Any:
    """A renewal that ended so, by a card."""
    ended = [one for one in world.renewal.every_renewal().values() if one.state == state]
    return next(one for one in ended if world.payment.payments.rows[one.renewal_id].payment.gateway != WALLET)


def _plain(world: World) -> Any:
    """A renewal that can only have been completed."""
    every = world.renewal.every_renewal()
    for wish in world.plan.wishes:
        renewal = every.get(world.people.renewal_id(wish))
        if renewal is not None and possible_ends(world.plan, wish) == {"completed"}:
            return renewal
    return None


def _rewrite(world: World, renewal: Any, **fields: Any) -> None:
    rows = world.renewal.renewals.rows
    rows[renewal.renewal_id] = rows[renewal.renewal_id]._replace(renewal=renewal._replace(**fields))


def _effect(world: World, server: str, effect: str, reference: str | None = None) -> Any:
    every = [one for one in world.servers[server].effects if one.effect == effect]
    return next(one for one in every if reference in (None, one.reference))


def _without_effects(world: World, server: str, renewal: Any, effect: str) -> None:
    mine = (str(renewal.renewal_id), effect)
    every = world.servers[server].effects
    world.servers[server].effects = [one for one in every if (one.reference, one.effect) != mine]


def _transfer(world: World, kind: str) -> tuple[Any, Any]:
    renewal_id = _one(world, "completed").renewal_id
    rows = world.payment.transfers.rows.items()
    return next((key, line) for key, line in rows if (key[0], line.kind) == (renewal_id, kind))


# -- how it is made wrong -------------------------------------------------------------------------------


def _capture_twice(world: World) -> None:
    first = _effect(world, "psp", "captured", str(_one(world, "completed").renewal_id))
    world.servers["psp"].effects.append(first._replace(id="another"))


def _apply_twice(world: World) -> None:
    world.servers["carrier"].effects.append(_effect(world, "carrier", "applied"))


def _decide_twice(world: World) -> None:
    name = str(_one(world, "completed").renewal_id)
    world.broker.said[name].append(("PaymentCancelled", "another"))


def _tell_the_delay_twice(world: World) -> None:
    name = str(_one(world, "completed").renewal_id)
    world.broker.said[name] += [("RenewalDelayed", "one"), ("RenewalDelayed", "another")]


def _take_nothing(world: World) -> None:
    _without_effects(world, "psp", _one(world, "completed"), "captured")


def _take_it_afterwards(world: World) -> None:
    renewal = _one(world, "completed")
    captured = _effect(world, "psp", "captured", str(renewal.renewal_id))
    _without_effects(world, "psp", renewal, "captured")
    world.servers["psp"].effects.append(captured._replace(at=captured.at + 3_600_000_000))


def _refund_without_an_answer(world: World) -> None:
    name = str(_one(world, "refunded").renewal_id)
    for told in ("TopUpRejected", "TopUpCancelled"):
        world.broker.first_said.pop((name, told), None)


def _fill_a_wallet(world: World) -> None:
    rows = world.payment.wallets.rows
    rows[next(iter(rows))] += 1


def _lose_a_transfer(world: World) -> None:
    del world.payment.transfers.rows[_transfer(world, "capture")[0]]


def _post_to_nowhere(world: World) -> None:
    key, line = _transfer(world, "capture")
    world.payment.transfers.rows[key] = line._replace(credit_account="nowhere")


def _overdraw(world: World) -> None:
    (renewal_id, _), line = _transfer(world, "applied")
    again = line._replace(amount_minor=10 * line.amount_minor)
    world.payment.transfers.rows[renewal_id, NOBODY] = again


def _find_a_surplus(world: World) -> None:
    (renewal_id, _), line = _transfer(world, "capture")
    world.payment.transfers.rows[renewal_id, NOBODY] = line._replace(
        kind="surplus_found", credit_account="surplus"
    )


def _leave_open(world: World) -> None:
    _rewrite(world, _one(world, "completed"), state="captured", closed_at=None)


def _park(world: World) -> None:
    _rewrite(world, _one(world, "completed"), state="parked", parked_reason="silence_captured")


def _take_long(world: World) -> None:
    renewal = _one(world, "completed")
    late = renewal.requested_at + timedelta(seconds=LONGEST_SECONDS + 1)
    _rewrite(world, renewal, closed_at=late)


def _fail_a_plain_one(world: World) -> None:
    _rewrite(world, _plain(world), state="failed")


def _refund_nothing(world: World) -> None:
    _without_effects(world, "psp", _one(world, "refunded"), "refunded")


def _leave_unpublished(world: World) -> None:
    world.messaging["renewal"].outbox.rows[0] = OutboxLine(world.loop.now, None, ())


def _publish_less_than_committed(world: World) -> None:
    world.messaging["payment"].ever.add(NOBODY)


def _set_aside(world: World) -> None:
    line = AsideLine(b"key", b"{}", "PaymentCaptured", None, "poison", world.loop.now, None)
    world.messaging["renewal"].aside.rows["saga", "payments.v1", 0, 0] = line


def _read_less(world: World) -> None:
    committed = next(
        group.committed for group in world.broker.groups.values() if any(group.committed.values())
    )
    place = max(committed, key=lambda place: committed[place])
    committed[place] -= 1


def _write_a_dead_letter(world: World) -> None:
    world.broker.write("payments.v1.dead-letters", b"key", None, (), 0)


def _hear_of_an_unknown_renewal(world: World) -> None:
    world.renewal.orphans.rows[NOBODY] = None  # type: ignore[assignment] # that there is one is enough


def _lose_a_wish(world: World) -> None:
    for wish in world.plan.wishes:
        renewal_id = world.people.renewal_id(wish)
        if not wish.subscriber.has_rule and renewal_id in world.renewal.renewals.rows:
            del world.renewal.renewals.rows[renewal_id]
            return


def _pay_for_nobody(world: World) -> None:
    world.servers["psp"].effects.append(_effect(world, "psp", "captured")._replace(reference="nobody"))


def _see_a_broken_promise(world: World) -> None:
    _rewrite(world, _one(world, "completed"), flags="promise_broken")


def _apply_unseen(world: World) -> None:
    _without_effects(world, "carrier", _one(world, "completed"), "applied")


def _tell_another_end(world: World) -> None:
    name = str(_one(world, "completed").renewal_id)
    world.broker.said[name].append(("RenewalFailed", "another"))


def _end_otherwise_than_paid(world: World) -> None:
    _rewrite(world, _one(world, "refunded"), state="cancelled")


def _give_back_a_part(world: World) -> None:
    name = str(_one(world, "completed").renewal_id)
    captured = _effect(world, "psp", "captured", name)
    world.servers["psp"].effects.append(captured._replace(amount=-1))


def _earn_nothing(world: World) -> None:
    rows, renewal_id = world.payment.payments.rows, _one(world, "completed").renewal_id
    payment = rows[renewal_id].payment.copy(applied_at=None)
    rows[renewal_id] = rows[renewal_id]._replace(payment=payment)


def _believe_a_forgery(world: World) -> None:
    name = str(_one(world, "completed").renewal_id)
    world.people.brought.setdefault(name, []).append(("forged payment_intent.succeeded", TAKEN))


def _change_by_replay(world: World) -> None:
    name = next(iter(world.before_replay))
    world.before_replay[name] = (*world.before_replay[name], "another")


def _break_a_task(world: World) -> None:
    world.loop.broken.append("renewal-1 saga: KeyError()")


class Wrong(NamedTuple):
    """What is made wrong; the promise that is broken then, and the words by which it is told."""

    make: Callable[[World], None]
    promise: int
    told: str
    replays: bool = False


WRONGS: Final = (
    Wrong(_break_a_task, 0, "KeyError"),
    Wrong(_capture_twice, 1, "2 captures are kept"),
    Wrong(_apply_twice, 1, "2 top-ups are applied"),
    Wrong(_decide_twice, 1, "decided 2 times"),
    Wrong(_tell_the_delay_twice, 1, "told of the delay more than once"),
    Wrong(_take_nothing, 2, "nothing is paid for it"),
    Wrong(_take_it_afterwards, 2, "applied before the capture"),
    Wrong(_refund_without_an_answer, 3, "a refund was sent before"),
    Wrong(_fill_a_wallet, 4, "the wallet of"),
    Wrong(_lose_a_transfer, 4, "the ledger says that the PSP holds"),
    Wrong(_post_to_nowhere, 4, "captured"),
    Wrong(_overdraw, 4, "overdrawn"),
    Wrong(_find_a_surplus, 4, "was not sent back"),
    Wrong(_leave_open, 5, "still captured"),
    Wrong(_park, 5, "parked without need"),
    Wrong(_park, 5, "nobody was told"),
    Wrong(_take_long, 5, "only after"),
    Wrong(_fail_a_plain_one, 5, "can be explained"),
    Wrong(_refund_nothing, 5, "money is held for nothing"),
    Wrong(_leave_unpublished, 6, "in its outbox"),
    Wrong(_publish_less_than_committed, 6, "were never published"),
    Wrong(_set_aside, 6, "set records aside"),
    Wrong(_read_less, 6, "has not read everything"),
    Wrong(_write_a_dead_letter, 6, "a dead letter"),
    Wrong(_hear_of_an_unknown_renewal, 6, "unknown renewals"),
    Wrong(_lose_a_wish, 6, "nobody answered"),
    Wrong(_change_by_replay, 6, "reading everything again changed it", replays=True),
    Wrong(_pay_for_nobody, 7, "nobody knows"),
    Wrong(_see_a_broken_promise, 7, "seen a promise broken"),
    Wrong(_apply_unseen, 7, "at the carrier 0 applied"),
    Wrong(_tell_another_end, 7, "people were told"),
    Wrong(_end_otherwise_than_paid, 7, "cancelled, but payment is"),
    Wrong(_give_back_a_part, 7, "but the PSP holds"),
    Wrong(_earn_nothing, 7, "not earned in the ledger"),
    Wrong(_believe_a_forgery, 7, "a forged webhook was believed"),
)


@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: f"{wrong.promise}{wrong.make.__name__}")
def test_a_world_that_is_wrong_in_one_place_breaks_that_promise(wrong: Wrong) -> None:
    world = _lived(seed_of(wrong.replays))
    assert broken(world) == []
    wrong.make(world)
    assert [one for one in broken(world) if one.promise == wrong.promise and wrong.told in one.how]
