"""What can go wrong in the local stack, each as one sentence that says what to do."""

from __future__ import annotations


class LocalStackError(Exception):
    """The stack cannot go on. The text is shown to the user as it is, without a traceback."""


class DownloadError(LocalStackError):
    """An artifact could not be had, or did not match the lock after every try."""


class PortBusy(LocalStackError):  # noqa: N818 - the name of the condition, as in the message
    """Somebody else listens on a port that the stack needs."""


class AlreadyRunning(LocalStackError):  # noqa: N818 - the name of the condition
    """Another launcher holds this home."""


class ChildDied(LocalStackError):  # noqa: N818 - the name of the condition
    """A process ended before it was ready; the text carries the last lines of its log."""


class NotReady(LocalStackError):  # noqa: N818 - the name of the condition
    """A process did not become ready before its deadline."""
