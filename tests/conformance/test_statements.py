"""Changes of rows of which the binlog tells no rows: statements, and files that come and go."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy

import pymysql
from pyiceberg.expressions import EqualTo

from smug_platform.capture.change import CHANGED
from smug_platform.capture.resources import open_store
from smug_platform.local.mariadb import connect
from smug_platform.raw import deltas as raw
from tests.conformance.bulk import SOURCE
from tests.conformance.corpus import root_socket
from tests.conformance.stack import Capture, Stack, wait
from tests.conformance.test_bulk import assert_equal, stack
from tests.conformance.test_chunks import ask, wait_read

__all__ = ["stack"]


@contextmanager
def streaming(stack: Stack) -> Iterator[Capture]:
    """Rows 1 to 9 in both tables, and capture past them."""
    for table in ("lefts", "rights"):
        stack.write(0, f"INSERT INTO {table} SELECT seq, 'row' FROM seq_1_to_9")
    with stack.capturing() as capture:
        capture.wait_streaming()
        capture.reach()
        assert_equal(stack)
        yield capture


STATEMENTS = (
    "INSERT INTO lefts VALUES (10, 'it''s'), (11, \"so\")",
    "/* told so */ REPLACE INTO lefts VALUES (1, 'other')",
    "DELETE FROM lefts WHERE id < 5",
    "/*!50000 DELETE FROM lefts WHERE id = 6 */",
    "UPDATE seen SET v = 'through a view'",
    "INSERT INTO log VALUES (1)",
    "LOAD DATA INFILE '{file}' INTO TABLE lefts",
    "UPDATE flickr_bulk.lefts SET v = 'from elsewhere'",
    "INSERT INTO queue VALUES (1)",
)
TOLD = (
    "INSERT INTO lefts VALUES (?, '?''?'), (?, \"?\")",
    "REPLACE INTO lefts VALUES (?, '?')",
    "DELETE FROM lefts WHERE id < ?",
    "/*!? DELETE FROM lefts WHERE id = ? */",
    "UPDATE seen SET v = '?'",
    "INSERT INTO log VALUES (?)",
    "LOAD DATA INFILE '?' INTO TABLE `lefts` FIELDS TERMINATED BY '?' ENCLOSED BY '?'"
    " ESCAPED BY '?' LINES TERMINATED BY '?' (`id`, `v`)",
    "UPDATE flickr_bulk.lefts SET v = '?'",
    "INSERT INTO queue VALUES (?)",
)


def test_I03_a_table_of_which_statements_changed_rows_halts_alone_until_it_is_read_anew(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "rows.txt"
    *here, first, second = (statement.replace("{file}", str(file)) for statement in STATEMENTS)
    stack.write(
        0,
        "CREATE VIEW seen AS SELECT * FROM lefts WHERE id > 3",
        "CREATE TABLE log (id INT PRIMARY KEY)",
        "CREATE TRIGGER logged AFTER INSERT ON log FOR EACH ROW DELETE FROM lefts WHERE id = 7",
        f"SELECT 12, 'from a file' INTO OUTFILE '{file}'",
        "CREATE OR REPLACE DATABASE flickr_aside",
        "CREATE TABLE flickr_aside.queue (id INT PRIMARY KEY)",
        "CREATE TRIGGER flickr_aside.queued AFTER INSERT ON flickr_aside.queue"
        " FOR EACH ROW DELETE FROM flickr_bulk.lefts WHERE id = 9",
    )
    with streaming(stack) as capture:
        in_statements = "SET SESSION binlog_format = STATEMENT"
        stack.write(0, in_statements, *here, "USE flickr_aside", first, second)
        stack.write(0, "INSERT INTO rights VALUES (20, 'goes on')")
        capture.reach()
        (halted,) = stack.sync().items()
        assert halted[0] == "lefts"
        assert f"`{TOLD[-1]}`" in str(halted[1])
        assert "smug snapshot lefts" in str(halted[1])
        assert told(stack) == [("lefts", statement) for statement in TOLD]
        ask(stack, "lefts")
        wait_read(stack, capture)
        assert_equal(stack)


def told(stack: Stack) -> list[tuple[str, str]]:
    """The statements that changed rows, each with its table."""
    deltas = raw.open_deltas(stack.platform.lakehouse.catalog)
    rows = deltas.scan(row_filter=EqualTo("op", "ddl")).to_arrow().to_pylist()
    events = [(row["table_name"], row["binlog_offset"], json.loads(row["payload"])) for row in rows]
    return [
        (table, " ".join(event["ddl"].split()))
        for table, _, event in sorted(events, key=lambda found: found[1])
        if event["tableChanges"] and event["tableChanges"][0]["type"] == CHANGED
    ]


def test_G16_a_tablespace_that_is_put_in_place_of_another_is_read_anew(
    stack: Stack,
) -> None:
    with connect(stack.settings.shards[0]) as cursor:
        cursor.execute("SELECT @@datadir")
        ((data,),) = cursor.fetchall()
        file = Path(str(data)) / SOURCE.database / "lefts.ibd"
        with streaming(stack) as capture:
            cursor.execute(f"FLUSH TABLES {SOURCE.database}.lefts FOR EXPORT")
            kept = [copy(one, f"{one}.kept") for one in (file, file.with_suffix(".cfg"))]
            cursor.execute("UNLOCK TABLES")
            stack.write(0, "DELETE FROM lefts WHERE id < 5", "UPDATE lefts SET v = 'new'")
            cursor.execute(f"ALTER TABLE {SOURCE.database}.lefts DISCARD TABLESPACE")
            for one in kept:
                Path(one).rename(one.removesuffix(".kept"))
            cursor.execute(f"ALTER TABLE {SOURCE.database}.lefts IMPORT TABLESPACE")
            wait(lambda: "lefts" in open_store(stack.settings).asked("shard_0"))
            capture.reach()
            assert_equal(stack)


PASSED_OVER = (
    "CREATE SEQUENCE counted START WITH 1",
    "CREATE OR REPLACE PROCEDURE tidy() BEGIN DELETE FROM lefts WHERE id = 'it''s'; END",
    "SET sql_mode = ORACLE",
    "CREATE OR REPLACE PACKAGE tools AS FUNCTION twice(n INT) RETURN INT; END",
    "SET sql_mode = DEFAULT",
    "CREATE ROLE IF NOT EXISTS readers WITH ADMIN CURRENT_USER",
    "GRANT SELECT ON lefts TO readers",
    "CREATE TABLE aside (id INT PRIMARY KEY, u UUID) WITH SYSTEM VERSIONING",
    "ALTER TABLE kept ADD COLUMN u UUID FIRST",
)


def as_root(stack: Stack, *statements: str) -> None:
    """Statements that take more rights than capture's user has, on one connection."""
    with connect(stack.settings.shards[0]) as cursor:
        cursor.execute("SELECT @@datadir")
        ((data,),) = cursor.fetchall()
    socket = root_socket(Path(str(data)))
    root = pymysql.connect(unix_socket=socket, user="root", database=SOURCE.database)
    with root, root.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        root.commit()


def test_G13_what_cannot_be_read_and_is_of_no_captured_table_is_passed_over_and_counted(
    stack: Stack,
) -> None:
    stack.write(0, "CREATE TABLE kept (id INT PRIMARY KEY, v VARCHAR(40))")
    with streaming(stack) as capture:
        as_root(stack, *PASSED_OVER, "INSERT INTO aside (id) VALUES (1)")
        stack.write(0, "ALTER TABLE kept ADD COLUMN n INT", "UPDATE lefts SET v = 'goes on'")
        capture.reach()
        assert_equal(stack)
        assert sorted(capture.statuses) == ["shard_0"]
        statements = [one for one in PASSED_OVER if not one.startswith("SET")]
        wait(lambda: capture.statuses["shard_0"].passed_over == len(statements))
        assert capture.notes == []  # and nothing was read anew
    with stack.capturing() as capture:  # what was passed over stands in no start's way
        stack.write(0, "UPDATE lefts SET v = 'and on' WHERE id < 4")
        capture.reach()
        assert_equal(stack)


def test_G13_a_table_that_could_not_be_read_takes_a_captured_ones_place(stack: Stack) -> None:
    stack.write(0, "CREATE TABLE kept (id INT PRIMARY KEY, v VARCHAR(40))")
    with streaming(stack) as capture:
        stack.write(0, "ALTER TABLE kept ADD u UUID, MODIFY v VARCHAR(40) FIRST")
        stack.write(0, "ALTER TABLE kept DROP u", "INSERT INTO kept VALUES ('a', 1)")
        stack.write(0, "RENAME TABLE lefts TO gone, kept TO lefts")
        stack.write(0, "INSERT INTO lefts VALUES ('b', 2)")
        wait(lambda: bool(capture.notes))
        assert "it makes flickr_bulk.lefts of a table that is not known" in capture.notes[0]
        wait(lambda: capture.statuses["shard_0"].phase == "streaming")
        stack.write(0, "INSERT INTO lefts VALUES ('c', 3)")
        capture.reach()
        assert_equal(stack)
        assert capture.statuses["shard_0"].passed_over == 1
