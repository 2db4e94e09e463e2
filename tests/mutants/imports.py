"""What a service's tests import beside the service: imported once, by whoever forks, it is paid for once.

A mutant of a table is there only if its module is imported after it was put in. Whatever does not import the
service can be imported before: third parties, shared/ and the other services, for none imports another one.
"""

import contextlib
import importlib
import sys
from pathlib import Path


def beside(service: str) -> list[str]:
    """The names of the modules imported so far that know nothing of the service, in the order of import."""
    # pytest knows the tests by names of its own, such as `unit.renewal.test_saga`.
    folders = (folder.name for folder in Path(__file__).parents[1].iterdir())
    own = ("tests", "deploy", "conftest", "__main__", f"services.{service}", *folders)
    return [name for name in sys.modules if not _is_of(name, own)]


def import_all(names: list[str], service: str) -> None:
    """Import them, each under its own name; what cannot be is left out.

    Raises:
        RuntimeError: one of them has imported the service.
    """
    for name in names:
        if name not in sys.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    too_early = [name for name in sys.modules if _is_of(name, (f"services.{service}",))]
    if too_early:
        raise RuntimeError(f"imported before its mutants: {', '.join(too_early)}")


def _is_of(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
