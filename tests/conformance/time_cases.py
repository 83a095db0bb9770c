"""The type cases of days and moments (C) that `type_cases` does not hold."""

from datetime import datetime

from tests.conformance.cases import Typed, TypeTable
from tests.conformance.literals import days

_GIVEN = datetime(2024, 5, 6, 12, 34, 56, 987654)


def _cut(digits: int) -> datetime:
    """What MariaDB keeps of it: it cuts the digits that the column lacks, where MySQL rounds."""
    unit = 10 ** (6 - digits)
    return _GIVEN.replace(microsecond=_GIVEN.microsecond // unit * unit)


TIME_TABLE = TypeTable(
    "moments",
    (
        Typed("C05", "day", "DATE", "date", days("1000-01-01", "1582-10-10", "9999-12-31")),
        Typed(
            "C07",
            "early",
            "DATETIME(6)",
            "timestamp",
            [
                ("'1969-12-31 23:59:59.5'", datetime(1969, 12, 31, 23, 59, 59, 500000)),
                ("'1900-01-01 00:00:00.000001'", datetime(1900, 1, 1, microsecond=1)),
            ],
        ),
        *(
            Typed("C08", f"digits{n}", f"DATETIME({n})", "timestamp", [(f"'{_GIVEN}'", _cut(n))])
            for n in range(7)
        ),
    ),
)
