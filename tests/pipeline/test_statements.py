"""Statements that Debezium's parser reads otherwise than the server, read by the altered one."""

from typing import Any

import jpype
import pytest

from smug_platform.capture.jvm import start_jvm


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
