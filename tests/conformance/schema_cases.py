"""The cases of schema changes: what is altered in mid-stream, and what the table then holds."""

from tests.conformance.cases import SIMPLE, Case, Phases

_PARTITIONS = (
    "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10),"
    " PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)"
)
_PARTITION_ROWS = "INSERT INTO {t} VALUES (1, 'p0'), (2, 'p0'), (11, 'p1'), (21, 'p2')"

SCHEMA_CASES = (
    Case(
        id="E03",
        columns="id INT UNSIGNED PRIMARY KEY, v ENUM('a', 'b', 'c'), s SET('x', 'y')",
        before=("INSERT INTO {t} VALUES (1, 'a', 'x'), (2, 'b', 'x,y'), (3, 'c', '')",),
        during=(
            "INSERT INTO {t} VALUES (4, 'b', 'y')",
            "ALTER TABLE {t} MODIFY v ENUM('c', 'new', 'a', 'b'), MODIFY s SET('x', 'y', 'z')",
            "INSERT INTO {t} VALUES (5, 'b', 'x,z'), (6, 'new', 'z')",
        ),
        later=(
            "INSERT INTO {t} VALUES (7, 'c', 'y')",
            "ALTER TABLE {t} MODIFY v ENUM('b', 'mid', 'c', 'new', 'a')",
            "UPDATE {t} SET v = 'mid' WHERE id = 5",
        ),
        rows=(
            (1, "a", "x"),
            (2, "b", "x,y"),
            (3, "c", ""),
            (4, "b", "y"),
            (5, "mid", "x,z"),
            (6, "new", "z"),
            (7, "c", "y"),
        ),
    ),
    Case(
        id="G02",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'never touched'), (2, 'touched later')",),
        during=(
            "INSERT INTO {t} VALUES (3, 'from the binlog')",
            "ALTER TABLE {t} ADD COLUMN five INT NOT NULL DEFAULT 5,"
            " ADD COLUMN price DECIMAL(10,2) DEFAULT 1.50,"
            " ADD COLUMN mood VARCHAR(20) NOT NULL DEFAULT 'it''s so\\\\so',"
            " ADD COLUMN kind ENUM('plain', 'odd') NOT NULL,"
            " ADD COLUMN born DATE DEFAULT '2020-02-29',"
            " ADD COLUMN at DATETIME(6) DEFAULT '2020-02-29 12:34:56.789',"
            " ADD COLUMN zero BIGINT UNSIGNED NOT NULL",
            "INSERT INTO {t} (id, v, five, kind, zero) VALUES (4, 'after', 6, 'odd', 1)",
        ),
        later=("UPDATE {t} SET v = 'touched' WHERE id = 2",),
    ),
    Case(
        id="G03",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'a')",),
        during=(
            "INSERT INTO {t} VALUES (2, 'b')",
            "ALTER TABLE {t} ADD COLUMN top VARCHAR(40) FIRST",
            "INSERT INTO {t} VALUES ('t3', 3, 'c')",
            "ALTER TABLE {t} ADD COLUMN mid VARCHAR(40) AFTER id",
            "INSERT INTO {t} VALUES ('t4', 4, 'm4', 'd')",
            "UPDATE {t} SET v = 'b2', mid = 'm2' WHERE id = 2",
        ),
        later=(
            "ALTER TABLE {t} ADD COLUMN low INT AFTER mid",
            "INSERT INTO {t} VALUES ('t5', 5, 'm5', 55, 'e')",
        ),
        rows=(
            (None, 1, None, None, "a"),
            (None, 2, "m2", None, "b2"),
            ("t3", 3, None, None, "c"),
            ("t4", 4, "m4", None, "d"),
            ("t5", 5, "m5", 55, "e"),
        ),
    ),
    Case(
        id="G06-rename",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'never touched'), (2, 'b')",),
        during=(
            "INSERT INTO {t} VALUES (3, 'c')",
            "ALTER TABLE {t} RENAME COLUMN v TO title",
            "INSERT INTO {t} (id, title) VALUES (4, 'd')",
        ),
        later=("UPDATE {t} SET title = 'b2' WHERE id = 2",),
        rows=((1, "never touched"), (2, "b2"), (3, "c"), (4, "d")),
    ),
    Case(
        id="G06-change",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'never touched'), (2, 'b')",),
        during=(
            "INSERT INTO {t} VALUES (3, 'c')",
            "ALTER TABLE {t} CHANGE COLUMN `v` `title` VARCHAR(80) NOT NULL",
            "INSERT INTO {t} (id, title) VALUES (4, 'd')",
        ),
        later=("UPDATE {t} SET title = 'b2' WHERE id = 2",),
        rows=((1, "never touched"), (2, "b2"), (3, "c"), (4, "d")),
    ),
    Case(
        id="G06-case",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'never touched'), (2, 'b')",),
        during=(
            "INSERT INTO {t} VALUES (3, 'c')",
            "ALTER TABLE {t} CHANGE v V VARCHAR(40)",
            "INSERT INTO {t} (id, V) VALUES (4, 'd')",
        ),
        later=("UPDATE {t} SET V = 'b2' WHERE id = 2",),
        rows=((1, "never touched"), (2, "b2"), (3, "c"), (4, "d")),
    ),
    Case(
        id="G15",
        columns=SIMPLE,
        history=True,
        before=("INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'c')",),
        during=(
            "INSERT INTO {t} VALUES (4, 'd')",
            "UPDATE {t} SET v = 'a2' WHERE id = 1",
            "TRUNCATE TABLE {t}",
            "INSERT INTO {t} VALUES (1, 'after')",
        ),
        later=("INSERT INTO {t} VALUES (9, 'later')",),
        elsewhere=Phases(
            before=("INSERT INTO {t} VALUES (1000, 'the other shard keeps its rows')",)
        ),
        rows=((1, "after"), (9, "later")),
    ),
    Case(
        id="G16",
        columns=SIMPLE,
        options=_PARTITIONS,
        before=(_PARTITION_ROWS,),
        later=(  # not amid the others: a re-read starts capture anew, which misses what is dropped
            "ALTER TABLE {t} TRUNCATE /* for good */ PARTITION p0",
            "ALTER TABLE {t} DROP PARTITION p1",
            "CREATE TABLE {t}_aside (id INT UNSIGNED PRIMARY KEY, v VARCHAR(40))",
            "INSERT INTO {t}_aside VALUES (22, 'aside')",
            "ALTER TABLE {t} EXCHANGE PARTITION p2 WITH TABLE {t}_aside",
            "INSERT INTO {t} VALUES (23, 'later')",
        ),
        rows=((22, "aside"), (23, "later")),
    ),
    Case(
        id="I03",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'row')",),
        during=(
            "SET SESSION binlog_format = STATEMENT",
            "UPDATE {t} SET v = 'told as a statement' WHERE id = 1",
        ),
        halts="i03: a statement changed rows of shard_0, and the binlog does not tell which:"
        " `UPDATE i03 SET v = '?' WHERE id = ?`",
    ),
    Case(
        id="O03",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'a')",),
        during=(
            "ALTER TABLE {t} ADD COLUMN extra VARCHAR(20)",
            "INSERT INTO {t} VALUES (2, 'b', 'first')",
        ),
        elsewhere=Phases(
            before=("INSERT INTO {t} VALUES (101, 'A')",),
            during=("INSERT INTO {t} VALUES (102, 'B')",),
            later=(
                "INSERT INTO {t} VALUES (103, 'C')",
                "ALTER TABLE {t} ADD COLUMN extra VARCHAR(20)",
                "INSERT INTO {t} VALUES (104, 'D', 'second')",
            ),
        ),
        rows=((1, "a", None), (2, "b", "first")),
    ),
    Case(
        id="O04",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'a')",),
        during=(
            "ALTER TABLE {t} RENAME COLUMN v TO title",
            "INSERT INTO {t} (id, title) VALUES (2, 'b')",
        ),
        elsewhere=Phases(
            before=("INSERT INTO {t} VALUES (101, 'A')",),
            during=("INSERT INTO {t} VALUES (102, 'B')",),
            later=(
                "INSERT INTO {t} VALUES (103, 'C')",
                "ALTER TABLE {t} RENAME COLUMN v TO title",
                "INSERT INTO {t} (id, title) VALUES (104, 'D')",
            ),
        ),
        rows=((1, "a"), (2, "b")),
    ),
)

_SHADOW = "_{t}_gho"
GHOST_CASE = Case(
    id="H01",
    columns=SIMPLE,
    before=("INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",),
    during=(
        # set-up: the changelog and the ghost table with the new shape
        "CREATE TABLE _{t}_ghc (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,"
        " last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
        " hint VARCHAR(64) CHARACTER SET ascii NOT NULL,"
        " value VARCHAR(4096) CHARACTER SET ascii NOT NULL, UNIQUE KEY hint_uidx (hint))"
        " AUTO_INCREMENT=256",
        f"CREATE TABLE {_SHADOW} LIKE {{t}}",
        f"ALTER TABLE {_SHADOW} ADD COLUMN mood INT NOT NULL DEFAULT 5",
        "INSERT INTO _{t}_ghc (hint, value) VALUES ('state', 'GhostTableMigrated')",
        # row copy in two chunks, with changes to the table before, between and after them
        f"INSERT IGNORE INTO {_SHADOW} (id, v) SELECT id, v FROM {{t}} WHERE id <= 2"
        " LOCK IN SHARE MODE",
        "UPDATE {t} SET v = 'b2' WHERE id = 2",
        f"REPLACE INTO {_SHADOW} (id, v) VALUES (2, 'b2')",
        f"INSERT IGNORE INTO {_SHADOW} (id, v) SELECT id, v FROM {{t}} WHERE id BETWEEN 3 AND 4"
        " LOCK IN SHARE MODE",
        "DELETE FROM {t} WHERE id = 3",
        f"DELETE FROM {_SHADOW} WHERE id = 3",
        "INSERT INTO {t} VALUES (5, 'e')",
        f"REPLACE INTO {_SHADOW} (id, v) VALUES (5, 'e')",
        "INSERT INTO _{t}_ghc (hint, value) VALUES ('copy', 'AllEventsUpToLockProcessed')",
        # the atomic cut-over: a sentry table holds the place of the old one until the rename
        "CREATE TABLE _{t}_del (id INT AUTO_INCREMENT PRIMARY KEY) COMMENT='ghost-cut-over-sentry'",
        "DROP TABLE IF EXISTS _{t}_del",
        f"RENAME TABLE {{t}} TO _{{t}}_del, {_SHADOW} TO {{t}}",
        "INSERT INTO {t} VALUES (6, 'f', 6)",
        "UPDATE {t} SET mood = 1 WHERE id = 1",
        "DROP TABLE _{t}_ghc",
        "DROP TABLE _{t}_del",
    ),
    later=("INSERT INTO {t} VALUES (7, 'g', 7)", "UPDATE {t} SET v = 'd2' WHERE id = 4"),
    rows=((1, "a", 1), (2, "b2", 5), (4, "d2", 5), (5, "e", 5), (6, "f", 6), (7, "g", 7)),
)


def _shadowed(column: str) -> tuple[str, ...]:
    """gh-ost's way to a new column, up to the cut-over."""
    return (
        f"CREATE TABLE {_SHADOW} LIKE {{t}}",
        f"ALTER TABLE {_SHADOW} ADD COLUMN {column} INT NOT NULL DEFAULT 5",
        f"INSERT IGNORE INTO {_SHADOW} (id, v) SELECT id, v FROM {{t}}",
    )


_CUT_OVER = (f"RENAME TABLE {{t}} TO _{{t}}_del, {_SHADOW} TO {{t}}", "DROP TABLE _{t}_del")
_TWO = "INSERT INTO {t} VALUES (1, 'a'), (2, 'b')"
GHOST_CASES = (
    GHOST_CASE,
    Case(
        id="H03",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            *_shadowed("mood"),
            "UPDATE {t} SET v = 'b2' WHERE id = 2",
            f"DROP TABLE {_SHADOW}",
            "INSERT INTO {t} VALUES (3, 'c')",
        ),
        rows=((1, "a"), (2, "b2"), (3, "c")),
    ),
    Case(
        id="H04",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            *_shadowed("mood"),
            *_CUT_OVER,
            "INSERT INTO {t} VALUES (3, 'c', 1)",
            *_shadowed("n"),
            f"UPDATE {_SHADOW} SET mood = 1 WHERE id = 3",
            *_CUT_OVER,
            "INSERT INTO {t} VALUES (4, 'd', 2, 2)",
        ),
        rows=((1, "a", 5, 5), (2, "b", 5, 5), (3, "c", 1, 5), (4, "d", 2, 2)),
    ),
    Case(
        id="H06",
        columns=SIMPLE,
        before=(_TWO,),
        during=(*_shadowed("mood"), "INSERT INTO {t} VALUES (3, 'c')"),
        later=(
            f"INSERT INTO {_SHADOW} (id, v) VALUES (3, 'c')",
            *_CUT_OVER,
            "INSERT INTO {t} VALUES (4, 'd', 1)",
        ),
        rows=((1, "a", 5), (2, "b", 5), (3, "c", 5), (4, "d", 1)),
    ),
)
