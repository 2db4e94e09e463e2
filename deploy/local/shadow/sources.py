"""Where each kind of thing comes from: a file, the services of a stack that is up, or nowhere."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from deploy.local import launcher
from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from deploy.local.shadow.files import Files

FROM_FILES_ONLY: Final = ("usage", "charges", "buckets")
"""What is left in the services is left now: nobody can tell from it what was left when the month began."""

SERVICE_OF: Final[Mapping[str, str]] = {
    "subscriptions": "provisioning",
    "rules": "renewal",
    "mandates": "renewal",
    "offerings": "catalog",
    "prices": "catalog",
    "payment_methods": "payment",
}
"""What a service knows, as it is now, of what has no file."""

NEEDED: Final = ("subscriptions", "rules", "offerings")
"""Nothing can be compared without these. Where all of them are files no service is asked for anything."""


def asked(files: Files) -> tuple[str, ...]:
    """What the services are asked for, in the order of SERVICE_OF."""
    if all(getattr(files, kind) is not None for kind in NEEDED):
        return ()
    return tuple(kind for kind in SERVICE_OF if getattr(files, kind) is None)


def told(files: Files, counts: Mapping[str, int]) -> str:
    """One line that says what came from where; `counts`: how many there were of what services were asked."""
    kinds = (*FROM_FILES_ONLY, *SERVICE_OF)
    named = [kind for kind in kinds if getattr(files, kind) is not None]
    unknown = [kind for kind in kinds if kind not in named and kind not in counts]
    line = f"From files: {_in_words(named)}."
    if counts:
        running = [f"{kind} ({number})" for kind, number in counts.items()]
        line += f" From the services, as they are now: {_in_words(running)}."
    if unknown:
        line += f" Not known: {_in_words(unknown)}."
    if counts and "buckets" in unknown:
        line += " (The services only know what is left now.)"
    return line


def _in_words(kinds: Iterable[str]) -> str:
    return ", ".join(kinds).replace("_", " ")


def addresses(kinds: Collection[str], home: Home, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the services answer that know these kinds: RECARGA_<SERVICE>_URL, else the stack in the home.

    Raises:
        LocalStackError: one of them is neither named nor running.
    """
    wanted = {SERVICE_OF[kind] for kind in kinds}
    named = {service: environment.get(f"RECARGA_{service.upper()}_URL", "") for service in wanted}
    found = {service: url for service, url in named.items() if url}
    if found.keys() < wanted:
        record = launcher.running(home)
        for process in record.processes if record is not None else ():
            service = process.name.partition("-")[0]
            if service in wanted and process.identity.alive():
                found.setdefault(service, process.address)
    missing = [kind for kind in kinds if SERVICE_OF[kind] not in found]
    if missing:
        files = " ".join(f"{kind.upper()}=" for kind in NEEDED if kind in missing) or "docs/adoption.md"
        raise LocalStackError(
            f"No stack that knows {_in_words(missing)} is up in {home.path}: "
            f"name the files ({files}) or bring the stack up: make up"
        )
    return found
