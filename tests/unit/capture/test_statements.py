"""Which tables a statement may have changed, by its words and those of what it sets off."""

import pytest

from smug_platform.capture.events import CUT
from smug_platform.capture.statements import (
    Definition,
    changed_unheard,
    concerned,
    loses_primary_key,
)

TABLES = ("albums", "log", "photos", "my-values")
DEFINITIONS = (
    Definition("seen", "select `f`.`photos`.`id` from `f`.`photos`", "f"),
    Definition("log", "INSERT INTO tally VALUES (NEW.id)", "f"),
    Definition("tally", "BEGIN CALL sweep(); END", "f"),
    Definition("sweep", "BEGIN DELETE FROM albums; END", "f"),
    Definition("queue", "UPDATE F.photos SET n = 1", "aside"),
    Definition("log", "DELETE FROM photos", "aside"),
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
        ("UPDATE `my-set`, albums SET x = ?", {"albums"}),
        ("UPDATE `a set b` JOIN photos USING (id) SET x = ?", {"photos"}),
        ("INSERT INTO `my-values` VALUES (?)", {"my-values"}),
        ("REPLACE `my-values` (`select`) VALUES (?)", {"my-values"}),
        ("DELETE albums FROM `where` JOIN albums USING (id) WHERE id = ?", {"albums"}),
        ("INSERT INTO aside.queue VALUES (?)", {"photos"}),
        ('UPDATE "?" SET n = ?', set(TABLES)),
        ("WITH found AS (SELECT ?)" + CUT, set(TABLES)),
    ],
)
def test_the_tables_of_a_statement(statement: str, expected: set[str]) -> None:
    found = concerned(statement, TABLES, DEFINITIONS, here="f", session="f")
    assert set(found) == expected


def test_a_session_of_another_database_names_it() -> None:
    for statement, expected in (
        ("UPDATE photos SET n = ?", []),
        ("UPDATE f.photos SET n = ?", ["photos"]),
        ("UPDATE `F` . `Photos` SET n = ?", ["photos"]),
        ("INSERT INTO queue VALUES (?)", ["photos"]),
        ("INSERT INTO log VALUES (?)", []),  # of the same name as one that is captured
    ):
        assert concerned(statement, TABLES, DEFINITIONS, here="f", session="aside") == expected


@pytest.mark.parametrize(
    ("ddl", "expected"),
    [
        ("ALTER TABLE photos DROP PRIMARY KEY", True),
        ("alter table photos add c int, drop primary  key", True),
        ("DROP INDEX `PRIMARY` ON photos", True),
        ("ALTER TABLE photos DROP CONSTRAINT IF EXISTS `PRIMARY`", True),
        ("ALTER TABLE photos DROP PRIMARY KEY COMMENT 'ADD PRIMARY KEY (id)'", True),
        ("ALTER TABLE photos DROP PRIMARY KEY, ADD CONSTRAINT PRIMARY KEY (id)", False),
        ("ALTER TABLE photos DROP PRIMARY KEY, MODIFY id BIGINT PRIMARY KEY", False),
        ("ALTER TABLE photos DROP COLUMN c", False),
        ("ALTER TABLE photos DROP INDEX primary_email", False),
    ],
)
def test_F07_a_primary_key_that_goes_is_told_by_the_statement(ddl: str, expected: bool) -> None:
    assert loses_primary_key(ddl) == expected


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
