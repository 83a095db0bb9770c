"""The cases of schema changes (G) that `schema_cases` does not hold."""

from tests.conformance.cases import SIMPLE, Case

_TWO = "INSERT INTO {t} VALUES (1, 'a'), (2, 'b')"

DDL_CASES = (
    Case(
        id="default_literals",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            "ALTER TABLE {t} ADD COLUMN texted INT DEFAULT '7',"
            " ADD COLUMN power DOUBLE DEFAULT 1e3, ADD COLUMN below INT DEFAULT -1",
            "INSERT INTO {t} (id, v) VALUES (3, 'c')",
        ),
        rows=((1, "a", 7, 1000.0, -1), (2, "b", 7, 1000.0, -1), (3, "c", 7, 1000.0, -1)),
    ),
    Case(
        id="D07",
        columns=SIMPLE,
        options="CHARACTER SET latin1",
        before=("INSERT INTO {t} VALUES (1, 'ö')",),
        during=(
            "INSERT INTO {t} VALUES (2, 'ü')",
            "ALTER TABLE {t} CONVERT TO CHARACTER SET utf8mb4",
            "INSERT INTO {t} VALUES (3, '🎉')",
        ),
        later=("UPDATE {t} SET v = 'ö 中' WHERE id = 1",),
        rows=((1, "ö 中"), (2, "ü"), (3, "🎉")),
    ),
    Case(
        id="F08",
        columns="id INT PRIMARY KEY, v VARCHAR(40)",
        before=(_TWO,),
        during=(
            "ALTER TABLE {t} MODIFY id BIGINT",
            "UPDATE {t} SET v = 'a2' WHERE id = 1",
            "INSERT INTO {t} VALUES (5000000000, 'large')",
        ),
        later=("DELETE FROM {t} WHERE id = 2",),
        rows=((1, "a2"), (5000000000, "large")),
    ),
    Case(
        id="G01",
        columns=SIMPLE,
        before=(_TWO,),
        during=("ALTER TABLE {t} ADD COLUMN n INT", "INSERT INTO {t} VALUES (3, 'c', 3)"),
        later=("UPDATE {t} SET n = 1 WHERE id = 1",),
        rows=((1, "a", 1), (2, "b", None), (3, "c", 3)),
    ),
    Case(
        id="G04",
        columns="id INT UNSIGNED PRIMARY KEY, gone VARCHAR(20), v VARCHAR(40)",
        history=True,
        before=("INSERT INTO {t} VALUES (1, 'old', 'a'), (2, 'old', 'b')",),
        during=(
            "INSERT INTO {t} VALUES (3, 'old', 'c')",
            "ALTER TABLE {t} DROP COLUMN gone",
            "INSERT INTO {t} VALUES (4, 'd')",
        ),
        later=("UPDATE {t} SET v = 'a2' WHERE id = 1",),
        rows=((1, "a2"), (2, "b"), (3, "c"), (4, "d")),
    ),
    Case(
        id="G05",
        columns="id INT UNSIGNED PRIMARY KEY, v VARCHAR(40), n VARCHAR(20)",
        before=("INSERT INTO {t} VALUES (1, 'a', 'text'), (2, 'b', '7')",),
        during=(
            "INSERT INTO {t} VALUES (3, 'c', 'late')",
            "ALTER TABLE {t} DROP COLUMN n",
            "INSERT INTO {t} (id, v) VALUES (4, 'd')",
        ),
        later=("ALTER TABLE {t} ADD COLUMN n VARCHAR(30)", "UPDATE {t} SET n = 'new' WHERE id = 2"),
        rows=((1, "a", None), (2, "b", "new"), (3, "c", None), (4, "d", None)),
    ),
    Case(
        id="G17",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            "INSERT INTO {t} VALUES (3, 'of the first')",
            "DROP TABLE {t}",
            "CREATE TABLE {t} (" + SIMPLE + ", n INT)",
            "INSERT INTO {t} VALUES (2, 'of the second', 2), (4, 'of the second', 4)",
        ),
        later=("UPDATE {t} SET n = 5 WHERE id = 4",),
        rows=((2, "of the second", 2), (4, "of the second", 5)),
    ),
    Case(
        id="G21",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            "CREATE TABLE {t}_like LIKE {t}",
            "INSERT INTO {t}_like VALUES (8, 'not captured')",
            "DROP TABLE {t}",
            "CREATE TABLE {t} (" + SIMPLE + ") SELECT 5 AS id, 'selected' AS v",
            "INSERT INTO {t} SELECT id, 'copied' FROM {t}_like",
        ),
        rows=((5, "selected"), (8, "copied")),
    ),
    Case(
        id="G07",
        columns="id INT UNSIGNED PRIMARY KEY, n INT, v VARCHAR(10), f FLOAT, d DECIMAL(10,2)",
        before=("INSERT INTO {t} VALUES (1, 1, 'short', 0.5, 1.25)",),
        during=(
            "ALTER TABLE {t} MODIFY n BIGINT, MODIFY v VARCHAR(100), MODIFY f DOUBLE,"
            " MODIFY d DECIMAL(14,2)",
            "INSERT INTO {t} VALUES (2, 5000000000, REPEAT('x', 50), 1e300, 1234567890.12)",
        ),
    ),
    Case(
        id="G09",
        columns="id INT UNSIGNED PRIMARY KEY, v VARCHAR(40) NULL",
        before=("INSERT INTO {t} VALUES (1, NULL), (2, 'b')",),
        during=(
            "UPDATE {t} SET v = '' WHERE v IS NULL",
            "ALTER TABLE {t} MODIFY v VARCHAR(40) NOT NULL",
            "INSERT INTO {t} VALUES (3, 'c')",
            "ALTER TABLE {t} CHANGE v v VARCHAR(40)",
            "INSERT INTO {t} VALUES (4, NULL)",
        ),
        rows=((1, ""), (2, "b"), (3, "c"), (4, None)),
    ),
    Case(
        id="G10",
        columns="id INT UNSIGNED PRIMARY KEY, gone INT, v VARCHAR(20), n INT, last_one INT",
        before=("INSERT INTO {t} VALUES (1, 1, 'a', 1, 1), (2, 2, 'b', 2, 2)",),
        during=(
            "ALTER TABLE {t} DROP COLUMN gone, ADD COLUMN extra INT DEFAULT 9 AFTER id,"
            " CHANGE v title VARCHAR(80), MODIFY n BIGINT, MODIFY last_one INT FIRST",
            "INSERT INTO {t} (last_one, id, extra, title, n) VALUES (3, 3, 3, 'c', 5000000000)",
        ),
        later=("UPDATE {t} SET title = 'a2' WHERE id = 1",),
        rows=((1, 1, 9, "a2", 1), (2, 2, 9, "b", 2), (3, 3, 3, "c", 5000000000)),
    ),
    Case(
        id="G11",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            "ALTER TABLE {t} ADD COLUMN i INT, ALGORITHM=INSTANT",
            "ALTER TABLE {t} ADD INDEX by_v (v), ALGORITHM=INPLACE, LOCK=NONE",
            "ALTER TABLE {t} ADD COLUMN c INT, ALGORITHM=COPY, LOCK=SHARED",
            "INSERT INTO {t} VALUES (3, 'c', 1, 2)",
        ),
        rows=((1, "a", None, None), (2, "b", None, None), (3, "c", 1, 2)),
    ),
    Case(
        id="G22",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            "CREATE INDEX by_v ON {t} (v)",
            "ANALYZE TABLE {t}",
            "OPTIMIZE TABLE {t}",
            "ALTER TABLE {t} COMMENT 'only this'",
            "INSERT INTO {t} VALUES (3, 'c')",
            "DROP INDEX by_v ON {t}",
        ),
        rows=((1, "a"), (2, "b"), (3, "c")),
    ),
)
