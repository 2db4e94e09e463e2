"""The way that every renewal took, without its instants: what two runs are compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.simulation.world import World


class Path(NamedTuple):
    """What was written, said, asked, done and brought about one renewal, each in its order."""

    history: tuple[tuple[Any, ...], ...]
    said: tuple[tuple[str, str], ...]
    asked: tuple[tuple[Any, ...], ...]
    done: tuple[tuple[str, str, int], ...]
    brought: tuple[tuple[str, str], ...]
    """Webhooks, those that were refused among them."""


def paths(world: World) -> dict[str, Path]:
    """By renewal. What is only said or asked twice is another way, too: somebody had to bear it."""
    history: dict[str, list[tuple[Any, ...]]] = {}
    told = dict(world.renewal.history.rows)
    for renewal_id, kept in world.renewal.archive.rows.items():
        told |= {(renewal_id, version): line for version, line in kept.history}
    for (renewal_id, version), line in sorted(told.items(), key=lambda row: row[0]):
        history.setdefault(str(renewal_id), []).append((version, *line[1:]))
    asked: dict[str, list[tuple[Any, ...]]] = {}
    done: dict[str, list[tuple[str, str, int]]] = {}
    for server in world.servers.values():
        for each in server.asked:
            if each.reference is not None:
                asked.setdefault(each.reference, []).append(each[1:])
        for effect in server.effects:
            if effect.reference is not None:
                done.setdefault(effect.reference, []).append((server.name, effect.effect, effect.amount))
    named = history.keys() | asked.keys() | done.keys() | world.broker.said.keys()
    return {
        name: Path(
            tuple(history.get(name, ())),
            tuple(world.broker.said.get(name, ())),
            tuple(asked.get(name, ())),
            tuple(done.get(name, ())),
            tuple(world.people.brought.get(name, ())),
        )
        for name in sorted(named)
    }
