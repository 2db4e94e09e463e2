"""The import contracts name every module that they are about: an unknown one is not held to them."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def contract(name: str) -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (found,) = (each for each in contracts if each["name"].startswith(name))
    named: dict[str, Any] = found
    return named


def test_every_entrance_and_every_store_is_in_a_layer() -> None:
    layers = contract("Wiring over entrances")["layers"]
    named = {each.strip(" ()") for layer in layers for each in layer.replace("|", ":").split(":")}
    there = {
        file.stem
        for ending in ("routes", "store")
        for file in (ROOT / "services").rglob(f"*{ending}.py")
        if file.stem == ending or file.stem.endswith(f"_{ending}")
    }
    assert there <= named
    assert named <= there | {"wiring", "handlers", "calls", "timers", "gateways", "domain"}


def test_every_shared_part_but_the_contracts_and_the_runner_names_no_business_noun() -> None:
    there = {
        f"shared.{each.stem}"
        for each in (ROOT / "shared").iterdir()
        if (each.suffix == ".py" and each.stem != "__init__") or (each / "__init__.py").exists()
    }
    named = set(contract("The shared parts name no business noun")["source_modules"])
    assert there - named == {"shared.contracts", "shared.runner"}
