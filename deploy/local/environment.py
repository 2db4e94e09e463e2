"""Makes .venv from a lock file, before anything is installed: standard library only.

    python3 deploy/local/environment.py .venv requirements/local.lock

Written for any Python 3.6 or later, so that an old one gets one clear line instead of a syntax error. A
stamp in the environment holds the hash of the lock it was made from: an unchanged lock costs nothing. The
dev lock holds all of the local one, so going back from dev to local installs nothing either.
"""

import hashlib
import os
import subprocess
import sys

OLDEST = (3, 11)
SUPERSETS = {"local.lock": ["dev.lock"]}


def main() -> None:
    folder, lock = sys.argv[1:]
    if sys.version_info < OLDEST:
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"Recarga needs Python 3.11 or later; {sys.executable} is {found}. Try make PYTHON=python3.11"
        )
    python = os.path.join(folder, "bin", "python")
    if not runs(python):
        make(folder)
    if not is_current(folder, lock):
        install(python, folder, lock)


def runs(python: str) -> bool:
    """Whether the environment's Python works: a moved folder or a removed interpreter breaks it."""
    try:
        asked = [python, "-m", "pip", "--version"]
        return subprocess.call(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make(folder: str) -> None:
    missing = [name for name in ("venv", "ensurepip") if not importable(name)]
    if missing:
        names = " and ".join(missing)
        sys.exit(
            f"{sys.executable} lacks its {names} module (Debian and Ubuntu: apt-get install python3-venv)."
        )
    import venv

    venv.EnvBuilder(with_pip=True, clear=True).create(folder)


def importable(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def stamp_of(folder: str, lock: str) -> str:
    return os.path.join(folder, "." + os.path.basename(lock) + ".sha256")


def digest_of(lock: str) -> str:
    with open(lock, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def is_current(folder: str, lock: str) -> bool:
    """Whether this lock, or one that holds all of it, is what is installed."""
    directory, name = os.path.split(lock)
    for candidate in [name, *SUPERSETS.get(name, [])]:
        path = os.path.join(directory, candidate)
        try:
            with open(stamp_of(folder, path)) as file:
                if file.read() == digest_of(path):
                    return True
        except OSError:
            continue
    return False


def install(python: str, folder: str, lock: str) -> None:
    print(f"Installing the Python packages of {lock} ...", flush=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2"]
    command += ["--require-hashes", "--only-binary", ":all:", "--requirement", lock]
    pip = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if pip.returncode != 0:
        sys.exit(why_not(lock, pip.stdout.decode(errors="replace")))
    with open(stamp_of(folder, lock), "w") as file:
        file.write(digest_of(lock))


def why_not(lock: str, said: str) -> str:
    """One line for a machine without network; pip's own errors for everything else."""
    if "NewConnectionError" in said or "ConnectTimeoutError" in said:
        return f"The Python packages of {lock} are not installed yet and there is no network: connect once."
    errors = [line for line in said.splitlines() if "ERROR" in line] or said.splitlines()[-10:]
    return "\n".join([f"The Python packages of {lock} could not be installed:", *errors])


if __name__ == "__main__":
    main()
