"""Statements that Debezium's parser reads otherwise than the server, read by the altered one."""

from typing import Any

import jpype
import pytest

from smug_platform.capture.jvm import start_jvm
from smug_platform.capture.unread import PASSED


@pytest.fixture(scope="module", autouse=True)
def jvm(tmp_path_factory: pytest.TempPathFactory) -> None:
    start_jvm(tmp_path_factory.mktemp("logs"))


def read(statement: str) -> dict[str, tuple[Any, Any]]:
    """Charset and default of each column of the table that the statement makes."""
    parser = jpype.JClass("io.debezium.connector.mysql.antlr.MySqlAntlrDdlParser")()
    tables = jpype.JClass("io.debezium.relational.Tables")()
    parser.setCurrentDatabase("flickr")
    parser.parse(statement, tables)
    (made,) = tables.tableIds()
    return {
        str(column.name()): (
            column.charsetName() and str(column.charsetName()),
            column.defaultValueExpression().orElse(None),
        )
        for column in tables.forTable(made).columns()
    }


@pytest.mark.parametrize(
    "columns",
    [
        "a TEXT COLLATE binary",
        "a TEXT COLLATE = binary",
        "text TEXT COLLATE binary, a LONGTEXT NOT NULL COLLATE binary",
        "a TEXT NOT NULL COMMENT 'it''s \\' COLLATE binary' COLLATE binary",
        "a VARCHAR(9) DEFAULT ('x') COLLATE binary /* don't */",
        "a CHAR(10) CHARACTER SET binary COLLATE binary",
        "a CHAR(10) CHARSET binary NOT NULL DEFAULT 'a,b' COLLATE binary, text TEXT COLLATE binary",
        "a ENUM('x', 'y(') NOT NULL COLLATE binary, text SET('x') COLLATE binary",
        "`a` MEDIUMTEXT COLLATE binary -- it's",
    ],
)
def test_D05_a_text_collated_as_binary_is_of_bytes(columns: str) -> None:
    for name, (charset, _) in read(f"CREATE TABLE t (id INT PRIMARY KEY, {columns}\n)").items():
        assert charset == (None if name == "id" else "binary"), name


def test_D05_the_collation_of_a_table_is_that_of_its_texts() -> None:
    assert read("CREATE TABLE t (a TEXT, b INT) COLLATE=binary")["a"] == ("binary", None)
    options = "DEFAULT CHARSET=binary COLLATE=binary"
    assert read(f"CREATE TABLE t (a TEXT, b INT) {options}")["a"] == ("binary", None)


@pytest.mark.parametrize("text", ["use collate binary", "CHAR COLLATE binary"])
def test_what_a_text_says_of_collations_stays(text: str) -> None:
    found = read(f"CREATE TABLE t (a VARCHAR(30) DEFAULT '{text}', b TEXT COLLATE binary)")
    assert found == {"a": (None, text), "b": ("binary", None)}


def test_other_collations_are_left_alone() -> None:
    found = read("CREATE TABLE t (a TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)")
    assert found == {"a": ("utf8mb4", None)}


def parsed(statement: str) -> list[str]:
    """The tables that are known after a statement, of which photos is captured."""
    is_photos = {"isIncluded": lambda table: str(table) == "flickr.photos"}
    captured = jpype.JProxy("io.debezium.relational.Tables$TableFilter", dict=is_photos)
    parser = jpype.JClass("io.debezium.connector.mysql.antlr.MySqlAntlrDdlParser")(captured)
    tables = jpype.JClass("io.debezium.relational.Tables")()
    parser.setCurrentDatabase("flickr")
    for table in ("photos", "aside"):
        parser.parse(f"CREATE TABLE {table} (id INT PRIMARY KEY)", tables)
    told = [str(event.statement()) for event in events(parser.parse(statement, tables))]
    return told + sorted(map(str, tables.tableIds()))


def events(changes: Any) -> list[Any]:
    found: list[Any] = []
    consume = {"consume": lambda _database, events: found.extend(events)}
    changes.getEventsByDatabase(
        jpype.JProxy("io.debezium.relational.ddl.DdlChanges$DatabaseEventConsumer", dict=consume)
    )
    return found


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE photos ADD u UUID",
        "ALTER TABLE /* aside */ `flickr` . `Photos` ADD u UUID",
        'ALTER TABLE "photos" ADD u UUID',
        "SET STATEMENT max_statement_time = 9 FOR ALTER TABLE photos ADD u UUID",
        "ALTER TABLE aside ADD u UUID COMMENT 'photos'",  # rather one too many
        "CREATE OR REPLACE TABLE photos LIKE aside",
        "CREATE OR REPLACE DATABASE flickr",
        "RENAME TABLE photos TO gone, unheard_of TO photos",
        "OPTIMISE photos",
    ],
)
def test_G13_what_may_be_of_a_captured_table_is_not_passed_over(statement: str) -> None:
    with pytest.raises(jpype.JException, match="pars"):
        parsed(statement)


@pytest.mark.parametrize(
    ("statement", "told", "known"),
    [
        (
            "ALTER TABLE aside ADD u UUID DEFAULT 'x'",
            "flickr.aside*/ALTER TABLE aside ADD u UUID DEFAULT ",
            [],
        ),
        (
            "alter /* gh-ost */ table `flickr`.`aside` add u UUID",
            "flickr.aside*/alter /* gh-ost */ table `flickr`.`aside` add u UUID",
            [],
        ),
        ("CREATE TABLE other (u UUID)", "*/CREATE TABLE other ", ["flickr.aside"]),
        (
            "ALTER TABLE far.photos ADD u UUID",
            "*/ALTER TABLE far.photos ADD u UUID",
            ["flickr.aside"],
        ),
    ],
)
def test_G13_what_is_of_no_captured_table_is_passed_over_and_its_table_forgotten(
    statement: str, told: str, known: list[str]
) -> None:
    assert parsed(statement) == [f"{PASSED}{told}", *known, "flickr.photos"]
    assert parsed(f"{PASSED}{told}") == [*known, "flickr.photos"]  # as at the next start
