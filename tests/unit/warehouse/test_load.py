"""The loader: one transaction a feed, the same replica whatever the batches."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_platform.errors import WarehouseError
from smug_platform.lake.feed import Feed
from smug_platform.warehouse.load import load, loaded, loads

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("id", pa.decimal128(20, 0)),
        ("title", pa.string()),
        ("bytes", pa.int32()),
        ("_shard", pa.string()),
        ("_position", pa.decimal128(38, 0)),
        ("_committed_at", pa.timestamp("us", "UTC")),
        ("_is_deleted", pa.bool_()),
        ("_moved_to", pa.string()),
    ]
)
KEY = ("_shard", "id")


def row(
    id_: int, title: str | None, position: int, shard: str = "shard_0", **more: Any
) -> dict[str, Any]:
    return {
        "id": Decimal(id_),
        "title": title,
        "bytes": 10 * position,
        "_shard": shard,
        "_position": Decimal(10**34 + position),
        "_committed_at": NOON + timedelta(seconds=position),
        "_is_deleted": False,
        "_moved_to": None,
    } | more


def feed(
    rows: list[dict[str, Any]],
    snapshot_id: int,
    since: int | None = None,
    full: bool = False,
    schema: pa.Schema = SCHEMA,
) -> Feed:
    table = pa.Table.from_pylist(rows, schema=schema)
    return Feed(
        table="photos", key=KEY, rows=table, snapshot_id=snapshot_id, since=since, full=full
    )


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def content(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select _shard, id, title, bytes, _position, _is_deleted from warehouse.photos order by all"
    ).fetchall()


def test_first_load_makes_the_replica_and_records_the_snapshot(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert loaded(connection) == {}
    done = load(connection, feed([row(1, "a", 1), row(2**64 - 1, None, 2)], 100, full=True))
    assert (done.rows, done.replaced, done.total, done.full) == (2, 0, 2, True)
    assert loaded(connection) == {"photos": 100}
    assert content(connection)[1][1] == Decimal(2**64 - 1)
    (entry,) = loads(connection)
    assert entry.committed_at == NOON + timedelta(seconds=2)
    assert entry.positions == {"shard_0": 10**34 + 2}
    assert abs(entry.loaded_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_empty_first_load_makes_an_empty_replica(connection: duckdb.DuckDBPyConnection) -> None:
    done = load(connection, feed([], 100, full=True))
    assert (done.rows, done.total) == (0, 0)
    assert content(connection) == []
    assert loads(connection)[0].committed_at is None


def test_changes_replace_rows_by_identity(connection: duckdb.DuckDBPyConnection) -> None:
    load(connection, feed([row(1, "a", 1), row(1, "other shard", 1, "shard_1")], 100, full=True))
    changes = [row(1, "b", 2), row(2, "new", 3, _is_deleted=True)]
    done = load(connection, feed(changes, 101, since=100))
    assert (done.rows, done.replaced, done.total) == (2, 1, 3)
    assert [(r[0], r[1], r[2], r[5]) for r in content(connection)] == [
        ("shard_0", 1, "b", False),
        ("shard_0", 2, "new", True),
        ("shard_1", 1, "other shard", False),
    ]
    assert loads(connection)[0].positions == {"shard_0": 10**34 + 3, "shard_1": 10**34 + 1}


def test_rows_of_a_later_load_have_a_later_time_even_if_the_clock_stepped_back(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    load(connection, feed([row(1, "a", 1), row(2, "b", 2)], 100, full=True))
    ahead = datetime(2999, 1, 1, tzinfo=UTC)
    connection.execute("update warehouse._loads set loaded_at = ?", [ahead])
    load(connection, feed([row(2, "late", 1)], 101, since=100))
    times = connection.execute(
        "select id, epoch_us(_loaded_at) < epoch_us(l.loaded_at), l.loaded_at = _loaded_at,"
        " epoch_us(l.loaded_at) - epoch_us(?::timestamptz) from warehouse.photos"
        " cross join warehouse._loads as l order by id",
        [ahead],
    ).fetchall()
    assert times == [(1, True, False, 1), (2, False, True, 1)]


def test_a_replica_from_before_rows_had_times_gets_them(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    load(connection, feed([row(1, "a", 1), row(2, "b", 2)], 100, full=True))
    connection.execute("alter table warehouse.photos drop column _loaded_at")
    load(connection, feed([row(2, "c", 3)], 101, since=100))
    times = "select id, _loaded_at is null from warehouse.photos order by id"
    assert connection.execute(times).fetchall() == [(1, True), (2, False)]


def test_loading_the_same_feed_again_changes_nothing(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    load(connection, feed([row(1, "a", 1)], 100, full=True))
    changes = feed([row(1, "b", 2)], 101, since=100)
    load(connection, changes)
    before, entry = content(connection), loads(connection)
    again = load(connection, changes)
    assert again.skipped
    assert (again.rows, again.total) == (0, 1)
    assert (content(connection), loads(connection)) == (before, entry)


def test_a_full_feed_repairs_a_replica_at_the_same_snapshot(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    whole = feed([row(1, "a", 1)], 100, full=True)
    load(connection, whole)
    connection.execute("update warehouse.photos set title = 'changed by hand'")
    done = load(connection, whole)
    assert (done.replaced, done.total) == (1, 1)
    assert content(connection)[0][2] == "a"


@pytest.mark.parametrize("since", [None, 99, 102])
def test_a_feed_that_would_leave_a_gap_is_refused(
    connection: duckdb.DuckDBPyConnection, since: int | None
) -> None:
    load(connection, feed([row(1, "a", 1)], 100, full=True))
    with pytest.raises(WarehouseError, match="the warehouse holds 100"):
        load(connection, feed([row(1, "b", 2)], 103, since=since))
    assert content(connection)[0][2] == "a"


def test_new_and_wider_columns_come_with_their_rows(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    load(connection, feed([row(1, "a", 1), row(2, "b", 2)], 100, full=True))
    wider = SCHEMA.set(2, pa.field("bytes", pa.int64())).append(pa.field("alt_text", pa.string()))
    load(
        connection,
        feed([row(2, "b", 3, bytes=2**40, alt_text="a dog")], 101, since=100, schema=wider),
    )
    assert connection.execute(
        "select id, bytes, alt_text from warehouse.photos order by id"
    ).fetchall() == [(1, 10, None), (2, 2**40, "a dog")]
    # Rows written before the change still come narrow and without the column.
    load(connection, feed([row(1, "c", 4)], 102, since=101))
    assert connection.execute(
        "select id, title, bytes, alt_text from warehouse.photos order by id"
    ).fetchall() == [(1, "c", 40, None), (2, "b", 2**40, "a dog")]


def test_an_impossible_type_change_leaves_everything_as_it_was(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    load(connection, feed([row(1, "a", 1)], 100, full=True))
    other = SCHEMA.set(1, pa.field("title", pa.date32()))
    other = other.set(2, pa.field("bytes", pa.binary()))
    changed = feed([row(1, None, 2, bytes=b"x")], 101, since=100, schema=other)
    with pytest.raises(WarehouseError, match=r"photos\.bytes is INTEGER in the warehouse"):
        load(connection, changed)
    assert loaded(connection) == {"photos": 100}
    load(connection, replace(changed, full=True))
    assert connection.execute("select title, bytes from warehouse.photos").fetchall() == [
        (None, b"x")
    ]


class _Killed(BaseException):
    """What stands for the end of the process: no handler catches it."""


@pytest.mark.parametrize(
    "at",
    [
        'delete from warehouse."photos"',
        'insert into warehouse."photos"',
        "insert into warehouse._loads",
        "commit",
    ],
)
def test_a_load_that_dies_in_mid_transaction_leaves_the_old_state(tmp_path: Any, at: str) -> None:
    class Dying:
        """A real connection that ends when it is about to run a certain statement."""

        def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
            self.connection = connection

        def execute(self, sql: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
            if sql.startswith(at):
                self.connection.close()
                raise _Killed
            return self.connection.execute(sql, *parameters)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.connection, name)

    path = str(tmp_path / "smug.duckdb")
    with duckdb.connect(path) as connection:
        load(connection, feed([row(1, "a", 1), row(2, "b", 1)], 100, full=True))
        before = content(connection)
    wider = SCHEMA.append(pa.field("alt_text", pa.string()))
    changes = feed([row(1, "c", 2, alt_text="x")], 101, since=100, schema=wider)
    with pytest.raises((_Killed, duckdb.ConnectionException)):
        load(Dying(duckdb.connect(path)), changes)  # type: ignore[arg-type]
    with duckdb.connect(path) as connection:
        assert (content(connection), loaded(connection)) == (before, {"photos": 100})
        load(connection, changes)
        assert [r[2] for r in content(connection)] == ["c", "b"]
        assert loaded(connection) == {"photos": 101}


def test_an_error_inside_rolls_back_and_leaves_the_connection_usable(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    load(connection, feed([row(1, "a", 1)], 100, full=True))
    broken = feed([row(1, "b", 2)], 101, since=100)
    with pytest.raises(WarehouseError, match=r"photos failed, its replica is as it was: .*no_such"):
        load(connection, replace(broken, key=("_shard", "no_such_column")))
    assert (content(connection)[0][2], loaded(connection)) == ("a", {"photos": 100})
    load(connection, broken)
    assert content(connection)[0][2] == "b"


_changes = st.lists(
    st.tuples(
        st.sampled_from(["shard_0", "shard_1"]),
        st.integers(1, 4),
        st.sampled_from(["x", "y", None]),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(changes=_changes, data=st.data())
def test_any_split_of_the_changes_gives_the_same_replica(
    changes: list[Any], data: st.DataObject
) -> None:
    rows = [
        row(id_, title, position, shard, _is_deleted=deleted)
        for position, (shard, id_, title, deleted) in enumerate(changes, start=1)
    ]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=6)) | {0, len(rows)})
    with duckdb.connect() as whole, duckdb.connect() as split:
        load(whole, feed(_net(rows), len(rows), full=True))
        load(split, feed([], 0, full=True))
        for start, end in pairwise(cuts):
            batch = feed(_net(rows[start:end]), end, since=start)
            load(split, batch)
            load(split, batch)
        assert content(split) == content(whole)
        assert loads(split)[0].positions == loads(whole)[0].positions


def _net(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last row of each identity, as a feed brings them."""
    return list({(each["_shard"], each["id"]): each for each in rows}.values())
