"""Replicas follow the lake, on DuckDB and on the Redshift stand-in alike: cases P of conformance.

The lake stands on S3 for Redshift, which reads its files by COPY, through the real driver, signed
in by IAM; on the machine's disk for DuckDB.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog

from smug_platform.errors import LakeError, WarehouseError
from smug_platform.lake.compact import compact
from smug_platform.lake.feed import Relief
from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.target import META, Target
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import load_settings
from smug_platform.settings_warehouse import RedshiftSettings
from smug_platform.warehouse import load as duckdb_loader
from smug_platform.warehouse import redshift as loader
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.load import Loaded
from smug_platform.warehouse.open import DuckDB, refresh_all, unloaded
from smug_platform.warehouse.redshift import Redshift
from smug_platform.warehouse.redshift_load import Loading
from smug_platform.warehouse.redshift_session import Session
from tests.history import Shard, column
from tests.pipeline.replicas import COLUMNS, PHOTOS, World, bag, photo
from tests.redshift.connection import Redshift as Database
from tests.redshift.faults import Faults
from tests.redshift.fixtures import Bucket
from tests.unit.lake import lakes
from tests.unit.lake.test_verify import append


@pytest.fixture
def on_s3(bucket: Bucket, tmp_path: Path) -> Catalog:
    """A lake in the bucket; its catalog is SQLite's here, Glue's on AWS."""
    return open_catalog(at(bucket, tmp_path))


def at(bucket: Bucket, home: Path) -> Any:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})
    (settings.home / "lake").mkdir(parents=True)
    place = {"s3.endpoint": bucket.endpoint or "", "s3.region": "us-east-1"}
    keys = {"s3.access-key-id": "test", "s3.secret-access-key": "test"}
    catalog = {**settings.catalog, "warehouse": f"{bucket.url}lake", **place, **keys}
    return replace(settings, catalog=catalog)


@pytest.fixture
def redshift_settings(redshift: Database, bucket: Bucket, aws: dict[str, str]) -> RedshiftSettings:
    assert aws["AWS_ACCESS_KEY_ID"]  # IAM is asked for the password
    return RedshiftSettings(
        host=redshift.host,
        port=redshift.port,
        database=redshift.database,
        user=redshift.user,
        cluster=redshift.cluster or "",
        workgroup="",
        region="us-east-1",
        role=redshift.role,
        scratch=f"{bucket.url}load",
    )


@pytest.fixture
def on_redshift(redshift_settings: RedshiftSettings, on_s3: Catalog) -> Iterator[World]:
    with closing(Redshift(redshift_settings)) as warehouse:
        yield World(on_s3, warehouse, "redshift")


@pytest.fixture
def on_duckdb(tmp_path: Path) -> Iterator[World]:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    with connect(settings) as connection:
        yield World(open_catalog(settings), DuckDB(connection), "duckdb")


@pytest.fixture(params=["duckdb", "redshift"])
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(f"on_{request.param}")
    return found


def test_each_step_of_a_lake_arrives(
    redshift_settings: RedshiftSettings, bucket: Bucket, tmp_path: Path
) -> None:
    """Inserted, changed, deleted, altered, compacted: by every type, with a key and without."""
    lake = lakes.Lake(at(bucket, tmp_path))
    with closing(Redshift(redshift_settings)) as warehouse:

        def look() -> None:
            for target in (lakes.PHOTOS, lakes.TAGS):
                warehouse.refresh(lake.catalog, target)
                rows = lake.catalog.load_table(name_of(target)).scan().to_arrow().to_pylist()
                assert bag(replica(warehouse, target)) == bag(rows)

        lake.on_step = look
        lakes.fill(lake)


def replica(warehouse: Redshift, target: Target) -> list[dict[str, Any]]:
    """Its rows; the driver reads no VARBYTE that is not UTF-8."""
    found = warehouse.ask(
        f"select columns from warehouse._loads where table_name = '{target.name}'"
    )
    types = json.loads(found[0][0])
    chosen = [f'to_hex("{c}")' if t.startswith("VARBYTE") else f'"{c}"' for c, t in types.items()]
    rows = warehouse.ask(f'select {", ".join(chosen)} from warehouse."{target.name}"')
    return [dict(zip(types, row, strict=True)) for row in rows]


def test_P01_a_model_that_is_built_meanwhile_holds_up_no_load(
    on_redshift: World, redshift: Database
) -> None:
    """A dbt run has read the replica in an open transaction, and goes on after the load."""
    one = on_redshift.shards[0]
    one.insert(photo(1), photo(2))
    on_redshift.merge()
    on_redshift.load()
    with closing(redshift.connect(autocommit=False)) as build, closing(build.cursor()) as cursor:
        cursor.execute("create table model as select count(*) as n from warehouse.photos")
        one.update({"id": 1}, title="new")
        on_redshift.merge()
        on_redshift.load()
        cursor.execute("insert into model select count(*) from warehouse.photos")
        build.commit()
    on_redshift.assert_equal()
    assert on_redshift.warehouse.ask("select n from model") == [(2,), (2,)]


def test_P01_readers_wait_for_a_new_column_only_once_all_is_copied(
    on_redshift: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, said = on_redshift.shards[0], list[str]()
    one.insert(photo(1))
    on_redshift.merge()
    on_redshift.load()
    added = column("added", "INT", defaultValueExpression="7")
    one.alter([*COLUMNS, added], "ALTER TABLE photos ADD COLUMN added INT DEFAULT 7",
              [row | {"added": 7} for row in one.rows])  # fmt: skip
    one.insert(photo(2, added=8))
    on_redshift.merge()
    ask = Session.ask

    def listen(session: Session, sql: str, parameters: Sequence[object] = ()) -> Any:
        said.append(sql.split()[0])
        return ask(session, sql, parameters)

    monkeypatch.setattr(Session, "ask", listen)
    on_redshift.load()
    assert said.count("copy") > 0
    assert said.index("alter") > max(n for n, word in enumerate(said) if word == "copy")
    on_redshift.assert_equal()


def test_P04_two_loaders_of_one_table_load_it_once(
    on_redshift: World, redshift_settings: RedshiftSettings
) -> None:
    on_redshift.shards[0].insert(photo(0))
    on_redshift.merge()
    on_redshift.load()
    with closing(Redshift(redshift_settings)) as another, ThreadPoolExecutor(2) as threads:
        both = (on_redshift.warehouse, another)
        for number in range(1, 6):
            on_redshift.shards[0].insert(photo(number))
            on_redshift.shards[0].update({"id": 0}, title=f"x{number}")
            on_redshift.merge()
            loads = [threads.submit(one.refresh, on_redshift.catalog, PHOTOS) for one in both]
            for load in loads:
                load.result()
            on_redshift.assert_equal()
    (total,) = on_redshift.warehouse.loads()
    assert (len(on_redshift.replica()), total.relief.written) == (6, 1 + 2 * 5)


def test_P02_a_row_that_came_and_went_within_one_load_is_not_live(world: World) -> None:
    world.shards[0].insert(photo(1), photo(2))
    world.merge()
    world.load()
    world.shards[0].insert(photo(3))
    world.merge()
    world.shards[0].delete({"id": 3})
    world.shards[0].delete({"id": 1})
    world.merge()
    world.load()
    world.assert_equal()
    assert world.live() == {2: "t2"}
    assert len(world.replica()) == 3, "deleted rows are there, and say so"


def test_P03_json_is_merged(world: World) -> None:
    world.shards[0].insert(photo(1), photo(2, exif=None), photo(3, exif='"text"'))
    world.merge()
    world.load()
    world.shards[0].update({"id": 1}, exif='{"iso": 100}')
    world.shards[0].update({"id": 2}, exif="[]")
    world.merge()
    world.load()
    world.assert_equal()
    if world.engine == "redshift":
        kinds = "select json_typeof(exif) from warehouse.photos order by id"
        assert world.warehouse.ask(kinds) == [("object",), ("array",), ("string",)]


@pytest.mark.parametrize(
    ("moment", "statement"),
    [("before", "merge"), ("after", "copy"), ("after", "merge"), ("before", "commit"),
     ("after", "commit")],
)  # fmt: skip
def test_P04_a_load_that_ends_anywhere_is_loaded_once(
    on_redshift: World,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    statement: str,
) -> None:
    """The connection is cut there; the next run finds the old state, or the new one."""
    one = on_redshift.shards[0]
    one.insert(photo(1), photo(2))
    on_redshift.merge()
    on_redshift.load()
    one.update({"id": 1}, title="new")
    one.insert(photo(3))
    on_redshift.merge()
    monkeypatch.setattr(loader, "ATTEMPTS", 1)
    cut = faults.cut_before if moment == "before" else faults.cut_after
    cut(statement)
    with pytest.raises(WarehouseError, match="the connection to Redshift keeps ending") as told:
        on_redshift.load()
    assert told.value.passes
    found = on_redshift.live()
    is_done = (moment, statement) == ("after", "commit")
    assert found == (on_redshift.titles() if is_done else {1: "t1", 2: "t2"})
    assert (on_redshift.load() is None) == is_done
    on_redshift.assert_equal()
    assert on_redshift.load() is None


def test_P04_a_commit_whose_answer_is_lost_is_found_by_looking(
    on_redshift: World, faults: Faults
) -> None:
    on_redshift.shards[0].insert(photo(1))
    on_redshift.merge()
    faults.cut_after("commit")
    assert on_redshift.load() is not None
    on_redshift.assert_equal()


def test_P04_a_conflict_is_tried_again_within_bounds(
    on_redshift: World, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_redshift.shards[0].insert(photo(1))
    on_redshift.merge()
    on_redshift.load()
    on_redshift.shards[0].insert(photo(2))
    on_redshift.merge()
    monkeypatch.setattr(loader, "FIRST_PAUSE", 0.001)
    faults.conflict("merge", times=loader.ATTEMPTS)
    with pytest.raises(WarehouseError, match="other transactions keep coming first") as told:
        on_redshift.load()
    assert told.value.passes
    assert on_redshift.live() == {1: "t1"}
    faults.conflict("merge", times=2)
    on_redshift.load()
    on_redshift.assert_equal()


def test_P04_on_duckdb_a_load_that_ends_before_its_commit_is_loaded_once(
    on_duckdb: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = on_duckdb.shards[0]
    one.insert(photo(1), photo(2))
    on_duckdb.merge()
    on_duckdb.load()
    one.update({"id": 1}, title="new")
    one.insert(photo(3))
    on_duckdb.merge()
    with monkeypatch.context() as patch:
        patch.setattr(duckdb_loader, "_record", _ends)
        with pytest.raises(KeyboardInterrupt):
            on_duckdb.load()
    assert on_duckdb.live() == {1: "t1", 2: "t2"}
    assert on_duckdb.load() is not None
    on_duckdb.assert_equal()
    assert on_duckdb.load() is None


def _ends(*_: object) -> None:
    raise KeyboardInterrupt


def test_P05_on_duckdb_what_waits_for_a_file_that_is_held_is_loaded_afterwards(
    tmp_path: Path,
) -> None:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    with connect(settings) as connection:
        world = World(open_catalog(settings), DuckDB(connection), "duckdb")
        world.shards[0].insert(photo(0))
        world.merge()
        world.load()
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(); input()"
    argv = [sys.executable, "-uc", code, str(settings.warehouse_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as holder:  # type: ignore[call-overload]
        holder.stdout.readline()
        for number in range(1, 4):
            world.shards[0].insert(photo(number))
            assert world.merge().written == 1, "the lake goes on"
        with pytest.raises(WarehouseError, match="is held by process") as told:
            connect(settings, wait=0.1)
        assert told.value.passes
    with connect(settings) as connection:
        world.warehouse = DuckDB(connection)
        world.load()
        world.assert_equal()


def test_P07_on_duckdb_no_row_is_refused(on_duckdb: World) -> None:
    one = on_duckdb.shards[0]
    one.insert(photo(1, title="é" * 40_000), photo(2, title="a\0b"), photo(3, exif="no JSON"))
    on_duckdb.merge()
    found = on_duckdb.load()
    assert found is not None
    assert (found.rows, found.rejected, found.cut) == (3, 0, 0)
    assert on_duckdb.live() == {1: "é" * 40_000, 2: "a\0b", 3: "t3"}


def test_P05_what_waits_for_a_paused_warehouse_is_loaded_afterwards(
    on_redshift: World, redshift_settings: RedshiftSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_redshift.shards[0].insert(photo(0))
    on_redshift.merge()
    on_redshift.load()
    monkeypatch.setattr(loader, "MOST_MERGES", 3)
    monkeypatch.setattr(loader, "FIRST_PAUSE", 0.001)
    paused = Redshift(replace(redshift_settings, port=1))
    for number in range(1, 9):
        on_redshift.shards[0].insert(photo(number))
        on_redshift.shards[0].update({"id": 0}, title=f"x{number}")
        assert on_redshift.merge().written == 2, "the lake goes on"
        with pytest.raises(WarehouseError, match="does not answer") as told:
            paused.refresh(on_redshift.catalog, PHOTOS)
        assert told.value.passes
    found = on_redshift.load()
    assert found is not None
    assert (found.rows, found.relief.written) == (16 - 8 + 3, 16 - 8 + 3), "in three steps"
    on_redshift.assert_equal()


def test_P06_changes_and_schema_changes_of_one_load_come_in_their_order(world: World) -> None:
    one, other = world.shards
    one.insert(photo(1), photo(2))
    other.insert(photo(7))
    world.merge()
    world.load()
    one.update({"id": 1}, title="a")
    world.merge()
    wider = [c | {"typeName": "BIGINT"} if c["name"] == "n" else c for c in COLUMNS]
    longer = [c | {"length": 40} if c["name"] == "title" else c for c in wider]
    added = column("added", "INT", defaultValueExpression="7")
    rows = [row | {"added": 7} for row in one.rows]
    one.alter([*longer, added], "ALTER TABLE photos ADD COLUMN added INT DEFAULT 7", rows)
    world.merge()
    one.update({"id": 2}, title="longer than it was", n=2**40, added=8)
    world.merge()
    one.update({"id": 2}, n=2**41)
    world.merge()
    world.load()
    world.assert_equal()
    found = {int(r["id"]): (int(r["n"]), r["added"]) for r in world.replica()}
    assert found == {1: (1, 7), 2: (2**41, 8), 7: (1, None)}


def test_P07_a_row_that_copy_refuses_is_told_of_and_the_rest_is_loaded(on_redshift: World) -> None:
    one, warehouse = on_redshift.shards[0], on_redshift.warehouse
    one.insert(photo(1), photo(2), photo(3))
    on_redshift.merge()
    on_redshift.load()
    one.update({"id": 1}, title="ééééé" * 9)  # of a column of 5 characters, by what is declared
    one.update({"id": 2}, title="a\0b")
    one.update({"id": 3}, exif="no JSON")
    one.insert(photo(4))
    on_redshift.merge()
    found = on_redshift.load()
    assert found is not None
    assert (found.rows, found.rejected, found.cut) == (2, 2, 1)
    assert on_redshift.live() == {1: "é" * 10, 2: "t2", 3: "t3", 4: "t4"}
    assert warehouse.rejected() == {"photos": 2}
    told = warehouse.ask(
        "select column_name, reason, row_key from warehouse._rejects order by column_name"
    )
    assert [(column, reason.partition(" (")[0]) for column, reason, _ in told] == [
        ("exif", "it is not JSON"),
        ("title", "it holds the character NUL"),
    ]
    assert [key for *_, key in told] == ["shard_0|3", "shard_0|2"]
    assert "title" in told[0][1], "the reason of COPY's own error"
    one.update({"id": 2}, title="well")
    one.update({"id": 3}, exif="{}")
    on_redshift.merge()
    on_redshift.load()
    assert on_redshift.live() == {1: "é" * 10, 2: "well", 3: "t3", 4: "t4"}
    assert warehouse.rejected() == {}, "they have come well since"


def test_P07_of_one_load_the_last_change_of_a_row_says_whether_it_is_refused(
    on_redshift: World,
) -> None:
    one, warehouse = on_redshift.shards[0], on_redshift.warehouse
    one.insert(photo(1), photo(2), photo(3))
    on_redshift.merge()
    on_redshift.load()
    for bad_then_well, well_then_bad in [("a\0b", "well"), ("well", "a\0b"), ("good", "a\0c")]:
        one.update({"id": 1}, title=bad_then_well)
        one.update({"id": 2}, title=well_then_bad)
        on_redshift.merge()
    found = on_redshift.load()
    assert found is not None
    assert found.rejected == 1
    one.update({"id": 2}, title="a\0d")
    on_redshift.merge()
    on_redshift.load()
    assert warehouse.ask("select row_key from warehouse._rejects") == [("shard_0|2",)]
    assert on_redshift.live() == {1: "good", 2: "well", 3: "t3"}


@pytest.mark.parametrize("bad", [{"title": "a\0b"}, {"exif": "no JSON"}])
def test_P07_a_row_that_copy_takes_and_redshift_does_not(
    on_redshift: World, bad: dict[str, str]
) -> None:
    on_redshift.shards[0].insert(photo(1), photo(2, **bad))
    on_redshift.merge()
    found = on_redshift.load()
    assert found is not None
    assert (found.rows, found.rejected) == (1, 1)


def test_json_goes_into_a_column_that_was_text(on_redshift: World) -> None:
    one, other = on_redshift.shards
    text = [c | {"typeName": "LONGTEXT"} if c["name"] == "exif" else c for c in COLUMNS]
    other.columns = text
    other.snapshot()
    one.insert(photo(1))
    on_redshift.merge()
    on_redshift.load()
    other.alter(list(COLUMNS), "ALTER TABLE photos MODIFY exif JSON")
    one.insert(photo(2, exif="[1]"))
    on_redshift.merge()
    on_redshift.load()
    on_redshift.assert_equal()


def test_D14_D15_texts_are_measured_in_bytes(on_redshift: World) -> None:
    """The lake has them whole; what Redshift can't hold is cut, and counted."""
    long = [c | {"length": 60_000} if c["name"] == "title" else c for c in COLUMNS]
    one, other = on_redshift.shards
    one.insert(photo(1, title="📷" * 5))
    on_redshift.merge()
    found = on_redshift.load()
    assert found is not None
    assert (found.cut, on_redshift.live()) == (0, {1: "📷" * 5})
    for shard in (one, other):
        shard.alter(long, "ALTER TABLE photos MODIFY title VARCHAR(60000)")
    one.insert(photo(2, title="ü" * 40_000))
    on_redshift.merge()
    found = on_redshift.load()
    assert found is not None
    assert (found.cut, found.rejected) == (1, 0)
    assert on_redshift.live() == {1: "📷" * 5, 2: "ü" * 32_767}
    assert {row["title"] for row in on_redshift.lake()} == {"📷" * 5, "ü" * 40_000}


@pytest.mark.parametrize("size", [70_000, 17 << 20])
def test_E13_json_that_super_can_not_take_is_told_of(on_redshift: World, size: int) -> None:
    exif = json.dumps({"pad": "x" * size})
    on_redshift.shards[0].insert(photo(1), photo(2, exif=exif))
    on_redshift.merge()
    found = on_redshift.load()
    assert found is not None
    assert (found.rows, found.rejected) == (1, 1)
    assert {len(row["exif"]) for row in on_redshift.lake()} == {len(exif), len(photo(1)["exif"])}


def test_P08_readers_see_the_old_or_the_new_rows_while_all_is_loaded_anew(
    on_redshift: World, redshift: Database
) -> None:
    one = on_redshift.shards[0]
    one.insert(*[photo(number) for number in range(100)])
    on_redshift.merge()
    on_redshift.load()
    renamed = [c | {"name": "m"} if c["name"] == "n" else c for c in COLUMNS]
    rows = [{"m" if k == "n" else k: v for k, v in row.items()} for row in one.rows]
    one.alter(renamed, "ALTER TABLE photos CHANGE COLUMN n m INT", rows)
    one.delete({"id": 5})
    on_redshift.merge()
    seen, stop = set[tuple[int, ...]](), threading.Event()

    def read() -> None:
        live = "select count(*) from warehouse.photos where not _is_deleted"
        with closing(redshift.connect()) as connection, closing(connection.cursor()) as cursor:
            while not stop.is_set():
                cursor.execute(live)
                seen.add(tuple(cursor.fetchone()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        found = on_redshift.load()
    finally:
        stop.set()
        reader.join()
    assert found is not None
    assert found.full
    assert seen <= {(100,), (99,)}
    assert (100,) in seen
    on_redshift.assert_equal()


def test_P08_on_duckdb_a_reader_sees_one_state_while_all_is_loaded_anew(on_duckdb: World) -> None:
    one = on_duckdb.shards[0]
    one.insert(*[photo(number) for number in range(100)])
    on_duckdb.merge()
    on_duckdb.load()
    assert isinstance(on_duckdb.warehouse, DuckDB)
    live = "select count(*) from warehouse.photos where not _is_deleted"
    with closing(on_duckdb.warehouse.connection.cursor()) as reader:
        reader.execute("begin")
        assert reader.execute(live).fetchall() == [(100,)]
        renamed = [c | {"name": "m"} if c["name"] == "n" else c for c in COLUMNS]
        rows = [{"m" if k == "n" else k: v for k, v in row.items()} for row in one.rows]
        one.alter(renamed, "ALTER TABLE photos CHANGE COLUMN n m INT", rows)
        one.delete({"id": 5})
        on_duckdb.merge()
        found = on_duckdb.load()
        assert found is not None
        assert found.full
        assert reader.execute(live).fetchall() == [(100,)]
        reader.execute("commit")
        assert reader.execute(live).fetchall() == [(99,)]
    on_duckdb.assert_equal()


def test_P10_what_merging_spared_the_warehouse_equals_a_recount(world: World) -> None:
    one = world.shards[0]
    one.insert(photo(1), photo(2))
    world.merge()
    world.load()
    for number in range(5):
        one.update({"id": 1}, title=f"n{number}")
    one.update({"id": 2})
    deltas = len(one.deltas)
    world.merge()
    one.update({"id": 1}, title="last")
    world.merge()
    found = world.load()
    assert found is not None
    assert found.relief == Relief(deltas=7, identical=1, merged_away=4, written=1)
    assert deltas + 1 == len(one.deltas)
    (total,) = world.warehouse.loads()
    assert total.relief.written == len(world.replica()) + 1
    assert total.relief.deltas == sum(
        int(one.summary.additional_properties.get("smug.deltas", 0))
        for one in world.catalog.load_table(name_of(PHOTOS)).metadata.snapshots
        if one.summary
    )


def test_a_key_that_gets_wider_and_a_column_of_another_type(on_redshift: World) -> None:
    """Neither goes in place: the first is rebuilt, with the second the table is loaded whole."""
    one = on_redshift.shards[0]
    one.columns = [c | {"typeName": "INT"} if c["name"] == "id" else c for c in COLUMNS]
    one.snapshot()
    on_redshift.shards[1].columns = one.columns
    on_redshift.shards[1].snapshot()
    one.insert(photo(1))
    on_redshift.merge()
    on_redshift.load()
    for shard in on_redshift.shards:
        shard.alter(
            [c | {"typeName": "BIGINT"} if c["name"] == "id" else c for c in COLUMNS],
            "ALTER TABLE photos MODIFY id BIGINT",
        )
    one.insert(photo(2**40))
    on_redshift.merge()
    on_redshift.load()
    on_redshift.assert_equal()
    records = "update warehouse._loads set columns = replace(columns, '\"INTEGER\"', '\"DATE\"')"
    on_redshift.warehouse.write([(records, ())])
    one.insert(photo(3))
    on_redshift.merge()
    found = on_redshift.load()
    assert found is not None
    assert found.full
    on_redshift.assert_equal()


def test_a_row_that_moved_is_live_once(world: World) -> None:
    first, second = world.shards
    first.insert(photo(1))
    world.merge()
    world.load()
    second.insert(photo(1))
    first.delete({"id": 1})
    world.merge(second, first)
    world.load()
    world.assert_equal()


def test_what_is_compacted_is_not_loaded_again(world: World) -> None:
    for number in range(3):
        world.shards[0].insert(photo(number))
        world.merge()
    world.load()
    assert compact(world.catalog, PHOTOS)
    assert unloaded(world.catalog, world.warehouse, [PHOTOS])
    found = world.load()
    assert found is not None
    assert (found.rows, found.full) == (0, False)
    assert unloaded(world.catalog, world.warehouse, [PHOTOS]) == {}
    world.shards[0].delete({"id": 1})
    world.merge()
    world.load()
    world.assert_equal()


def test_a_table_with_deleted_rows_is_loaded_whole(world: World) -> None:
    world.shards[0].insert(*[photo(number) for number in range(10)])
    world.merge()
    world.shards[0].update({"id": 3}, title="x")
    world.shards[0].delete({"id": 4})
    world.merge()
    found = world.load()
    assert found is not None
    assert found.full
    world.assert_equal()


@pytest.mark.parametrize("loaded_before", [False, True])
def test_a_key_that_would_be_live_twice_is_not_loaded(world: World, loaded_before: bool) -> None:
    world.shards[0].insert(photo(7))
    world.merge()
    if loaded_before:
        world.load()
    append(world.catalog, PHOTOS, {"_shard": "shard_1"})
    with pytest.raises(LakeError, match="2 times, so it is not loaded"):
        world.load()
    assert [load.rows for load in world.warehouse.loads()] == ([1] if loaded_before else [])


def test_R04_several_tables_are_loaded_at_once_and_one_that_fails_stops_alone(
    on_redshift: World, redshift_settings: RedshiftSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_redshift.shards[0].insert(photo(1))
    on_redshift.merge()
    copies = [replace(PHOTOS, alias=f"copy_{number}") for number in range(5)]
    for copy in copies:
        merge(on_redshift.catalog, copy)
    append(on_redshift.catalog, PHOTOS, {"_shard": "shard_1"})
    together, run = threading.Barrier(3, timeout=60), Loading.run

    def in_threes(loading: Loading) -> Loaded:
        together.wait()
        return run(loading)

    monkeypatch.setattr(Loading, "run", in_threes)
    with closing(Redshift(replace(redshift_settings, at_once=3))) as warehouse:
        results = list(refresh_all(warehouse, on_redshift.catalog, [PHOTOS, *copies]))
        assert isinstance(results[0][1], LakeError)
        assert [target.name for target, _ in results[1:]] == [copy.name for copy in copies]
        assert [load.rows for load in warehouse.loads()] == [1] * 5


def test_R04_a_file_that_is_not_there_stops_its_table_alone(world: World) -> None:
    world.shards[0].insert(photo(1))
    world.merge()
    copy = replace(PHOTOS, alias="copy")
    merge(world.catalog, copy)
    table = world.catalog.load_table(name_of(PHOTOS))
    for path in table.inspect.files()["file_path"].to_pylist():
        table.io.delete(path)
    refreshed = refresh_all(world.warehouse, world.catalog, [PHOTOS, copy])
    found = {target.name: result for target, result in refreshed}
    assert isinstance(found["photos"], LakeError)
    assert "the files of lake.photos can't be read" in str(found["photos"])
    assert [(load.table, load.rows) for load in world.warehouse.loads()] == [("copy", 1)]


NARROW = Target(replace(PHOTOS.table, warehouse_columns=("title", "c1")))


def widen(world: World, *names: str) -> Shard:
    """One shard whose photos have those columns more, and three rows."""
    wide = Shard("shard_0", "photos", [*COLUMNS, *(column(name, "INT") for name in names)])
    wide.snapshot()
    world.shards[:] = [wide]
    for number in (1, 2, 3):
        values = {name: number * 10_000 + place for place, name in enumerate(names)}
        wide.insert(photo(number, **values))
    return wide


def test_G27_of_a_wide_table_the_warehouse_takes_the_columns_that_are_declared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "MOST_COLUMNS", 9)
    wide = widen(world, "c0", "c1")
    assert_narrow(world, NARROW, full=True)
    wide.update({"id": 1}, c1=-1, c0=-1)
    wide.delete({"id": 2})
    wide.insert(photo(4, c1=4))
    assert_narrow(world, NARROW, full=False)
    other = Target(replace(PHOTOS.table, warehouse_columns=("c0",)))
    wide.delete({"id": 4})
    assert_narrow(world, other, full=True)
    wide.update({"id": 3}, c0=-3)
    assert_narrow(world, other, full=False)
    wide.alter([*wide.columns, column("late", "INT")], "ALTER TABLE photos ADD late INT")
    for row in wide.rows:
        row["late"] = None
    wide.update({"id": 1}, late=7, c0=7)
    assert_narrow(world, other, full=False)


def test_G27_a_table_wider_than_redshift_takes_stands_alone_until_columns_are_declared(
    on_redshift: World,
) -> None:
    widen(on_redshift, *(f"c{number}" for number in range(1600)))
    on_redshift.merge()
    with pytest.raises(WarehouseError, match=r"1,610 columns .* Redshift takes 1,600") as refused:
        on_redshift.load()
    assert "`warehouse_columns`" in refused.value.remedy
    assert on_redshift.warehouse.loads() == ()
    assert_narrow(on_redshift, NARROW, full=True)


def assert_narrow(world: World, target: Target, *, full: bool) -> None:
    """The lake has all of what the shard has, the warehouse the columns that the target names."""
    world.merge()
    loaded = world.warehouse.refresh(world.catalog, target)
    assert loaded is not None
    assert loaded.full == full
    lake = world.lake()
    live = {int(row["id"]): row for row in lake if not row["_is_deleted"]}
    (shard,) = world.shards
    for row in shard.rows:
        held = live.pop(row["id"])
        assert all(held[each["name"]] == row[each["name"]] for each in shard.columns)
    assert live == {}
    kept = [*META, "id", *target.table.warehouse_columns]
    rows = world.warehouse.ask(f"select {', '.join(kept)} from warehouse.photos")
    replica = [dict(zip(kept, row, strict=True)) for row in rows]
    assert bag(replica) == bag([{name: row[name] for name in kept} for row in lake])
    assert columns_of(world) == {*kept, "_loaded_at"}


def columns_of(world: World) -> set[str]:
    found = world.warehouse.ask(
        "select column_name from information_schema.columns"
        " where table_schema = 'warehouse' and table_name = 'photos'"
    )
    return {str(name) for (name,) in found}
