"""Questions to the lake: what is read, what is answered, and what is said of a wrong question."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pytest

from smug_platform import iceberg
from smug_platform.cli.query import run
from smug_platform.errors import QueryError
from smug_platform.lake import query, views
from smug_platform.lake.compact import compact
from smug_platform.settings import Settings, load_settings
from tests.unit.lake.lakes import PHOTOS, Lake, make_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    home = tmp_path_factory.mktemp("lake")
    return make_lake(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)}))


def asked(lake: Lake, sql: str, at: str | None = None) -> list[tuple[Any, ...]]:
    with query.open_lake(lake.settings, at=at, sql=sql) as opened:
        return opened.ask(sql).fetchall()


def time_of(lake: Lake, step: str) -> datetime:
    snapshot = iceberg.load(lake.catalog, "lake.photos").snapshot_by_id(  # type: ignore[union-attr]
        lake.snapshots["photos"][step]
    )
    assert snapshot is not None
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)


def test_a_bare_count_reads_no_file(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = asked(lake, "select count(id is null or true) from lake.photos")
    monkeypatch.setattr(views, "scan_sql", lambda *_: "select null as id from (values (1))")
    for sql in (
        "select count(*) from lake.photos",
        " SELECT COUNT ( ) FROM lake.Photos ; ",
        'select count(*) from "lake"."photos"',
    ):
        assert asked(lake, sql) == counted
    assert asked(lake, "select count(*) from lake.photos where id is not null") == [(0,)]


def test_all_tables_are_as_of_one_moment(lake: Lake) -> None:
    counts = "select (select count(*) from lake.photos), (select count(*) from lake.tags)"
    for step in ("altered", "after"):
        moment = time_of(lake, step)
        by_id = asked(lake, counts, str(lake.snapshots["photos"][step]))
        assert by_id == asked(lake, counts, moment.isoformat())
        assert by_id == asked(lake, counts, moment.replace(tzinfo=None).isoformat())
    assert asked(lake, counts) != asked(lake, counts, time_of(lake, "deletes").isoformat())


def test_old_names_at_an_old_snapshot(lake: Lake) -> None:
    at = str(lake.snapshots["photos"]["deletes"])
    assert asked(lake, "select min(n) from lake.photos", at) == [(-50,)]
    with pytest.raises(QueryError, match='"m" not found'):
        asked(lake, "select m from lake.photos", at)


@pytest.mark.parametrize(
    ("sql", "at", "says"),
    [
        ("from lake.fotos", None, r"^there is no table fotos: .*raw\.deltas, lake\.photos, lake"),
        ("selct", None, "^can't answer that: Parser Error"),
        ("select x from lake.photos", None, "^can't answer that: Binder Error"),
        ("", None, "^that gives no rows"),
        ("from lake.photos", "12", "^no table has a snapshot 12"),
        ("from lake.photos", "last week", "^'last week' is no snapshot and no time"),
        ("from lake.photos", "2001-01-01", "^lake.photos has no snapshot of that time"),
    ],
)
def test_a_wrong_question_is_one_line(lake: Lake, sql: str, at: str | None, says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        asked(lake, sql, at)
    assert "\n" not in str(caught.value)


def test_an_empty_lake_says_what_to_do(tmp_path: Path) -> None:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    with (
        pytest.raises(QueryError, match="none yet: run `smug sync`"),
        query.open_lake(settings) as lake,
    ):
        lake.ask("from lake.photos")


def plan(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    return str(connection.execute(f"explain {sql}").fetchall()[0][1])


def test_filters_and_columns_are_pushed_down(lake: Lake) -> None:
    with query.connect(lake.settings) as connection:
        told = plan(connection, "select title from lake.photos where m = 7")
        assert told.count("Function: READ_PARQUET") == 2
        assert len(re.findall(r"Projections: +title|Projections: title", told)) == 2
        assert told.count("Filters: m = 7") == 2


def test_files_without_deletes_are_read_plain(tmp_path: Path) -> None:
    lake = make_lake(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)}))
    with query.connect(lake.settings) as connection:
        assert plan(connection, "from lake.photos").count("MARK") == 1
        assert "MARK" not in plan(connection, "from raw.deltas")
    assert compact(lake.catalog, PHOTOS)
    with query.connect(lake.settings) as connection:
        assert "MARK" not in plan(connection, "from lake.photos")


def test_a_filter_on_the_partition_opens_no_other_files(lake: Lake) -> None:
    with query.connect(lake.settings) as connection:
        some = "select op from raw.deltas where table_name = 'tags'"
        assert plan(connection, some).count("READ_PARQUET") == 1
        assert plan(connection, "select op from raw.deltas").count("READ_PARQUET") > 1
        found = connection.sql("select table_name, count(*) from raw.deltas group by 1 order by 1")
        expected = [(shard.table, len(shard.deltas)) for shard in (lake.photos, lake.tags)]
        assert found.fetchall() == expected


def test_small_files_with_deletes_share_a_scan(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    at, sql = str(lake.snapshots["photos"]["altered"]), "from lake.photos order by all"
    with query.connect(lake.settings, at=at) as connection:
        together, shared = connection.sql(sql).fetchall(), plan(connection, sql).count("MARK")
    monkeypatch.setattr(views, "_TOGETHER", 1)
    with query.connect(lake.settings, at=at) as connection:
        assert connection.sql(sql).fetchall() == together
        assert plan(connection, sql).count("MARK") > shared == 1


def test_other_sessions_of_the_database_read_the_same(lake: Lake) -> None:
    with query.connect(lake.settings) as connection:
        sql = "select count(*), sum(m) from lake.photos"
        assert connection.cursor().execute(sql).fetchall() == connection.sql(sql).fetchall()


class Command:
    """`smug query` on a lake, and what it prints."""

    def __init__(self, settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._capfd = capfd

    def __call__(self, sql: str, **options: Any) -> str:
        known = {"at": None, "form": "table", "output": None, "limit": None}
        run(self._settings, sql, **{**known, **options})
        return self._capfd.readouterr().out


@pytest.fixture
def command(lake: Lake, capfd: pytest.CaptureFixture[str]) -> Command:
    return Command(lake.settings, capfd)


def test_a_table_for_people_is_cut_with_a_note(command: Command) -> None:
    told = command("select '[red]' as \"[x]\", null as n, 'ab'::blob b from range(60)")
    assert told.splitlines()[0].split() == ["[x]", "n", "b"]
    assert [line.split() for line in told.splitlines()].count(["[red]", "null", "6162"]) == 50
    assert "the first 50 rows; --limit 0 shows all" in told
    assert "the first" not in command("select 1 from range(50)")
    assert command("select 7 from range(60)", limit=0).split().count("7") == 61


def test_a_row_too_wide_for_a_line_is_shown_a_column_a_line(command: Command) -> None:
    wide = ", ".join(f"'{'x' * 30}' as column_{number}" for number in range(9))
    told = command(f"select {wide}, null as n from range(2)").splitlines()
    assert [line.strip() for line in told if line.startswith("row")] == ["row 1", "row 2"]
    assert sum(line.split() == ["column_8", "x" * 30] for line in told) == 2


def test_text_for_programs(command: Command) -> None:
    sql = "select title, m from lake.photos where added = 'late' -- one"
    title, m = "größe '99'", -(2**50)
    assert command(sql, form="csv") == f"title,m\n{title},{m}\n"
    assert json.loads(command(sql, form="json")) == {"title": title, "m": m}
    assert command("select i from range(9) t(i);", form="csv", limit=2) == "i\n0\n1\n"


def test_a_file(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    assert command("select id from lake.photos order by id", output=path) == ""
    assert len(pl.read_parquet(path)) == int(
        command("from (select count(*) n from lake.photos)").split()[-1]
    )
    with pytest.raises(QueryError, match="end its name with"):
        command("select 1", output=tmp_path / "x.xlsx")
    with pytest.raises(QueryError, match="IO Error"):
        command("select 1", output=tmp_path / "no" / "x.csv")


def test_a_moment_whose_snapshot_has_expired_is_told(lake: Lake) -> None:
    whole = lake.catalog.load_table("lake.photos").metadata
    first, second, third, *_ = sorted(whole.snapshots, key=lambda one: one.sequence_number or 0)
    left = SimpleNamespace(name=lambda: ("lake", "photos"))
    left.metadata = SimpleNamespace(snapshots=[first, third])
    assert query._at(left, third.timestamp_ms) == third  # type: ignore[arg-type]
    with pytest.raises(QueryError, match=r"lake\.photos as it was then has expired"):
        query._at(left, second.timestamp_ms)  # type: ignore[arg-type]
