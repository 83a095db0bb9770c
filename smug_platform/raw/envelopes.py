"""Envelopes of the stream, taken apart into the columns of `raw.deltas`.

An envelope is JSON of three lines: head, key, value (see `capture.change`). It is cut at them, all
envelopes at once, and its value's JSON stays the text that Debezium wrote. What can't be read is
set aside with its bytes, and stops nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.duck import in_memory
from smug_platform.raw import deltas as raw
from smug_platform.raw.quarantine import Refused
from smug_platform.raw.views import NOWHERE, Array, content, find, in_pieces, next_mark, slices
from smug_platform.stream.reader import Record

_SHARD = "_shard"  # the table name of a schema change that concerns no one table
_LINES = ((b"{", ","), (b'"key":', ","), (b'"value":', "}"))  # how each line begins and ends
_SOURCE = b'},"sourc'  # the end of the row images, from where on all is about the change
_SKIPPED = (0, len(_LINES[1][0]), len(_LINES[2][0]))  # of a line's start, what is no part of it

_DECODE = """
select if(split_part(h.topic, '.', 3) = '', null, split_part(h.topic, '.', 3)) as table_name,
       split_part(h.topic, '.', 1) as shard,
       coalesce(v.op, 'ddl') as op,
       h.epoch,
       try_cast(regexp_extract(v.source.file, '\\.(\\d+)$', 1) as bigint) as binlog_file,
       v.source.pos as binlog_offset,
       if(v.op = 'r', coalesce(h.number, 0), v.source."row") as row_number,
       nullif(key, 'null') as key,
       payload,
       make_timestamp(v.source.ts_us) as committed_at,
       make_timestamp(v.ts_ms * 1000) as captured_at,
       stream_shard,
       sequence_number,
       v is null or h.topic is null or h.epoch is null or not json_valid(key)
       or binlog_file is null or binlog_offset is null
       or (v.op is not null and (row_number is null or table_name is null))
       or (v.op is null and (v.ddl is null or v.tableChanges is null
           or len(list_filter(v.tableChanges, lambda change: change.id is null)) > 0)) as bad
from (select *, try(from_json(if(is_tail, '{' || about, about),
        '{"op":"VARCHAR","ts_ms":"BIGINT","source":{
        "file":"VARCHAR","pos":"BIGINT","row":"INTEGER","ts_us":"BIGINT"},
        "ddl":"VARCHAR","tableChanges":[{"id":"VARCHAR"}]}')) as v,
      try(from_json(head || '}', '{"epoch":"INTEGER","number":"BIGINT","topic":"VARCHAR"}')) as h
      from envelopes)
"""


def decode(records: Sequence[Record]) -> tuple[pa.Table, list[Refused]]:
    """Rows of `raw.deltas`, in the order that their envelopes came, and what is no envelope.

    A schema change that concerns several tables becomes one delta a table.
    """
    pieces = in_pieces(partial(_cut, records), len(records))
    cut = pa.concat_tables([table for table, _ in pieces])
    torn = [number for _, numbers in pieces for number in numbers]
    with in_memory() as connection:
        connection.register("envelopes", cut)
        found = connection.sql(_DECODE).to_arrow_table()
    bad = found["bad"].to_numpy()
    numbers = sorted([*torn, *cut["number"].to_numpy()[bad].tolist()])
    refused = [_refused(records[number]) for number in numbers]
    is_ddl = pc.equal(found["op"], "ddl").to_numpy()
    changes = _schema_changes(_those(found, is_ddl & ~bad))
    return pa.concat_tables([changes, _typed(_those(found, ~is_ddl & ~bad))]), refused


def _cut(records: Sequence[Record], begin: int, end: int) -> tuple[pa.Table, list[int]]:
    """The texts of head, key and payload of some records, `about`, which is the part of the payload
    that says what the change is, and the numbers of the records that are not made so.
    """
    records = records[begin:end]
    data = pa.array([record.data for record in records], pa.binary())
    text, bounds = content(data)
    newlines = np.append(find(text, b"\n"), [len(text)] * 2)
    first = np.searchsorted(newlines, bounds[:-1])
    starts = np.stack([bounds[:-1], newlines[first] + 1, newlines[first + 1] + 1], axis=1)
    ends = np.stack([newlines[first], newlines[first + 1], bounds[1:]], axis=1)
    fits = _are_text(data) & (ends <= bounds[1:, None]).all(axis=1)
    fits &= (ends - starts > [len(start) for start, _ in _LINES]).all(axis=1)
    for number, (start, last) in enumerate(_LINES):
        fits[fits] &= text[ends[fits, number] - 1] == ord(last)
        for at, byte in enumerate(start):
            fits[fits] &= text[starts[fits, number] + at] == byte
    starts, ends = starts[fits] + _SKIPPED, ends[fits] - 1
    source = next_mark(
        text, np.append(find(text, b"}"), NOWHERE), starts[:, 2], ends[:, 2], _SOURCE
    )
    is_tail = source < ends[:, 2]
    chosen = [int(number) for number in np.flatnonzero(fits)]
    columns = {
        "head": slices(data, starts[:, 0], ends[:, 0]),
        "key": slices(data, starts[:, 1], ends[:, 1]),
        "payload": slices(data, starts[:, 2], ends[:, 2]),
        "about": slices(data, np.where(is_tail, source + 2, starts[:, 2]), ends[:, 2]),
        "is_tail": is_tail,
        "number": np.flatnonzero(fits) + begin,
        "stream_shard": [records[number].stream_shard for number in chosen],
        "sequence_number": [records[number].sequence_number for number in chosen],
    }
    return pa.table(columns), [int(number) + begin for number in np.flatnonzero(~fits)]


def _those(table: pa.Table, chosen: Array) -> pa.Table:
    """The chosen rows; all of them, which is nearly always so, without a copy."""
    return table if chosen.all() else table.filter(pa.array(chosen))


def _are_text(data: pa.Array) -> Array:
    """Which are UTF-8 throughout. Looks at single ones only when not all are."""
    try:
        data.cast(pa.string())
    except pa.ArrowInvalid:
        return np.array([_is_text(one) for one in data.to_pylist()], dtype=bool)
    return np.ones(len(data), dtype=bool)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


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
    return _typed(pa.Table.from_pylist(list(rows.values()), schema=found.schema))


def _typed(found: pa.Table) -> pa.Table:
    landed_at = pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), found.num_rows)
    return found.append_column("landed_at", landed_at).select(raw.ARROW.names).cast(raw.ARROW)
