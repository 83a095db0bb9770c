"""Which tables a statement may have changed, by its words and those of what it sets off."""

import pytest

from smug_platform.capture.events import CUT
from smug_platform.capture.statements import Definition, changed_unheard, concerned

TABLES = ("albums", "log", "photos")
DEFINITIONS = (
    Definition("seen", "select `f`.`photos`.`id` from `f`.`photos`"),
    Definition("log", "INSERT INTO tally VALUES (NEW.id)"),
    Definition("tally", "BEGIN CALL sweep(); END"),
    Definition("sweep", "BEGIN DELETE FROM albums; END"),
)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE photos SET n = (SELECT MAX(id) FROM albums)", {"photos"}),
        ("UPDATE `photos` p JOIN f.albums a ON a.id = p.album SET p.n = ?", {"albums", "photos"}),
        ("DELETE FROM photos WHERE id IN (SELECT id FROM albums)", {"photos"}),
        ("DELETE p FROM photos p JOIN albums USING (id)", {"albums", "photos"}),
        ("INSERT IGNORE INTO albums (id) SELECT id FROM photos", {"albums"}),
        ("REPLACE albums VALUES (?)", {"albums"}),
        ("LOAD DATA INFILE '?' IGNORE INTO TABLE albums FIELDS TERMINATED BY '?'", {"albums"}),
        ("SET STATEMENT max_statement_time=? FOR DELETE FROM photos", {"photos"}),
        ("UPDATE seen SET id = ?", {"photos"}),
        ("INSERT INTO log VALUES (?)", {"log", "albums"}),
        ("SELECT sweep()", {"albums"}),
        ("DO RELEASE_LOCK('?')", set()),
        ("INSERT INTO elsewhere VALUES (?)", set()),
        ("UPDATE other.photos SET n = ?", {"photos"}),  # it may be a column of an alias
        ('UPDATE "?" SET n = ?', set(TABLES)),
        ("WITH found AS (SELECT ?)" + CUT, set(TABLES)),
    ],
)
def test_the_tables_of_a_statement(statement: str, expected: set[str]) -> None:
    found = concerned(statement, TABLES, DEFINITIONS, here="f", is_here=True)
    assert set(found) == expected


def test_a_session_of_another_database_names_it() -> None:
    for statement, expected in (
        ("UPDATE photos SET n = ?", []),
        ("UPDATE f.photos SET n = ?", ["photos"]),
        ("UPDATE `F` . `Photos` SET n = ?", ["photos"]),
    ):
        assert concerned(statement, TABLES, (), here="f", is_here=False) == expected


@pytest.mark.parametrize(
    ("ddl", "expected"),
    [
        ("ALTER TABLE photos TRUNCATE PARTITION p0", ["photos"]),
        ("alter table `f`.`photos` drop\n/* old */ partition p0", ["photos"]),
        ("ALTER TABLE photos /*!50100 TRUNCATE PARTITION p0 */", ["photos"]),
        ("ALTER TABLE other EXCHANGE PARTITION p0 WITH TABLE photos", ["photos"]),
        ("ALTER TABLE photos CONVERT PARTITION p0 TO TABLE albums", ["albums", "photos"]),
        ("ALTER TABLE photos CONVERT TABLE other TO PARTITION p1", ["photos"]),
        ("ALTER TABLE photos DISCARD TABLESPACE", ["photos"]),
        ("ALTER TABLE photos IMPORT PARTITION p0 TABLESPACE", ["photos"]),
        ("ALTER IGNORE TABLE photos ADD UNIQUE (title)", ["photos"]),
        ("CREATE TABLE photos SELECT * FROM other", ["photos"]),
        ("ALTER TABLE photos ADD PARTITION (PARTITION p9 VALUES LESS THAN (9))", []),
        ("ALTER TABLE photos COMMENT 'DROP PARTITION'", []),
        ("ALTER TABLE _photos_gho DROP PARTITION p0", []),
        ("DROP TABLE photos", []),
    ],
)
def test_G16_schema_changes_that_change_rows(ddl: str, expected: list[str]) -> None:
    assert changed_unheard(ddl, TABLES) == expected
