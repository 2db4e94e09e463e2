"""Makes .venv from a lock file, before anything is installed: standard library only.

    python3 deploy/local/environment.py .venv requirements/local.lock [--this-python]

The services' time is mostly Python's, and one that was built without optimisation (pyenv builds so) takes a
third longer for the same. Nothing that a Python says of itself tells, so those at hand are tried when the
environment is made, and one that is clearly faster than the asked is taken; --this-python takes the asked.

Written for any Python 3.6 or later, so that an old one gets one clear line instead of a syntax error. A
stamp in the environment holds the hash of the lock it was made from: an unchanged lock costs nothing. The
dev lock holds all of the local one, so going back from dev to local installs nothing either.
"""

import hashlib
import json
import os
import subprocess
import sys

OLDEST = (3, 11)
SUPERSETS = {"local.lock": ["dev.lock"]}
# What a distribution's own Python is called, where it may not be first in PATH.
USUAL_FOLDERS = ["/usr/local/bin", "/usr/bin"]
CLEARLY_FASTER = 0.85
TRIAL_SECONDS = 10
# The best of some: a machine at work makes single ones longer, never shorter.
TRIAL = """
import json, sys, time
try:
    import ensurepip, venv
except ImportError:
    sys.exit(1)
def work():
    rows = [{"key": str(i), "value": i * 3} for i in range(2000)]
    return sum(row["value"] for row in rows if row["key"].startswith("1")), sorted(row["key"] for row in rows)
took = []
for _ in range(30):
    begun = time.perf_counter()
    work()
    took.append(time.perf_counter() - begun)
print(json.dumps([sys.executable, sys.version_info[:2], min(took)]))
"""


def main() -> None:
    folder, lock, *options = sys.argv[1:]
    if sys.version_info < OLDEST:
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"Recarga needs Python 3.11 or later; {sys.executable} is {found}. Try make PYTHON=python3.11"
        )
    python = os.path.join(folder, "bin", "python")
    if not runs(python):
        make(folder, sys.executable if "--this-python" in options else fastest())
    if not is_current(folder, lock):
        install(python, folder, lock)


def runs(python: str) -> bool:
    """Whether the environment's Python works: a moved folder or a removed interpreter breaks it."""
    try:
        asked = [python, "-m", "pip", "--version"]
        return subprocess.call(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def fastest() -> str:
    """The Python to use: this one, or one called python3 that is new enough, complete and clearly faster."""
    own = tried(sys.executable)
    if own is None:
        return sys.executable
    folders = os.environ.get("PATH", "").split(os.pathsep) + USUAL_FOLDERS
    named = {os.path.join(folder, "python3") for folder in folders if os.path.isabs(folder)}
    others = [found for found in map(tried, sorted(named)) if found is not None and found[1] >= OLDEST]
    best = min([own, *others], key=lambda found: found[2])
    if best[2] > own[2] * CLEARLY_FASTER:
        return sys.executable
    percent = round((own[2] / best[2] - 1) * 100)
    print(f"Taking {best[0]}: {sys.executable} needs {percent} % longer for the same work.", flush=True)
    print(f"(make PYTHON={sys.executable} takes that one all the same.)", flush=True)
    return str(best[0])


def tried(python: str):  # type: ignore[no-untyped-def]
    """Its path, version and seconds for some work; None if it is missing or cannot make environments."""
    try:
        asked = [python, "-I", "-c", TRIAL]
        told = subprocess.run(
            asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TRIAL_SECONDS, check=False
        )
        path, version, seconds = json.loads(told.stdout.decode())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return path, tuple(version), seconds


def make(folder: str, python: str) -> None:
    missing = [name for name in ("venv", "ensurepip") if not importable(name)]
    if missing:
        names = " and ".join(missing)
        sys.exit(
            f"{sys.executable} lacks its {names} module (Debian and Ubuntu: apt-get install python3-venv)."
        )
    made = subprocess.run([python, "-m", "venv", "--clear", folder], check=False)
    if made.returncode != 0:
        sys.exit(f"{python} could not make an environment in {folder}: what it says is above.")


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
