import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.errors import WarehouseError
from smug_platform.settings import Settings, load_settings
from smug_platform.warehouse.connect import connect


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path / "home")})


@contextmanager
def _other_process(path: Path, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the file until told, or for so many seconds."""
    code = (
        "import sys, duckdb, select\n"
        f"held = duckdb.connect({str(path)!r})\n"
        "print('held', flush=True)\n"
        f"select.select([sys.stdin], [], [], {seconds})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_makes_the_file_and_its_folder_in_utc(settings: Settings) -> None:
    with connect(settings) as connection:
        assert connection.execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]
    assert settings.warehouse_path.exists()


def test_a_file_that_another_process_holds_is_named_with_its_holder(settings: Settings) -> None:
    connect(settings).close()
    with (
        _other_process(settings.warehouse_path, 60) as process,
        pytest.raises(
            WarehouseError, match=rf"is held by process {process.pid} \(python"
        ) as caught,
    ):
        connect(settings, wait=0.2)
    assert "\n" not in str(caught.value)


def test_waits_for_a_process_that_lets_go(settings: Settings) -> None:
    connect(settings).close()
    with _other_process(settings.warehouse_path, 0.5):
        connect(settings, wait=30).close()


def test_reads_through_the_handle_that_this_process_writes_with(settings: Settings) -> None:
    with connect(settings) as writer:
        writer.execute("create table t as select 1 as x")
        with connect(settings, read_only=True) as reader:
            assert reader.execute("select x from t").fetchall() == [(1,)]


def test_a_writer_beside_this_process_own_reader_is_refused(settings: Settings) -> None:
    connect(settings).close()
    with (
        connect(settings, read_only=True),
        pytest.raises(WarehouseError, match="for reading only"),
    ):
        connect(settings, wait=0.2)


def test_a_writer_waits_for_a_reader_of_this_process(settings: Settings) -> None:
    connect(settings).close()
    reader = connect(settings, read_only=True)
    threading.Timer(0.5, reader.close).start()
    with connect(settings, wait=30) as writer:
        writer.execute("create table t as select 1 as x")


def test_reading_before_anything_was_loaded_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(WarehouseError, match="run `smug sync` first"):
        connect(settings, read_only=True)
    assert not settings.warehouse_path.exists()


def test_a_file_that_is_no_warehouse_is_refused_in_one_line(settings: Settings) -> None:
    settings.warehouse_path.parent.mkdir(parents=True)
    settings.warehouse_path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(WarehouseError, match="can't open") as caught:
        connect(settings)
    assert "\n" not in str(caught.value)


def test_redshift_is_refused(settings: Settings) -> None:
    with pytest.raises(WarehouseError, match="the warehouse is Redshift"):
        connect(replace(settings, warehouse="redshift"))
