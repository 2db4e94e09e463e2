"""The mutants that may survive: each is named in `survivors.toml` with why that is no hole in the tests."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent / "survivors.toml"


@cache
def explained() -> dict[str, str]:
    """Why, by the mutant's key. The file groups mutants that share a reason."""
    groups = tomllib.loads(FILE.read_text(encoding="utf-8")).get("group", [])
    return {mutant: group["why"] for group in groups for mutant in group["mutants"]}
