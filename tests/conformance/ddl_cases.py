"""The cases of schema changes (G) that `schema_cases` does not hold."""

from tests.conformance.cases import SIMPLE, Case, Phases

_TWO = "INSERT INTO {t} VALUES (1, 'a'), (2, 'b')"

DDL_CASES = (
    Case(
        id="A11",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            "ALTER TABLE {t} ADD COLUMN texted INT DEFAULT '7',"
            " ADD COLUMN power DOUBLE DEFAULT 1e3, ADD COLUMN below INT DEFAULT -1,"
            " ADD COLUMN hexed INT NOT NULL DEFAULT 0x1F, ADD COLUMN `bits` BIT(8) DEFAULT b'101',"
            " ADD (ten BIT(8) DEFAULT 101, big BIT(64) NOT NULL DEFAULT 0b11),"
            " ADD none BIT(3) NOT NULL,"
            " ADD COLUMN flag BOOL NOT NULL DEFAULT TRUE, ADD COLUMN span TIME NOT NULL,"
            " ADD COLUMN raw VARBINARY(4) NOT NULL, ADD COLUMN uuid BINARY(2) NOT NULL",
            "SET sql_mode = ''",
            "INSERT INTO {t} (id, v) VALUES (3, 'c')",
        ),
        later=("SET sql_mode = ''", "INSERT INTO {t} (id, v) VALUES (4, 'd')"),
        rows=tuple(
            (id_, v, 7, 1000.0, -1, 31, 5, 101, 3, 0, 1, 0, b"", b"\0\0")
            for id_, v in ((1, "a"), (2, "b"), (3, "c"), (4, "d"))
        ),
    ),
    Case(
        id="E21",
        columns="id INT UNSIGNED PRIMARY KEY, u CHAR(36) DEFAULT uuid(), n INT DEFAULT (1 + 2),"
        " w VARCHAR(9) DEFAULT concat('a', '(b'), CONSTRAINT positive CHECK (n > 0)",
        before=("INSERT INTO {t} (id) VALUES (1)",),
        during=(
            "INSERT INTO {t} (id) VALUES (2)",
            "ALTER TABLE {t} ADD CONSTRAINT small CHECK (n < 100), DROP CONSTRAINT positive,"
            " MODIFY u VARCHAR(40) DEFAULT (replace(uuid(), '-', '')), ADD COLUMN m INT",
            "INSERT INTO {t} (id, m) VALUES (3, 3)",
        ),
        later=(
            "CREATE TABLE e21_aside (id INT PRIMARY KEY, u CHAR(36) DEFAULT uuid())",
            "INSERT INTO {t} (id, n) VALUES (4, 5)",
        ),
    ),
    Case(
        id="G14",
        columns=SIMPLE,
        before=(_TWO,),
        during=(
            "SET sql_mode = 'ANSI_QUOTES'",
            'ALTER TABLE "{t}" ADD COLUMN "quoted one" INT, RENAME COLUMN "v" TO "title",'
            " ADD COLUMN said VARCHAR(9) DEFAULT 'a \"b\"'",
            "INSERT INTO {t} VALUES (3, 'c', 3, 'x')",
            "SET sql_mode = ''",
            'ALTER TABLE {t} ADD COLUMN n INT /*!40101 DEFAULT 5 */ COMMENT "it\'s; ""so"""'
            " /*!50100 , ADD COLUMN m INT */ /* ADD COLUMN no INT */ # the end",
            "INSERT INTO `{t}` (id, title, m) VALUES (4, 'd', 4)",
        ),
        rows=(
            (1, "a", None, 'a "b"', 5, None),
            (2, "b", None, 'a "b"', 5, None),
            (3, "c", 3, "x", 5, None),
            (4, "d", None, 'a "b"', 5, 4),
        ),
    ),
    Case(
        id="B04",
        columns="id INT UNSIGNED PRIMARY KEY, d DECIMAL(10,2), n INT, u INT UNSIGNED",
        before=("INSERT INTO {t} VALUES (1, 1.25, 7, 4294967295), (2, -99999999.99, NULL, 0)",),
        during=(
            "ALTER TABLE {t} MODIFY d DECIMAL(12,4), MODIFY u BIGINT UNSIGNED",
            "INSERT INTO {t} VALUES (3, 0.1234, 9, 18446744073709551615)",
            "UPDATE {t} SET n = 8 WHERE id = 1",
        ),
        later=(
            "ALTER TABLE {t} MODIFY n DECIMAL(14,3), RENAME COLUMN d TO price",
            "UPDATE {t} SET n = 8.125, price = 1.0001 WHERE id = 1",
        ),
        elsewhere=Phases(
            before=("INSERT INTO {t} VALUES (101, 1.25, 7, 8)",),
            later=(
                "INSERT INTO {t} VALUES (102, 7.77, 7, 8)",
                "ALTER TABLE {t} RENAME COLUMN d TO price",
            ),
        ),
    ),
    Case(
        id="B05",
        columns="id INT UNSIGNED PRIMARY KEY, d DECIMAL(10,2)",
        before=("INSERT INTO {t} VALUES (1, 99999999.99)",),
        during=("INSERT INTO {t} VALUES (2, 1.25)",),
        elsewhere=Phases(
            before=(
                "ALTER TABLE {t} MODIFY d DECIMAL(6,4)",
                "INSERT INTO {t} VALUES (101, -99.9999)",
            ),
            during=(
                "ALTER TABLE {t} MODIFY d DECIMAL(12,4)",
                "INSERT INTO {t} VALUES (102, 99999999.9999)",
            ),
        ),
    ),
    Case(
        id="G08",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, '12'), (2, '013')",),
        during=("ALTER TABLE {t} MODIFY v INT", "INSERT INTO {t} VALUES (3, 14)"),
        elsewhere=Phases(during=("ALTER TABLE {t} MODIFY v INT",)),
        halts="g08.v changed from string to int, which loses values",
    ),
    Case(
        id="G08-day",
        columns="id INT UNSIGNED PRIMARY KEY, v DATETIME",
        before=("INSERT INTO {t} VALUES (1, '2024-02-29 12:34:56')",),
        during=("ALTER TABLE {t} MODIFY v DATE", "INSERT INTO {t} VALUES (3, '2024-03-01')"),
        elsewhere=Phases(during=("ALTER TABLE {t} MODIFY v DATE",)),
        halts="g08_day.v changed from timestamp to date, which loses values",
    ),
    Case(
        id="G08-number",  # where the server lets it, all values fit both: nothing is lost
        columns="id INT UNSIGNED PRIMARY KEY, v BIGINT",
        before=("INSERT INTO {t} VALUES (1, 5), (2, 5000000000)",),
        during=(
            "DELETE FROM {t} WHERE id = 2",
            "ALTER TABLE {t} MODIFY v INT, ADD COLUMN n INT DEFAULT 1",
            "INSERT INTO {t} VALUES (3, 7, 2)",
        ),
        rows=((1, 5, 1), (3, 7, 2)),
    ),
    Case(
        id="O05",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'text')",),
        during=("UPDATE {t} SET v = 'more' WHERE id = 1",),
        later=("INSERT INTO {t} VALUES (2, 'later')",),
        elsewhere=Phases(
            before=("INSERT INTO {t} VALUES (101, '7'), (102, '8')",),
            during=(
                "UPDATE {t} SET v = '9' WHERE id = 102",
                "ALTER TABLE {t} MODIFY v INT",
                "INSERT INTO {t} VALUES (103, 10)",
            ),
            later=("UPDATE {t} SET v = 11 WHERE id = 101",),
        ),
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
