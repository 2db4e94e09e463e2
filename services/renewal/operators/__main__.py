"""Starts the operators' command line: `python -m services.renewal.operators --help`."""

from services.renewal.operators.bulk_commands import bulk
from services.renewal.operators.charge_commands import charges
from services.renewal.operators.cli import app
from services.renewal.operators.review_commands import reviews
from services.renewal.operators.set_aside_commands import set_aside

__all__ = ["app"]

app.add_typer(bulk, name="bulk")
app.add_typer(charges, name="charges")
app.add_typer(reviews, name="reviews")
app.add_typer(set_aside, name="set-aside")

if __name__ == "__main__":
    app()
