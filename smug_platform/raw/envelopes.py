"""Envelopes of the stream, taken apart into the columns of `raw.deltas`.

An envelope is JSON of three lines: head, key, value (see `capture.change`). The compiled scanner
cuts them, all envelopes at once, and the value's JSON stays the text that Debezium wrote: of that
only what follows the row images is read here. What the scanner leaves is parsed by itself; what
can't be read then is set aside with its bytes, and stops nothing.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.raw import deltas as raw
from smug_platform.raw.parsed import is_text, parse
from smug_platform.raw.quarantine import Refused
from smug_platform.raw.views import content, in_pieces, slices
from smug_platform.scan.native import NONE, Array, envelopes
from smug_platform.stream.records import Record, Records

_SHARD = "_shard"  # the table name of a schema change that concerns no one table
_DDL = "ddl"
_OPS = pa.array([_DDL, *map(chr, range(1, 128))], raw.ARROW.field("op").type)  # by letter's number


def decode(records: Records) -> tuple[pa.Table, list[Refused]]:
    """Rows of `raw.deltas`, in the order that their envelopes came, and what is no envelope.

    A schema change that concerns several tables becomes one delta a table.
    """
    found, _, refused = read(records)
    is_ddl = pc.equal(found["op"], _DDL).to_numpy()
    if is_ddl.any():
        changes = _schema_changes(found.filter(pa.array(is_ddl)))
        found = pa.concat_tables([changes, found.filter(pa.array(~is_ddl))])
    landed_at = pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), found.num_rows)
    return found.append_column("landed_at", landed_at).select(raw.ARROW.names), refused


def read(records: Records) -> tuple[pa.Table, Array, list[Refused]]:
    """Each envelope as one row, of which record each is, and what is no envelope.

    A schema change has no table's name, and is there as often as it came; `landed_at` is missing.
    """
    pieces = in_pieces(partial(_decode, records), len(records))
    found = pa.concat_tables([table for table, _, _ in pieces])
    refused = [_refused(records[number]) for _, _, numbers in pieces for number in numbers]
    return found, np.concatenate([numbers for _, numbers, _ in pieces]), refused


def _decode(records: Records, begin: int, end: int) -> tuple[pa.Table, Array, list[int]]:
    """Rows of some records, of which record each is, and the numbers of those that are no
    envelopes.
    """
    data = records.data(begin, end)
    text, bounds = content(data)
    found, topics, is_read = envelopes(text, bounds.astype(np.int64))
    is_read &= _are_text(data)
    for number in np.flatnonzero(~is_read).tolist():
        is_read[number] = _parse(data[number].as_py(), number, int(bounds[number]), found, topics)
    # What is refused may have noted a topic that is no text.
    tables = [_table(topic.decode(errors="replace")) for topic in topics]
    rows = _row_numbers(found)
    is_of_table = np.array([name is not None for _, name in tables], dtype=bool)
    is_read[is_read] &= (found["op"][is_read] == 0) | (
        is_of_table[found["topic"][is_read]] & (rows[is_read] != NONE)
    )
    good = np.flatnonzero(is_read)
    found = {name: values[good] for name, values in found.items()}
    keys = slices(data, found["key_begin"], found["key_end"])
    topic = pa.array(found["topic"])
    columns: dict[str, Any] = {
        "table_name": pa.array([name for _, name in tables], pa.string()).take(topic),
        "shard": pa.array([shard for shard, _ in tables], pa.string()).take(topic),
        "epoch": found["epoch"],
        "op": _OPS.take(pa.array(found["op"])),
        "binlog_file": found["binlog_file"],
        "binlog_offset": found["binlog_offset"],
        "row_number": _nullable(rows[good]),
        "key": pc.if_else(pc.equal(keys, "null"), pa.scalar(None, pa.string()), keys),
        "payload": slices(data, found["value_begin"], found["value_end"]),
        "committed_at": _nullable(found["committed_at"]),
        "captured_at": _nullable(found["captured_at"], 1000),
        "stream_shard": _of_origins(records, "stream_shard", good + begin),
        "sequence_number": _of_origins(records, "sequence_number", good + begin),
    }
    schema = pa.schema([raw.ARROW.field(name) for name in columns])
    refused = (np.flatnonzero(~is_read) + begin).tolist()
    return pa.table(columns).cast(schema), good + begin, refused


def _parse(
    data: bytes, number: int, begin: int, found: dict[str, Array], topics: list[bytes]
) -> bool:
    """Note what an envelope says that begins at that offset; whether it is one."""
    parsed = parse(data)
    if parsed is None:
        return False
    if parsed.topic not in topics:
        topics.append(parsed.topic)
    for name, values in found.items():
        value = parsed.numbers.get(name, NONE)
        values[number] = value + begin if name.endswith(("_begin", "_end")) else value
    found["topic"][number] = topics.index(parsed.topic)
    return True


def _of_origins(records: Records, name: str, numbers: Array) -> pa.Array:
    """What the records of the stream say in which those envelopes came."""
    origin = records.origin[numbers]
    first = int(origin.min(initial=len(records.origins)))
    told = [getattr(one, name) for one in records.origins[first : int(origin.max(initial=0)) + 1]]
    return pa.array(told, pa.string()).take(pa.array(origin - first))


def _table(topic: str) -> tuple[str, str | None]:
    """The shard of a topic, and its table, None where it is of a shard's schema changes.

    >>> _table("shard_0.flickr.photos"), _table("shard_0")
    (('shard_0', 'photos'), ('shard_0', None))
    """
    shard, _, table = (*topic.split(".", 2), "", "")[:3]
    return shard, table or None


def _row_numbers(found: dict[str, Array]) -> Array:
    """The number of each change within its event; of a row of a snapshot, that of the head, or 1.

    Never 0: rows of a snapshot stand after the schema changes that come with it, at one position in
    the binlog, and these make rows that they find go.
    """
    of_snapshot = np.maximum(found["number"], 1)
    numbers: Array = np.where(found["op"] == ord("r"), of_snapshot, found["row_number"])
    return numbers


def _nullable(numbers: Array, factor: int = 1) -> pa.Array:
    return pa.array(numbers * factor, mask=numbers == NONE)


def _are_text(data: pa.Array) -> Array:
    """Which are UTF-8 throughout. Looks at single ones only when not all are."""
    try:
        data.cast(pa.string())
    except pa.ArrowInvalid:
        return np.array([is_text(one) for one in data.to_pylist()], dtype=bool)
    return np.ones(len(data), dtype=bool)


def _refused(record: Record) -> Refused:
    """What is no envelope, with the reason."""
    try:
        orjson.loads(record.data)
    except ValueError as error:
        reason = str(error)
    else:
        reason = "head, key and value on three lines are expected"
    place = f"{record.stream_shard}/{record.sequence_number}/{record.sub}"
    return Refused("raw", None, None, place, f"not an envelope: {reason}", record.data)


def _schema_changes(found: pa.Table) -> pa.Table:
    """One row a changed table, without the copies that came through the other lanes."""
    rows = {}
    for row in found.to_pylist():
        event = orjson.loads(row["payload"])
        names = [change["id"].split(".")[-1].strip('"') for change in event["tableChanges"]]
        for name in names or [_SHARD]:
            place = (row["shard"], row["epoch"], row["binlog_file"], row["binlog_offset"])
            rows[(*place, name, event["ddl"])] = row | {"table_name": name}
    return pa.Table.from_pylist(list(rows.values()), schema=found.schema)
