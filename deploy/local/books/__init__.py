"""The comparer of books: what our services wrote down against what the PSP and the carrier did.

It reads SQL and journals only and shares no code with the services, so that a defect of theirs cannot hide
itself here. It compares what is written at one moment: whoever asks waits until everything is quiet.
"""

from deploy.local.books.comparison import Comparison, compare
from deploy.local.books.quiet import underway, wait_until_quiet
from deploy.local.books.reading import read_books

__all__ = ["Comparison", "compare", "read_books", "underway", "wait_until_quiet"]
