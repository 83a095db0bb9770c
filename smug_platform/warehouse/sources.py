"""dbt's sources, written from the table contract.

dbt reads a static file, so the file is committed and a test compares it with what this gives:

    python -m smug_platform.warehouse.sources > dbt_project/models/staging/_sources.yml
"""

import json
import sys
from collections.abc import Iterator

from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source, Table
from smug_platform.warehouse.ddl import SCHEMA

COMMAND = "python -m smug_platform.warehouse.sources > dbt_project/models/staging/_sources.yml"


def dbt_sources(source: Source) -> str:
    """The YAML of dbt's source `warehouse`: a table for each replica, histories included.

    Each names its Dagster asset, its owner, and its personal columns. Freshness is measured by
    the time at which the source committed the newest change.

    >>> print(dbt_sources(Source(database="flickr", tables=(
    ...     Table(name="photos", domain="photos", owner="team:photos", description="A photo."),
    ... ))).split("tables:")[1].rstrip())
    <BLANKLINE>
          - name: photos
            description: "A photo."
            config:
              meta:
                dagster: {asset_key: ["warehouse", "photos"]}
                owner: "team:photos"
    """
    lines = [
        f"# Written from the table contract by `{COMMAND}`.",
        "sources:",
        f"  - name: {SCHEMA}",
        f"    schema: {SCHEMA}",
        "    description: Replicas of the lake's tables, deleted rows included.",
        "    config:",
        "      loaded_at_field: _committed_at",
        "      freshness:",
        "        warn_after: {count: 1, period: day}",
        "    tables:",
    ]
    for number, table in enumerate(source.tables):
        lines += ["", *_replica(table)] if number else _replica(table)
        if table.history:
            lines += ["", *_history(table)]
    return "\n".join(lines) + "\n"


def _replica(table: Table) -> Iterator[str]:
    yield from _table(table.name, table.description, table)
    if table.reference:
        yield "          freshness: null"
    yield from _columns(table)


def _history(table: Table) -> Iterator[str]:
    description = f"One row a change of {table.name}, deletes included."
    yield from _table(f"{table.name}_history", description, table)
    yield from _columns(table)


def _table(name: str, description: str, table: Table) -> Iterator[str]:
    yield f"      - name: {name}"
    yield f"        description: {json.dumps(description)}"
    yield "        config:"
    yield "          meta:"
    yield f"            dagster: {{asset_key: {json.dumps([SCHEMA, name])}}}"
    yield f"            owner: {json.dumps(table.owner)}"


def _columns(table: Table) -> Iterator[str]:
    if table.pii:
        yield "        columns:"
    for column, pii in table.pii.items():
        yield f"          - name: {column}"
        yield f"            config: {{meta: {{pii: {pii}}}}}"


if __name__ == "__main__":
    sys.stdout.write(dbt_sources(FLICKR))
