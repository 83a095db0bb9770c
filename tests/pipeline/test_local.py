"""The local stack's own parts, for real: servers, schema, workload."""

import subprocess
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.errors import SourceError, StreamError
from smug_platform.local.activity.plan import EVOLUTIONS
from smug_platform.local.kinesis import answers as kinesis_answers
from smug_platform.local.mariadb import (
    DATABASE,
    connect,
    find_program,
    load_schema,
    start_shard,
)
from smug_platform.local.processes import Registry
from smug_platform.local.stack import down, status, up
from smug_platform.local.workload import run_workload
from smug_platform.settings import Settings, Shard
from smug_platform.tables.flickr import FLICKR
from tests.conftest import fresh_database, local_settings
from tests.states import status_of

CHANGES = 20_000


def query(shard: Shard, sql: str) -> list[tuple[object, ...]]:
    with connect(shard, database=DATABASE) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def checksums(settings: Settings) -> dict[str, object]:
    tables = ", ".join(table.name for table in FLICKR.tables)
    return {
        f"{shard.name}.{table}": checksum
        for shard in settings.shards
        for table, checksum in query(shard, f"CHECKSUM TABLE {tables}")
    }


def binlog_place(shard: Shard) -> tuple[str, str]:
    file, position, *_ = query(shard, "SHOW MASTER STATUS")[0]
    return str(file), str(position)


def binlog_rows(shard: Shard, start: tuple[str, str]) -> int:
    """Row changes since a place in the binlog, as MariaDB's own tool reads them."""
    folder = Path(str(query(shard, "SELECT @@log_bin_basename")[0][0])).parent
    files = [str(row[0]) for row in query(shard, "SHOW BINARY LOGS") if str(row[0]) >= start[0]]
    shown = subprocess.run(
        [
            find_program("mariadb-binlog"),
            "--no-defaults",
            "--base64-output=decode-rows",
            "--verbose",
            f"--start-position={start[1]}",
            *(str(folder / file) for file in files),
        ],
        check=True,
        capture_output=True,
    )
    starts = (b"### INSERT INTO ", b"### UPDATE ", b"### DELETE FROM ")
    return sum(line.startswith(starts) for line in shown.stdout.splitlines())


def test_R10_a_seed_gives_the_same_rows_and_all_are_in_the_binlog(
    fresh_shards: Settings,
) -> None:
    shards = fresh_shards.shards
    places = [binlog_place(shard) for shard in shards]
    reported: list[int] = []
    first = run_workload(shards, seed=11, changes=CHANGES, progress=reported.append)
    assert first.rows >= CHANGES
    assert first.rows == sum(map(binlog_rows, shards, places))
    assert reported == sorted(reported)
    assert reported[-1] == first.rows
    rows = checksums(fresh_shards)

    for shard in shards:
        fresh_database(shard)
    again = run_workload(shards, seed=11, changes=CHANGES)
    assert checksums(fresh_shards) == rows
    assert (again.counts, again.rows, again.days) == (first.counts, first.rows, first.days)

    for shard in shards:
        fresh_database(shard)
    run_workload(shards, seed=12, changes=CHANGES)
    other = checksums(fresh_shards)
    assert {name for name in rows if other[name] == rows[name]} == {
        "shard_0.flickr.licenses",
        "shard_1.flickr.licenses",
    }


def test_what_the_rows_promise(fresh_shards: Settings) -> None:
    result = run_workload(fresh_shards.shards, seed=5, changes=CHANGES)
    assert result.counts["move_account"] == 8
    assert result.counts["alter_photos"] == 2
    assert len(result.counts) == 29
    for shard in fresh_shards.shards:
        for broken in (
            "SELECT 1 FROM accounts a LEFT JOIN (SELECT account_id, SUM(bytes) b FROM photos"
            " GROUP BY 1) p ON p.account_id = a.id WHERE a.storage_bytes <> COALESCE(p.b, 0)",
            "SELECT 1 FROM albums a WHERE photo_count <>"
            " (SELECT COUNT(*) FROM album_photos p WHERE p.album_id = a.id)",
            "SELECT 1 FROM orders o JOIN (SELECT order_id, SUM(quantity * unit_price) net"
            " FROM order_items GROUP BY 1) i ON i.order_id = o.id"
            " WHERE o.total <> ROUND(i.net * (1 + o.tax_rate), 2)",
            "SELECT 1 FROM comments c LEFT JOIN photos p ON p.id = c.photo_id WHERE p.id IS NULL",
            "SELECT 1 FROM photos p LEFT JOIN accounts a ON a.id = p.account_id WHERE a.id IS NULL",
            "SELECT 1 FROM subscriptions"
            " WHERE (status = 'cancelled') <> (cancelled_at IS NOT NULL)",
        ):
            assert query(shard, broken) == [], broken
        for present in (
            "SELECT 1 FROM accounts WHERE born_on < '1970-01-01'",
            "SELECT 1 FROM photos WHERE taken_at < '1970-01-01'",
            "SELECT 1 FROM photo_views GROUP BY photo_id, viewer_country, referrer, viewed_on"
            " HAVING COUNT(*) > 1",
            "SELECT 1 FROM order_items WHERE unit_price < 0",
            "SELECT 1 FROM photos WHERE safety_level > 1",
            "SELECT 1 FROM accounts WHERE city LIKE '%ö%'",
        ):
            assert query(shard, present), present
    ids = [
        int(str(row[0]))
        for shard in fresh_shards.shards
        for table in ("accounts", "photos", "comments", "orders")
        for row in query(shard, f"SELECT id FROM {table}")
    ]
    assert len(ids) == len(set(ids))
    assert sum(id_ >= 2**63 for id_ in ids) > 5
    days = query(fresh_shards.shards[0], "SELECT COUNT(DISTINCT DATE(uploaded_at)) FROM photos")
    assert days[0][0] in range(30, 62)


def test_a_second_workload_goes_on_where_the_first_ended(fresh_shards: Settings) -> None:
    shards = fresh_shards.shards
    first = run_workload(shards, seed=1, changes=4000)
    query(shards[0], "INSERT INTO photo_views VALUES (5, NULL, 'by hand', '2024-01-01')")
    second = run_workload(shards, seed=1, changes=4000)
    assert second.days[0] > first.days[1]
    for shard in shards:
        columns = {row[0] for row in query(shard, "SHOW COLUMNS FROM photos")}
        assert set(EVOLUTIONS) <= columns
    third = run_workload(shards, seed=1, changes=4000)
    assert "alter_photos" not in third.counts


def test_without_evolve_the_schema_stays(fresh_shards: Settings) -> None:
    result = run_workload(fresh_shards.shards, seed=1, changes=1000, evolve=False)
    assert "alter_photos" not in result.counts


def test_with_a_rate_it_writes_steadily_until_it_is_stopped(fresh_shards: Settings) -> None:
    stop = threading.Event()
    timer = threading.Timer(4, stop.set)
    timer.start()
    seen: list[int] = []
    result = run_workload(
        fresh_shards.shards, seed=1, changes=None, rate=200, stop=stop, progress=seen.append
    )
    timer.join()
    assert 3.5 < result.seconds < 8
    assert 100 < result.rows / result.seconds < 300
    assert len(set(seen)) > 8  # many small transactions, not a few large ones


def test_one_shard_is_enough(fresh_shards: Settings) -> None:
    result = run_workload(fresh_shards.shards[:1], seed=1, changes=2000)
    assert "move_account" not in result.counts
    assert result.rows >= 2000


def test_a_fault_on_one_shard_ends_the_workload(fresh_shards: Settings) -> None:
    first, second = fresh_shards.shards
    query(second, "ALTER TABLE comments DROP COLUMN is_spam")
    with pytest.raises(SourceError, match=r"shard_1 .*is_spam"):
        run_workload((first, second), seed=1, changes=CHANGES)


def test_a_shard_without_the_schema_says_what_to_do(fresh_shards: Settings) -> None:
    shard = fresh_shards.shards[1]
    query(shard, f"DROP DATABASE {DATABASE}")
    with pytest.raises(SourceError, match="smug up"):
        run_workload(fresh_shards.shards, seed=1, changes=10)


def test_the_schema_is_loaded_once_and_mended(fresh_shards: Settings) -> None:
    shard = fresh_shards.shards[0]
    assert load_schema(shard) == []
    query(shard, "DROP TABLE orders")
    query(shard, "DELETE FROM licenses")
    assert load_schema(shard) == ["orders"]
    assert query(shard, "SELECT COUNT(*) FROM licenses") == [(11,)]


def test_a_wrong_password_is_one_line(shards: Settings) -> None:
    stranger = replace(shards.shards[0], password="guessed")
    with pytest.raises(SourceError, match=r"Access denied.*SMUG_MYSQL_PASSWORD"):
        load_schema(stranger)
    nobody = replace(stranger, user="root", password="")
    with pytest.raises(SourceError, match="Access denied"), connect(nobody):
        pass


def test_each_server_keeps_temporary_tables_by_itself(shards: Settings) -> None:
    """One that starts deletes those of others in a folder that they share."""
    folders = []
    for shard in shards.shards:
        with connect(shard) as cursor:
            cursor.execute("SELECT @@tmpdir AS folder")
            (row,) = cursor.fetchall()
            folders.append(row["folder"] if isinstance(row, dict) else row[0])
    assert len(set(folders)) == len(shards.shards)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    shard = local_settings(tmp_path).shards[0]
    with pytest.raises(SourceError, match=r"shard_0 stopped as it started.*nonsense"):
        start_shard(shard, tmp_path / "a", server_id=1, extra=["--nonsense=1"])
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b" / "data.new").touch()
    with pytest.raises(SourceError, match="mariadb-install-db can't set up"):
        start_shard(shard, tmp_path / "b", server_id=1)


def test_a_folder_with_a_long_path_and_a_restart_with_another_password(tmp_path: Path) -> None:
    folder = tmp_path / ("long " * 20) / "shard_0"
    shard = local_settings(tmp_path).shards[0]
    start_shard(shard, folder, server_id=1).stop()
    changed = replace(shard, password="it's \\ new")
    with ExitStack() as running:
        process = start_shard(changed, folder, server_id=1)
        running.callback(process.stop)
        assert "flickr" not in str(query_without_database(changed, "SHOW DATABASES"))
        load_schema(changed)
        assert query(changed, "SELECT @@server_id, @@version LIKE '5.7.10-%'") == [(1, 1)]


def query_without_database(shard: Shard, sql: str) -> object:
    with connect(shard) as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_the_stack_comes_up_once_and_goes_down_in_order(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    lines: list[str] = []
    with ExitStack() as running:
        running.callback(lambda: down(settings))
        up(settings, FLICKR, progress=lines.append, capture=False)
        assert [line.split()[0] for line in lines] == ["shard_0", "shard_1", "Kinesis"]
        before = status(settings)
        assert [part.name for part in before if part.pid] == ["shard_0", "shard_1", "kinesis"]
        up(settings, FLICKR, progress=lines.append, capture=False)
        assert len(lines) == 3
        assert status(settings) == before

        moved = replace(settings, shards=local_settings(tmp_path).shards)
        with pytest.raises(SourceError, match=r"runs on port .* already: set SMUG_MYSQL_PORT"):
            up(moved, FLICKR, capture=False)
        moved = replace(settings, stream=local_settings(tmp_path).stream)
        with pytest.raises(StreamError, match=r"runs on port .* already: set SMUG_KINESIS_PORT"):
            up(moved, FLICKR, capture=False)

        up(settings, FLICKR, progress=lines.append)
        assert lines[3:] == ["capture runs in the background"]
        for shard in settings.shards:
            told = status_of(settings, shard.name)
            assert told is not None
            assert told.phase in {"snapshot", "streaming"}
        lines.pop()
        up(settings, FLICKR, progress=lines.append, workers=2)
        assert lines[3:] == ["capture_2 runs in the background"]
        assert [part.name for part in status(settings) if part.pid][-2:] == ["capture", "capture_2"]
        up(settings, FLICKR, progress=lines.append)
        up(settings, FLICKR, progress=lines.append, workers=1)
        assert lines[4:] == ["capture_2 stopped"]
        del lines[3:]

        def drain() -> None:
            assert kinesis_answers(settings.stream)
            lines.append("drained")

        down(settings, drain=drain, progress=lines.append)
    assert lines[3:5] == ["capture stopped", "drained"]
    assert lines[5:] == ["kinesis stopped", "shard_0 stopped", "shard_1 stopped"]
    assert Registry(tmp_path).running() == []


def test_a_stack_beside_another_on_its_ports_says_so(shards: Settings, tmp_path: Path) -> None:
    beside = replace(shards, home=tmp_path)
    with pytest.raises((SourceError, StreamError), match="in use by mariadbd"):
        up(beside, FLICKR, capture=False)
    assert Registry(tmp_path).running() == []
