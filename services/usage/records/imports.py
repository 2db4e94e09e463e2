"""Import of usage records from CSV (docs/usage-csv.md): python -m services.usage.records.imports FILE."""

from services.usage.records.routes import PATH
from shared.contracts.usage_records import UsageRecorded
from shared.imports.command import main
from shared.imports.kinds import Kind, LineResults

USAGE = Kind(
    name="usage",
    item=UsageRecorded,
    service="usage",
    url="http://127.0.0.1:18005",
    path=PATH,
    # Repeats are the service's to tell, within a file and across files.
    unique=(),
    # In the order of the file: of two records under one name the first counts.
    in_flight=1,
    not_yet=frozenset({"unavailable"}),
    lines=LineResults(usual="counted", taken=frozenset({"counted", "duplicate", "unknown_iccid"})),
)

if __name__ == "__main__":
    main(USAGE)
