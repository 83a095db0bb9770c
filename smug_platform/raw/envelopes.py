"""Envelopes of the stream, taken apart into the columns of `raw.deltas`.

An envelope is JSON of three lines: head, key, value (see `capture.change`). It is cut at them, all
envelopes at once, and its value's JSON stays the text that Debezium wrote: of that only what
follows the row images is read here. What can't be read is set aside with its bytes, and stops
nothing.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.raw import deltas as raw
from smug_platform.raw.alike import NONE, Reader, Texts, Values
from smug_platform.raw.lines import abouts, lines
from smug_platform.raw.quarantine import Refused
from smug_platform.raw.views import Array, content, in_pieces, slices
from smug_platform.stream.reader import Record

_SHARD = "_shard"  # the table name of a schema change that concerns no one table
_DDL = "ddl"
_OPS = pa.array([_DDL, *map(chr, range(1, 128))], raw.ARROW.field("op").type)  # by letter's number
_FILE = re.compile(r"\.(\d{1,18})$")
_INT, _LONG, _MILLIS = 9, 18, 15  # digits of numbers at most
_HEAD = {"number": ("number", _INT)}
_ABOUT = {
    "op": ("op", 1),
    "binlog_offset": ("source.pos", _LONG),
    "row_number": ("source.row", _INT),
    "committed_at": ("source.ts_us", _LONG),
    "captured_at": ("ts_ms", _MILLIS),
}


class _Readers:
    """What reads the three parts of a batch's envelopes that are read."""

    def __init__(self) -> None:
        self.head = Reader(_head, _HEAD, frozenset({"epoch", "topic"}))
        self.key = Reader(_key, {})
        self.about = Reader(_about, _ABOUT, frozenset({"source.file"}))


def decode(records: Sequence[Record]) -> tuple[pa.Table, list[Refused]]:
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


def read(records: Sequence[Record]) -> tuple[pa.Table, Array, list[Refused]]:
    """Each envelope as one row, of which record each is, and what is no envelope.

    A schema change has no table's name, and is there as often as it came; `landed_at` is missing.
    """
    pieces = in_pieces(partial(_decode, _Readers(), records), len(records))
    found = pa.concat_tables([table for table, _, _ in pieces])
    refused = [_refused(records[number]) for _, _, numbers in pieces for number in numbers]
    return found, np.concatenate([numbers for _, numbers, _ in pieces]), refused


def _decode(
    readers: _Readers, records: Sequence[Record], begin: int, end: int
) -> tuple[pa.Table, Array, list[int]]:
    """Rows of some records, of which record each is, and the numbers of those that are no
    envelopes.
    """
    records = records[begin:end]
    data = pa.array([record.data for record in records], pa.binary())
    text, bounds = content(data)
    starts, ends, is_made_so = lines(text, bounds.astype(np.int64))
    fits = np.flatnonzero(is_made_so & _are_text(data))
    starts, ends = starts[fits], ends[fits]
    head = readers.head.read(text, starts[:, 0], ends[:, 0])
    key = readers.key.read(text, starts[:, 1], ends[:, 1])
    about = readers.about.read(text, abouts(text, starts[:, 2], ends[:, 2]), ends[:, 2])
    rows = _row_numbers(head, about)
    is_read = (head.which >= 0) & (key.which >= 0) & (about.which >= 0)
    op = about.numbers["op"]
    named = [topic["table_name"] is not None for topic in head.examples]
    is_read &= (op == 0) | (np.array([*named, False])[head.which] & (rows != NONE))
    good = np.flatnonzero(is_read)
    keys = slices(data, starts[good, 1], ends[good, 1])
    columns: dict[str, Any] = {
        **{name: _said(head, name, good) for name in ("table_name", "shard", "epoch")},
        "op": _OPS.take(pa.array(op[good])),
        "binlog_file": _said(about, "binlog_file", good),
        "binlog_offset": about.numbers["binlog_offset"][good],
        "row_number": _nullable(rows[good]),
        "key": pc.if_else(pc.equal(keys, "null"), pa.scalar(None, pa.string()), keys),
        "payload": slices(data, starts[good, 2], ends[good, 2]),
        "committed_at": _nullable(about.numbers["committed_at"][good]),
        "captured_at": _nullable(about.numbers["captured_at"][good], 1000),
        "stream_shard": [records[number].stream_shard for number in fits[good].tolist()],
        "sequence_number": [records[number].sequence_number for number in fits[good].tolist()],
    }
    is_refused = np.ones(len(records), dtype=bool)
    is_refused[fits[good]] = False
    schema = pa.schema([raw.ARROW.field(name) for name in columns])
    refused = (np.flatnonzero(is_refused) + begin).tolist()
    return pa.table(columns).cast(schema), fits[good] + begin, refused


def _row_numbers(head: Texts, about: Texts) -> Array:
    """The number of each change within its event; of a row of a snapshot, that of the head, or 1.

    Never 0: rows of a snapshot stand after the schema changes that come with it, at one position in
    the binlog, and these make rows that they find go.
    """
    of_snapshot = np.maximum(head.numbers["number"], 1)
    found: Array = np.where(
        about.numbers["op"] == ord("r"), of_snapshot, about.numbers["row_number"]
    )
    return found


def _said(texts: Texts, name: str, chosen: Array) -> pa.Array:
    """What the examples say under a name, for the chosen texts."""
    kind = raw.ARROW.field(name).type
    return pa.array([example[name] for example in texts.examples], kind).take(
        pa.array(texts.which[chosen])
    )


def _nullable(numbers: Array, factor: int = 1) -> pa.Array:
    return pa.array(numbers * factor, mask=numbers == NONE)


def _head(text: bytes) -> Values | None:
    """What the first line says."""
    found = _object(b"{" + text + b"}")
    epoch, topic = _number(found.get("epoch"), _INT), found.get("topic")
    if epoch is None or not isinstance(topic, str):
        return None
    shard, _, table = (*topic.split(".", 2), "", "")[:3]
    number = _number(found.get("number"), _INT)
    return {"epoch": epoch, "shard": shard, "table_name": table or None, "number": number}


def _key(text: bytes) -> Values | None:
    try:
        orjson.loads(text)
    except ValueError:
        return None
    return {}


def _about(text: bytes) -> Values | None:
    """What a payload says beside the row images: which change it is, and its place in the binlog;
    None when it does not say that.
    """
    found = _object(b"{" + text)
    op, source = found.get("op"), found.get("source")
    if not isinstance(source, dict):
        return None
    file, offset = _FILE.search(str(source.get("file"))), _number(source.get("pos"), _LONG)
    letter = ord(op) if isinstance(op, str) and len(op) == 1 and op.isascii() else 0
    if file is None or offset is None or not (letter or _is_ddl(found)):
        return None
    return {
        "op": letter,
        "binlog_file": int(file[1]),
        "binlog_offset": offset,
        "row_number": _number(source.get("row"), _INT),
        "committed_at": _number(source.get("ts_us"), _LONG),
        "captured_at": _number(found.get("ts_ms"), _MILLIS),
    }


def _is_ddl(found: Mapping[str, Any]) -> bool:
    """Whether it is a schema change that names each table that it concerns."""
    changes = found.get("tableChanges")
    return (
        found.get("op") is None
        and isinstance(found.get("ddl"), str)
        and isinstance(changes, list)
        and all(isinstance(one, dict) and isinstance(one.get("id"), str) for one in changes)
    )


def _object(text: bytes) -> Mapping[str, Any]:
    """What a text of JSON holds; nothing when it is none, or no object."""
    try:
        found = orjson.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: Any, digits: int) -> int | None:
    """A whole number from 0 on of so many digits at most; None for all else."""
    return value if type(value) is int and 0 <= value < 10**digits else None


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
    return pa.Table.from_pylist(list(rows.values()), schema=found.schema)
