"""The merge: given changes, expected rows."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog

from smug_platform.errors import LakeError
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake import merge as merging
from smug_platform.lake.merge import merge, pending
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.raw.quarantine import open_quarantine
from smug_platform.tables.table import Table
from tests.history import Row, Shard, arrow, column

PHOTOS = Table(name="photos", domain="photos", owner="team:photos")
COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR"), column("n", "INT")]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return new_catalog(tmp_path)


def new_catalog(folder: Path) -> Catalog:
    catalog = SqlCatalog("t", uri="sqlite:///:memory:", warehouse=f"file://{folder}")
    catalog.create_namespace("raw")
    catalog.create_namespace("lake")
    return catalog


def land(catalog: Catalog, deltas: list[dict[str, Any]]) -> None:
    raw.open_deltas(catalog).append(arrow(deltas))


def rows(catalog: Catalog, target: Target, *, by_pyiceberg: bool = True) -> list[dict[str, Any]]:
    """What the table holds; by_pyiceberg: read by pyiceberg as well, to the same."""
    table = catalog.load_table(f"lake.{target.name}")
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    names = [field.name for field in table.schema().fields]
    ours = files.read(names).select(names)
    assert ours.num_rows == files.rows
    if by_pyiceberg:
        theirs = table.scan().to_arrow()
        order = [(name, "ascending") for name in target.identity]
        assert ours.sort_by(order).to_pylist() == theirs.sort_by(order).to_pylist()
    return ours.to_pylist()


def live(found: list[dict[str, Any]], names: list[str]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[n] for n in names) for row in found if not row["_is_deleted"])


def test_insert_update_delete(catalog: Catalog) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1}, {"id": 2, "title": "b", "n": 1})
    shard.update({"id": 1}, title="c")
    shard.delete({"id": 2})
    land(catalog, shard.deltas)
    target = Target(PHOTOS)
    assert pending(catalog, [target]) == {"photos": 6}
    merged = merge(catalog, target)
    assert (merged.written, merged.deleted, merged.merged_away) == (2, 1, 2)
    assert live(rows(catalog, target), ["id", "title"]) == [(1, "c")]
    assert pending(catalog, [target]) == {}
    again = merge(catalog, target)
    assert (again.commits, again.rows) == (0, 2)


def test_column_renamed_twice_and_widened_is_one_column(catalog: Catalog) -> None:
    """G06 G07: the field id stays, old rows keep their values under the new name."""
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 5})
    land(catalog, shard.deltas)
    merge(catalog, Target(PHOTOS))
    before = catalog.load_table("lake.photos").schema().find_field("n").field_id
    landed = len(shard.deltas)
    for old, new, kind in (("n", "m", "INT"), ("m", "o", "BIGINT")):
        renamed = {"name": new, "typeName": kind}
        columns = [c | renamed if c["name"] == old else c for c in shard.columns]
        shard.alter(columns, f"ALTER TABLE photos CHANGE {old} {new} {kind}")
    shard.insert({"id": 2, "title": "b", "o": 2**40})
    land(catalog, shard.deltas[landed:])
    merge(catalog, Target(PHOTOS))
    assert live(rows(catalog, Target(PHOTOS)), ["id", "o"]) == [(1, 5), (2, 2**40)]
    field = catalog.load_table("lake.photos").schema().find_field("o")
    assert (field.field_id, str(field.field_type)) == (before, "long")


def test_types_that_no_type_holds_halt_the_table(catalog: Catalog) -> None:
    """G08: the table stays as it is, with a message that says what to do."""
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 5})
    land(catalog, shard.deltas)
    merge(catalog, Target(PHOTOS))
    landed = len(shard.deltas)
    columns = [COLUMNS[0], column("title", "DATE"), COLUMNS[2]]
    shard.alter(columns, "ALTER TABLE photos MODIFY title DATE")
    land(catalog, shard.deltas[landed:])
    with pytest.raises(LakeError, match="title changed from string to date"):
        merge(catalog, Target(PHOTOS))
    assert live(rows(catalog, Target(PHOTOS)), ["id"]) == [(1,)]


@pytest.mark.parametrize("together", [True, False])
def test_O05_a_shard_in_conflict_is_held_back_until_it_is_read_anew(
    catalog: Catalog, together: bool
) -> None:
    target = Target(PHOTOS)
    shard = Shard("shard_0", "photos", COLUMNS)
    other = Shard("shard_1", "photos", COLUMNS)
    for one, id_ in ((shard, 1), (other, 101)):
        one.snapshot()
        one.insert({"id": id_, "title": "a", "n": 5})
    if not together:
        land(catalog, shard.deltas + other.deltas)
        merge(catalog, target)
    landed = 0 if together else len(other.deltas)
    other.alter([COLUMNS[0], column("title", "DATE"), COLUMNS[2]], "ALTER TABLE photos ...")
    other.insert({"id": 102, "title": 7, "n": 5})
    shard.insert({"id": 2, "title": "b", "n": 5})
    deltas = shard.deltas + other.deltas if together else shard.deltas[-1:] + other.deltas[landed:]
    land(catalog, deltas)
    merged = merge(catalog, target)
    assert (merged.refused, merged.quarantined) == (1, 1)
    (told,) = open_quarantine(catalog).scan().to_arrow().to_pylist()
    assert told["shard"] == "shard_1"
    assert "from string to date" in told["reason"]
    assert live(rows(catalog, target), ["id"]) == [(1,), (2,), (101,)]
    landed = len(other.deltas)
    other.columns = COLUMNS
    other.rows[-1]["title"] = "1970-01-08"
    other.snapshot()
    land(catalog, other.deltas[landed:])
    assert merge(catalog, target).refused == 0
    found = live(rows(catalog, target), ["id", "title"])
    assert found == [(1, "a"), (2, "b"), (101, "a"), (102, "1970-01-08")]


def test_B04_a_scale_that_grows_and_an_unsigned_bigint_take_the_rows_along(
    catalog: Catalog,
) -> None:
    target = Target(PHOTOS)
    columns = [
        column("id", "INT UNSIGNED"),
        column("d", "DECIMAL", length=10, scale=2),
        column("n", "BIGINT"),
    ]
    shard = Shard("shard_0", "photos", columns)
    shard.snapshot()
    shard.insert({"id": 1, "d": "99999999.99", "n": -5}, {"id": 2, "d": None, "n": None})
    land(catalog, shard.deltas)
    merge(catalog, target)
    shard.deltas.clear()
    shard.delete({"id": 2})
    land(catalog, shard.deltas)
    merge(catalog, target)
    for number, changed in enumerate(
        (
            [column("id", "BIGINT UNSIGNED"), column("d", "DECIMAL", length=12, scale=4)],
            [column("id", "BIGINT UNSIGNED"), column("d", "DECIMAL", length=6, scale=4)],
        ),
        start=3,
    ):
        shard.deltas.clear()
        shard.alter([*changed, columns[2]], "ALTER TABLE photos MODIFY d ...")
        shard.insert({"id": number, "d": "0.1234", "n": number})
        shard.update({"id": 1}, n=number)
        land(catalog, shard.deltas)
        merge(catalog, target)
        values = live(rows(catalog, target), ["id", "d", "n"])
        assert values[0] == (1, Decimal("99999999.9900"), number)
        assert values[-1] == (number, Decimal("0.1234"), number)
    kinds = {f.name: str(f.field_type) for f in catalog.load_table("lake.photos").schema().fields}
    assert (kinds["id"], kinds["d"]) == ("decimal(20, 0)", "decimal(12, 4)")
    assert (len(values), merge(catalog, target).commits) == (3, 0)


def test_O02_a_row_moved_between_shards_is_live_once(catalog: Catalog) -> None:
    """O02: in either order of arrival, also while both shards hold it."""
    a, b = Shard("shard_0", "photos", COLUMNS), Shard("shard_1", "photos", COLUMNS)
    a.snapshot()
    b.snapshot()
    a.insert({"id": 1, "title": "a", "n": 5})
    for _ in range(3):
        b.update({"id": 0}) if b.rows else b.insert({"id": 0, "title": "x", "n": 0})
    b.insert({"id": 1, "title": "a", "n": 6})
    land(catalog, a.deltas + b.deltas)
    merge(catalog, Target(PHOTOS))
    found = rows(catalog, Target(PHOTOS))
    assert live(found, ["id", "_shard"]) == [(0, "shard_1"), (1, "shard_1")]
    assert [row["_moved_to"] for row in found if row["_is_deleted"]] == ["shard_1"]
    landed = len(b.deltas)
    b.delete({"id": 1})  # the move is taken back: the first shard's row is the live one again
    land(catalog, b.deltas[landed:])
    merge(catalog, Target(PHOTOS))
    assert live(rows(catalog, Target(PHOTOS)), ["id", "_shard", "n"]) == [
        (0, "shard_1", 0),
        (1, "shard_0", 5),
    ]


def test_changes_without_a_schema_are_refused(catalog: Catalog) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.insert({"id": 1, "title": "a", "n": 5})
    land(catalog, shard.deltas)
    with pytest.raises(LakeError, match="without its schema"):
        merge(catalog, Target(PHOTOS))


def test_truncate_and_insert_of_the_same_key_in_one_merge(catalog: Catalog) -> None:
    """G15: the rows from before go, the one from after stays, each key is there once."""
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert(*[{"id": number, "title": "old", "n": number} for number in (1, 2, 3)])
    land(catalog, shard.deltas)
    merge(catalog, Target(PHOTOS))
    landed = len(shard.deltas)
    shard.truncate()
    shard.insert({"id": 2, "title": "new", "n": 9})
    land(catalog, shard.deltas[landed:])
    merge(catalog, Target(PHOTOS))
    found = rows(catalog, Target(PHOTOS))
    assert sorted(int(row["id"]) for row in found) == [1, 2, 3]
    assert live(found, ["id", "title"]) == [(2, "new")]


def test_fault_of_the_engine_concerns_one_table(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    land(catalog, shard.deltas)

    def fail(*_: Any) -> None:
        raise duckdb.BinderException("no such\ncolumn")

    monkeypatch.setattr(merging, "apply", fail)
    with pytest.raises(LakeError, match=r"lake.photos can't be merged \(no such column\)"):
        merge(catalog, Target(PHOTOS))


def test_a_column_dropped_in_mid_batch_loses_no_change(catalog: Catalog) -> None:
    """Rows that were written before the DROP hold the column, and are merged after it."""
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1})
    land(catalog, shard.deltas)
    merge(catalog, Target(PHOTOS))
    done = len(shard.deltas)
    shard.update({"id": 1}, title="b")
    shard.insert({"id": 2, "title": "c", "n": 2})
    kept = [{k: v for k, v in row.items() if k != "n"} for row in shard.rows]
    shard.alter(COLUMNS[:2], "ALTER TABLE photos DROP COLUMN n", kept)
    shard.insert({"id": 3, "title": "d"})
    land(catalog, shard.deltas[done:])
    assert merge(catalog, Target(PHOTOS)).quarantined == 0
    found = rows(catalog, Target(PHOTOS))
    assert live(found, ["id", "title"]) == [(1, "b"), (2, "c"), (3, "d")]


def test_a_name_that_comes_again_is_another_column(catalog: Catalog) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1}, {"id": 2, "title": "a", "n": 2})
    land(catalog, shard.deltas)
    merge(catalog, Target(PHOTOS))
    done = len(shard.deltas)
    shard.update({"id": 1}, n=7)
    shard.alter(COLUMNS[:2], "ALTER TABLE photos DROP COLUMN n")
    shard.alter(
        COLUMNS, "ALTER TABLE photos ADD COLUMN n INT", [row | {"n": None} for row in shard.rows]
    )
    shard.insert({"id": 3, "title": "d", "n": 3})
    land(catalog, shard.deltas[done:])
    merge(catalog, Target(PHOTOS))
    found = {row["id"]: row["n"] for row in rows(catalog, Target(PHOTOS))}
    assert found == {1: None, 2: None, 3: 3}


@pytest.mark.parametrize(
    ("ddl", "names"),
    [
        ("ALTER TABLE photos RENAME COLUMN title TO n, RENAME COLUMN n TO title", ("n", "title")),
        ("ALTER TABLE photos CHANGE title old TEXT, ADD title VARCHAR(9)", ("old", "title", "n")),
    ],
)
def test_a_name_that_changes_hands_halts_until_a_snapshot(
    catalog: Catalog, ddl: str, names: tuple[str, ...]
) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1})
    kinds = {"n": "INT", "id": "BIGINT UNSIGNED"}
    columns = [column(name, kinds.get(name, "VARCHAR")) for name in ("id", *names)]
    row: Row = {c["name"]: None for c in columns} | {"id": 1}
    shard.alter(columns, ddl, [row])
    land(catalog, shard.deltas)
    with pytest.raises(LakeError, match=r"the name of another.*: take a new snapshot"):
        merge(catalog, Target(PHOTOS))
    done = len(shard.deltas)
    shard.snapshot()
    land(catalog, shard.deltas[done:])
    merge(catalog, Target(PHOTOS))
    found = live(rows(catalog, Target(PHOTOS)), ["id", *names])
    assert found == [(1, *(None for _ in names))]


def test_I03_a_table_that_stood_still_goes_on_once_it_is_read_anew_whatever_landed_meanwhile(
    catalog: Catalog,
) -> None:
    shard, target, landed = Shard("shard_0", "photos", COLUMNS), Target(PHOTOS), 0

    def land_new() -> None:
        nonlocal landed
        land(catalog, shard.deltas[landed:])
        landed = len(shard.deltas)

    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1}, {"id": 2, "title": "b", "n": 2})
    land_new()
    merge(catalog, target)
    before = live(rows(catalog, target), ["id", "title"])
    shard.change_by("DELETE FROM photos WHERE id = ?", shard.rows[:1])
    for number in range(3, 9):
        shard.insert({"id": number, "title": "c", "n": number})
        land_new()
        with pytest.raises(LakeError, match="a statement changed rows of shard_0"):
            merge(catalog, target, max_deltas=2)
    assert live(rows(catalog, target), ["id", "title"]) == before
    shard.snapshot()
    land_new()
    assert merge(catalog, target, max_deltas=2).commits == 1
    found = live(rows(catalog, target), ["id", "title"])
    assert found == [(1, "a"), *((number, "c") for number in range(3, 9))]


def test_a_halted_table_is_read_whole_only_once_the_shard_that_failed_is_read_anew(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, other = (Shard(name, "photos", COLUMNS) for name in ("shard_0", "shard_1"))
    landed, limits = {failed.name: 0, other.name: 0}, list[int | None]()
    plan = merging.next_batch

    def noted(deltas: Any, target: Target, after: int, **most: Any) -> Any:
        limits.append(most["most"])
        return plan(deltas, target, after, **most)

    def land_new(shard: Shard) -> None:
        land(catalog, shard.deltas[landed[shard.name] :])
        landed[shard.name] = len(shard.deltas)

    monkeypatch.setattr(merging, "next_batch", noted)
    for shard in (failed, other):
        shard.snapshot()
        land_new(shard)
    merge(catalog, Target(PHOTOS))
    failed.change_by("DELETE FROM photos", [{"id": 1, "title": "a", "n": 1}])
    land_new(failed)
    other.snapshot()
    land_new(other)
    with pytest.raises(LakeError, match="a statement changed rows of shard_0"):
        merge(catalog, Target(PHOTOS))
    assert None not in limits
    failed.snapshot()
    land_new(failed)
    merge(catalog, Target(PHOTOS))
    assert live(rows(catalog, Target(PHOTOS)), ["id", "title"]) == [(1, "a")]


@pytest.mark.parametrize("name", ["op", "sign", "i", "r", "reason", "shard", "floor", "image"])
def test_a_column_may_have_any_name(catalog: Catalog, name: str) -> None:
    shard = Shard("shard_0", "photos", [*COLUMNS, column(name, "VARCHAR")])
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1, name: "x"})
    shard.truncate()
    shard.insert({"id": 2, "title": "a", "n": 1, name: "y"})
    land(catalog, shard.deltas)
    merge(catalog, Target(PHOTOS))
    assert live(rows(catalog, Target(PHOTOS)), ["id", name]) == [(2, "y")]


def test_F07_rows_by_another_key_begin_with_those_that_are_read_anew(catalog: Catalog) -> None:
    shards, landed = [Shard(f"shard_{n}", "photos", COLUMNS) for n in range(2)], [0, 0]

    def land_new() -> None:
        for number, shard in enumerate(shards):
            land(catalog, shard.deltas[landed[number] :])
            landed[number] = len(shard.deltas)

    for number, shard in enumerate(shards):
        shard.snapshot()
        ids = (1 + number * 10, 2 + number * 10)
        shard.insert(*({"id": id_, "title": "a", "n": None} for id_ in ids))
    land_new()
    merge(catalog, Target(PHOTOS))
    target = Target(replace(PHOTOS, key=("n",)))
    for shard in shards:
        shard.rows = [row | {"n": row["id"] + 100} for row in shard.rows]
    shards[0].insert({"id": 2, "title": "twin", "n": 1})
    land_new()
    with pytest.raises(LakeError, match=r"has the key \(n\) now, and waits") as waits:
        merge(catalog, target)
    assert waits.value.passes
    assert len(live(rows(catalog, target), ["id"])) == 4
    for number, expected in enumerate(({1, 101, 102}, {1, 101, 102, 111, 112})):
        shards[number].snapshot()
        land_new()
        merge(catalog, target)
        assert {n for (n,) in live(rows(catalog, target), ["n"])} == expected
    kept = Target(PHOTOS, history=True)
    merge(catalog, kept)
    shards[0].insert({"id": 3, "title": "new", "n": 103})
    land_new()
    with pytest.raises(LakeError, match="photos_history can't be told apart by another key"):
        merge(catalog, replace(target, history=True))


@pytest.mark.parametrize("name", ["v", "ordinal"])
def test_a_column_may_have_any_name_in_a_table_without_a_key(catalog: Catalog, name: str) -> None:
    target = Target(replace(PHOTOS, key=(), key_scope="shard"))
    shard = Shard("shard_0", "photos", [column("id", "BIGINT UNSIGNED"), column(name, "VARCHAR")])
    shard.key = ()
    shard.snapshot()
    shard.insert({"id": 1, name: "x"}, {"id": 2, name: "y"})
    land(catalog, shard.deltas)
    merge(catalog, target)
    done = len(shard.deltas)
    shard.delete({"id": 1})
    land(catalog, shard.deltas[done:])
    merge(catalog, target)
    assert live(rows(catalog, target), ["id", name]) == [(2, "y")]


def test_a_name_of_the_lake_itself_halts_the_table(catalog: Catalog) -> None:
    shard = Shard("shard_0", "photos", [*COLUMNS, column("_Position", "INT")])
    shard.snapshot()
    land(catalog, shard.deltas)
    with pytest.raises(LakeError, match=r"_Position.*`excluded`"):
        merge(catalog, Target(PHOTOS))


@pytest.mark.parametrize(
    ("kind", "ddl", "name"),
    [
        ("REAL", "MODIFY r DOUBLE", "r"),
        ("REAL UNSIGNED", "MODIFY r DOUBLE", "r"),
        ("REAL", "CHANGE r d DOUBLE", "d"),
    ],
)
def test_B07_a_column_that_was_made_a_real_stops_its_table_until_a_snapshot(
    catalog: Catalog, kind: str, ddl: str, name: str
) -> None:
    """What came of it meanwhile is in single precision, also if it is a DOUBLE now."""
    shard = Shard("shard_0", "photos", list(COLUMNS))
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1})
    shard.alter([*COLUMNS, column("r", kind)], f"ALTER TABLE photos ADD r {kind}")
    shard.insert({"id": 2, "title": "b", "n": 1, "r": 0.1})
    renamed = [{name if k == "r" else k: v for k, v in row.items()} for row in shard.rows]
    shard.alter([*COLUMNS, column(name, "DOUBLE")], f"ALTER TABLE photos {ddl}", renamed)
    shard.insert({"id": 3, "title": "c", "n": 1, name: 0.1})
    land(catalog, shard.deltas)
    told = rf"{name} was made a REAL .*: make it a DOUBLE, then take a new"
    with pytest.raises(LakeError, match=told):
        merge(catalog, Target(PHOTOS))
    shard.deltas.clear()
    shard.snapshot()
    land(catalog, shard.deltas)
    merge(catalog, Target(PHOTOS))
    found = rows(catalog, Target(PHOTOS))
    assert live(found, ["id", name]) == [(1, None), (2, 0.1), (3, 0.1)]


def test_E02_members_that_the_binlog_spells_otherwise(catalog: Catalog) -> None:
    """A snapshot has them from the server, the binlog's events as the statement wrote them."""
    members = ["'a,b'", "'plain'", r"'x\ny'", "'<$1,000 try(it)'"]
    kinds = [
        column("size", "ENUM", enumValues=members),
        column("tags", "SET", enumValues=members[1:3]),
    ]
    first, second = (Shard(f"shard_{i}", "photos", [*COLUMNS, *kinds]) for i in (0, 1))
    first.rows.append({"id": 1, "title": "", "n": 0, "size": "a,b", "tags": "plain,x\ny"})
    for shard in (first, second):
        shard.snapshot()
    second.insert({"id": 2, "title": "", "n": 0, "size": r"a\,b", "tags": r"plain,x\ny"})
    second.insert({"id": 3, "title": "", "n": 0, "size": "plain", "tags": ""})
    second.insert({"id": 4, "title": "", "n": 0, "size": r"<$1\,000 try(it)", "tags": None})
    land(catalog, first.deltas + second.deltas)
    merge(catalog, Target(PHOTOS))
    assert live(rows(catalog, Target(PHOTOS)), ["id", "size", "tags"]) == [
        (1, "a,b", "plain,x\ny"),
        (2, "a,b", "plain,x\ny"),
        (3, "plain", ""),
        (4, "<$1,000 try(it)", None),
    ]
