"""Landing: what came from the stream, as one commit with its positions."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException

from smug_platform.capture.change import Change, encode
from smug_platform.capture.position import Position
from smug_platform.errors import StreamError
from smug_platform.raw import deltas as raw
from smug_platform.raw import land as landing
from smug_platform.raw.land import land, source_positions, stream_positions
from smug_platform.raw.quarantine import counts, open_quarantine
from smug_platform.stream.reader import Batch, Poison, StreamPositions
from smug_platform.stream.records import Record, Records
from tests.unit.lake.test_merge import new_catalog


class RecordedStream:
    """A reader over records in memory: what was appended after the position that is asked for."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.poison: list[Poison] = []

    def put(self, change: Change, epoch: int = 1) -> None:
        self.records.append(encode(change, epoch))

    def read(self, after: StreamPositions | None, *, max_records: int = 100) -> Batch:
        start = int(after.sequences["s"]) if after else 0
        end = min(start + max_records, len(self.records))
        records = [Record(self.records[n], "s", str(n + 1), 0) for n in range(start, end)]
        behind = timedelta(seconds=len(self.records) - end)
        return Batch(
            Records.of(records), self.poison, StreamPositions("i", {"s": str(end)}), behind
        )


def row(op: str, offset: int, after: Any, *, number: int = 0, rank: int = 0) -> Change:
    source = {"file": "binlog.000003", "pos": offset, "row": number, "ts_us": 1_700_000_000_123_456}
    value = {"before": None, "after": after, "source": source, "op": op, "ts_ms": 1_700_000_000_500}
    text = json.dumps(value, separators=(",", ":")).encode()
    return Change("shard_0.flickr.photos", json.dumps(after).encode(), text, rank)


def ddl(offset: int, tables: Sequence[str]) -> Change:
    value = {
        "source": {"file": "binlog.000003", "pos": offset, "row": 0, "ts_us": 1},
        "ts_ms": 1,
        "ddl": "ALTER TABLE ...",
        "tableChanges": [{"type": "ALTER", "id": f'"flickr"."{t}"', "table": {}} for t in tables],
    }
    return Change("shard_0", b'{"databaseName":"flickr"}', json.dumps(value).encode(), 0)


PLACE = b'"source":{"file":"binlog.000001","pos":4,"row":0}'


def envelope(value: bytes) -> bytes:
    return b'{"epoch":1,"topic":"shard_0",\n"key":null,\n"value":' + value + b"}"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return new_catalog(tmp_path)


@pytest.fixture
def stream() -> RecordedStream:
    return RecordedStream()


def deltas(catalog: Catalog) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = raw.open_deltas(catalog).scan().to_arrow().to_pylist()
    return found


def test_delta_lands_with_its_envelope(catalog: Catalog, stream: RecordedStream) -> None:
    change = row("u", 12345, {"id": 18446744073709551615, "x": "1.0e5", "n": 1.50}, number=2)
    stream.put(change, epoch=4)
    landed = land(catalog, stream)  # type: ignore[arg-type]
    (found,) = deltas(catalog)
    assert found["payload"].encode() == change.value  # to the last byte
    assert found["key"].encode() == change.key
    assert (found["table_name"], found["shard"], found["op"]) == ("photos", "shard_0", "u")
    assert (found["epoch"], found["binlog_file"]) == (4, 3)
    assert (found["binlog_offset"], found["row_number"]) == (12345, 2)
    assert found["committed_at"].isoformat() == "2023-11-14T22:13:20.123456+00:00"
    assert (landed.deltas, landed.tables) == (1, {"photos": 1})
    assert landed.sources == {"shard_0": Position(4, 3, 12345, 2)}


def test_positions_stand_in_the_commit(catalog: Catalog, stream: RecordedStream) -> None:
    for number in range(5):
        stream.put(row("c", number, {"id": number}))
    assert land(catalog, stream, max_records=3).behind == timedelta(seconds=2)  # type: ignore[arg-type]
    assert stream_positions(raw.open_deltas(catalog)) == StreamPositions("i", {"s": "3"})
    assert land(catalog, stream).deltas == 2  # type: ignore[arg-type]
    assert source_positions(raw.open_deltas(catalog)) == {"shard_0": Position(1, 3, 4, 0)}
    nothing = land(catalog, stream)  # type: ignore[arg-type]
    assert (nothing.deltas, nothing.snapshot_id) == (0, None)
    assert len(deltas(catalog)) == 5


def test_snapshot_rows_are_told_apart_by_their_number(
    catalog: Catalog, stream: RecordedStream
) -> None:
    stream.put(row("r", 4, {"id": 1}, rank=7))
    stream.put(row("r", 4, {"id": 2}, rank=8))
    land(catalog, stream)  # type: ignore[arg-type]
    assert sorted(found["row_number"] for found in deltas(catalog)) == [7, 8]


def test_rows_of_a_snapshot_stand_after_its_schema_changes(
    catalog: Catalog, stream: RecordedStream
) -> None:
    """A pass may end between the two, which stand at one place in the binlog."""
    stream.put(ddl(4, ["photos"]))
    stream.put(row("r", 4, {"id": 1}))
    land(catalog, stream)  # type: ignore[arg-type]
    numbers = {found["op"]: found["row_number"] for found in deltas(catalog)}
    assert numbers["r"] > numbers["ddl"]


def test_each_change_keeps_its_epoch(catalog: Catalog, stream: RecordedStream) -> None:
    for number in range(40):
        stream.put(row("c", number, {"id": number}), epoch=1 + number // 20)
    land(catalog, stream)  # type: ignore[arg-type]
    found = {delta["binlog_offset"]: delta["epoch"] for delta in deltas(catalog)}
    assert found == {number: 1 + number // 20 for number in range(40)}


def test_a_spatial_column_may_be_called_source(catalog: Catalog, stream: RecordedStream) -> None:
    """Its value is an object, as that in which the place of the change is."""
    point = {"wkb": "AQEAAAAAAAAAAAAAAAAAAAAAAAAA", "srid": None}
    for number in range(3):
        stream.put(row("u", number, {"id": number, "area": point, "source": point, "n": 1}))
    stream.put(row("u", 3, {"id": 3, "area": None, "source": point}))
    landed = land(catalog, stream)  # type: ignore[arg-type]
    assert (landed.deltas, landed.quarantined) == (4, 0)
    assert sorted(found["binlog_offset"] for found in deltas(catalog)) == [0, 1, 2, 3]


def test_copies_of_a_schema_change_land_once(catalog: Catalog, stream: RecordedStream) -> None:
    """M08: a schema change goes through every lane; one for two tables becomes two deltas."""
    for _ in range(16):
        stream.put(ddl(50, ["photos", "albums"]))
    stream.put(ddl(60, []))
    landed = land(catalog, stream)  # type: ignore[arg-type]
    names = sorted((found["table_name"], found["op"]) for found in deltas(catalog))
    assert names == [("_shard", "ddl"), ("albums", "ddl"), ("photos", "ddl")]
    assert landed.deltas == 3


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xfe", id="M10-bytes"),
        pytest.param(b'{"epoch":1}', id="M10-no-envelope"),
        pytest.param(
            b'{"epoch":1,"sequence":0,"topic":"t",\n"key":null,\n"value":{"a"}}', id="M10"
        ),
        pytest.param(envelope(b"{}"), id="nothing"),
        pytest.param(envelope(b'{"op":"c","source":{"row":0}}'), id="no-position"),
        pytest.param(envelope(b'{"op":"c","source":{"file":"b.1","pos":4}}'), id="no-row"),
        pytest.param(envelope(b'{"ddl":"ALTER ...",' + PLACE + b"}"), id="no-changes"),
        pytest.param(
            envelope(b'{"ddl":"ALTER ...","tableChanges":[{"type":"ALTER"}],' + PLACE + b"}"),
            id="no-table",
        ),
        pytest.param(envelope(b"{}").replace(b'"topic":"shard_0"', b'"topic":7'), id="no-topic"),
    ],
)
def test_poison_goes_to_quarantine_and_the_rest_lands(
    catalog: Catalog, stream: RecordedStream, data: bytes
) -> None:
    stream.put(row("c", 1, {"id": 1}))
    stream.records.append(data)
    stream.put(row("c", 2, {"id": 2}))
    landed = land(catalog, stream)  # type: ignore[arg-type]
    assert (landed.deltas, landed.quarantined) == (2, 1)
    (entry,) = open_quarantine(catalog).scan().to_arrow().to_pylist()
    assert entry["payload"] == data
    assert counts(catalog) == {"": 1}


def test_poison_of_the_reader_is_kept(catalog: Catalog, stream: RecordedStream) -> None:
    stream.poison.append(Poison(b"claimed", "hash differs", "s", "17"))
    assert land(catalog, stream).quarantined == 1  # type: ignore[arg-type]
    (entry,) = open_quarantine(catalog).scan().to_arrow().to_pylist()
    assert (entry["reason"], entry["place"]) == ("hash differs", "s/17")


def test_crash_before_the_commit_repeats_the_batch(
    catalog: Catalog, stream: RecordedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.put(row("c", 1, {"id": 1}))
    stream.records.append(b"junk")

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(landing, "_summary", crash)
        with pytest.raises(KeyboardInterrupt):
            land(catalog, stream)  # type: ignore[arg-type]
    assert land(catalog, stream).deltas == 1  # type: ignore[arg-type]
    assert len(deltas(catalog)) == 1
    assert counts(catalog) == {"": 1}


def test_landing_beside_another_lands_nothing_twice(
    catalog: Catalog, stream: RecordedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J20: both read the same records; the second one's commit fails and it reads anew."""
    stream.put(row("c", 1, {"id": 1}))
    inner = landing._summary

    def after_another(*arguments: Any) -> Any:
        monkeypatch.setattr(landing, "_summary", inner)
        assert land(catalog, stream).deltas == 1  # type: ignore[arg-type]
        return inner(*arguments)

    monkeypatch.setattr(landing, "_summary", after_another)
    assert land(catalog, stream).deltas == 0  # type: ignore[arg-type]
    assert len(deltas(catalog)) == 1


def test_landing_that_never_wins_says_so(
    catalog: Catalog, stream: RecordedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any) -> None:
        raise CommitFailedException

    stream.put(row("c", 1, {"id": 1}))
    monkeypatch.setattr(landing, "_summary", lose)
    with pytest.raises(StreamError, match="one land at a time"):
        land(catalog, stream)  # type: ignore[arg-type]
