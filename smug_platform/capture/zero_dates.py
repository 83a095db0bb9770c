"""What stands on the stream for a date that is none: a zero date, 31 February, the year 0.

It is the first day of the year 0, which no column of the lake can hold; so it is told from NULL and
from each real date. What a column reads for it is decided in the lake, by the contract.
"""

NO_DAY = "-719528"
"""Of a DATE, in days since 1970."""
NO_MOMENT = "-62167219200000000"
"""Of a DATETIME, in microseconds since 1970."""
NO_INSTANT = "0000-01-01T00:00:00Z"
"""Of a TIMESTAMP."""
