"""SQL on the stream: a row a change, once, with the lake's types."""

from datetime import UTC, datetime
from decimal import Decimal

import duckdb

from smug_platform.realtime.passing import read_changes
from smug_platform.tables.flickr import FLICKR
from tests.history import column
from tests.lanes import changes_of
from tests.unit.realtime.conftest import Live, at
from tests.unit.realtime.flickr import COLUMNS, server

TABLES = {name: FLICKR.table(name) for name in ("photos", "orders")}


def test_changes_are_decoded_once_each_and_in_order(live: Live) -> None:
    live.stream.doubt = 0.4
    order = {"id": 2**64 - 1, "total": "12.50", "currency": "EUR", "placed_at": at(3)}
    live.do("orders", "insert", order)
    live.do("orders", "update", {"currency": "EUR"}, total="13.00")
    live.do("orders", "delete", {"currency": "EUR"})
    live.do("orders", "insert", {"id": 7, "placed_at": "poison"})
    found, unread = read_changes(live.stream, TABLES, live.store.states())  # type: ignore[arg-type]
    orders = found["orders"]
    query = "select _op, id, total, placed_at, _shard from orders order by _position"
    placed = datetime(2026, 1, 1, 0, 3, tzinfo=UTC).replace(tzinfo=None)
    assert duckdb.sql(query).fetchall() == [
        ("c", Decimal(2**64 - 1), Decimal("12.50"), placed, "shard_0"),
        ("u", Decimal(2**64 - 1), Decimal("13.00"), placed, "shard_0"),
        ("d", Decimal(2**64 - 1), Decimal("13.00"), placed, "shard_0"),
    ]
    assert unread >= 1
    assert found["photos"].num_rows == 0
    assert "uploaded_at" in found["photos"].column_names
    assert orders.column_names[:4] == ["_op", "_shard", "_position", "_committed_at"]


def test_schema_changes_among_them_are_followed(live: Live) -> None:
    states = live.store.states()
    live.do("orders", "insert", {"id": 1, "total": "1.00", "placed_at": at(3)})
    orders = live.shard.tables["orders"]
    wider = [*orders.columns, orders.columns[0] | {"name": "gift_of"}]
    rows = [row | {"gift_of": None} for row in orders.rows]
    live.do("orders", "alter", wider, "ALTER TABLE orders ADD COLUMN gift_of BIGINT", rows)
    live.do("orders", "insert", {"id": 2, "total": "2.00", "placed_at": at(3), "gift_of": 9})
    found, unread = read_changes(live.stream, TABLES, states)  # type: ignore[arg-type]
    gifts = found["orders"]
    assert unread == 0
    assert gifts.num_rows == 2
    assert duckdb.sql("select id, gift_of from gifts order by id").fetchall() == [
        (Decimal(1), None),
        (Decimal(2), Decimal(9)),
    ]


def test_O05_the_changes_of_a_shard_in_conflict_are_unread_and_the_others_are_shown(
    live: Live,
) -> None:
    others = [server("shard_1"), server("shard_2")]
    for number, shard in enumerate(others, start=1):
        live.stream.publish(shard.name, 1, changes_of(shard.snapshot()))
        shard.do("photos", "insert", {"id": number, "title": "t", "uploaded_at": at(1)})
        live.stream.publish(shard.name, 1, changes_of(shard.new()))
    columns = [column("id", "VARCHAR", length=20), *COLUMNS["photos"][1:]]
    live.do("photos", "alter", columns, "ALTER TABLE photos MODIFY id VARCHAR(20)")
    live.do("photos", "insert", {"id": "3", "title": "t", "uploaded_at": at(1)})
    found, unread = read_changes(live.stream, TABLES, live.store.states())  # type: ignore[arg-type]
    assert sorted(found["photos"]["_shard"].to_pylist()) == ["shard_1", "shard_2"]
    assert unread == 1
