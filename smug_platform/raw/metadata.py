"""What Dagster shows of an Iceberg table."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pyiceberg.table import Table as Iceberg


def table_metadata(table: Iceberg, *, rows: int) -> dict[str, Any]:
    """Name, place, columns and rows of a table."""
    columns = [
        dg.TableColumn(field.name, str(field.field_type), description=field.doc)
        for field in table.schema().fields
    ]
    return {
        "dagster/row_count": rows,
        "dagster/table_name": ".".join(table.name()[-2:]),
        "dagster/uri": table.location(),
        "dagster/column_schema": dg.TableSchema(columns),
    }


def without_nothing(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that say something."""
    return {name: value for name, value in metadata.items() if value is not None}


def lag_seconds(committed_at: datetime | None) -> float | None:
    """Seconds since the source committed the newest change; None when there was none."""
    if committed_at is None:
        return None
    return round((datetime.now(UTC) - committed_at).total_seconds(), 3)
