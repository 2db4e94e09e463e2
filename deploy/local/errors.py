"""What can go wrong in the local stack, each as one sentence that says what to do."""

from __future__ import annotations


class LocalStackError(Exception):
    """The stack cannot go on. The text is shown to the user as it is, without a traceback."""


class DownloadError(LocalStackError):
    """An artifact could not be had, or did not match the lock after every try."""


class PortBusy(LocalStackError):
    """Somebody else listens on a port that the stack needs."""


class AlreadyRunning(LocalStackError):
    """Another launcher holds this home."""


class ChildDied(LocalStackError):
    """A process ended before it was ready; the text carries the last lines of its log."""


class NotReady(LocalStackError):
    """A process did not become ready before its deadline."""
