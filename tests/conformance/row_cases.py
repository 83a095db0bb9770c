"""The cases of keys and of rows that a server writes in ways of its own."""

from tests.conformance.cases import SIMPLE, Case, Phases

_UTC = "SET time_zone = '+00:00'"


def _last_days(first: int) -> tuple[str, ...]:
    return (
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        f"INSERT INTO {{t}} VALUES ({first}, '2023-02-31', '2023-04-31 12:00:00'),"
        f" ({first + 1}, '2024-02-29', '2024-02-29 12:00:00')",
    )


NO_DAY_CASE = Case(
    id="C03",
    columns="id INT UNSIGNED PRIMARY KEY, day DATE, at DATETIME(3) NOT NULL",
    before=_last_days(1),
    during=_last_days(11),
    later=_last_days(21),
)

ROW_CASES = (
    NO_DAY_CASE,
    Case(
        id="A07-serial",
        columns="id SERIAL PRIMARY KEY, n INT(5) ZEROFILL",
        before=("INSERT INTO {t} (n) VALUES (42), (7)",),
        during=("ALTER TABLE {t} ADD COLUMN m INT(7) ZEROFILL", "INSERT INTO {t} VALUES (9, 1, 2)"),
        rows=((1, 42, None), (2, 7, None), (9, 1, 2)),
    ),
    Case(
        id="A10",
        columns="id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40)",
        before=(
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
            "INSERT INTO {t} VALUES (0, 'zero'), (-5, 'negative'), (7, 'seven')",
        ),
        during=("UPDATE {t} SET v = CONCAT(v, '!') WHERE id <= 0", "DELETE FROM {t} WHERE id = 7"),
        later=("UPDATE {t} SET id = -2147483648 WHERE id = -5",),
        rows=((0, "zero!"), (-2147483648, "negative!")),
    ),
    Case(
        id="C11",
        columns="id INT UNSIGNED PRIMARY KEY, v TIMESTAMP NULL",
        before=(_UTC, "INSERT INTO {t} VALUES (1, '2024-11-03 06:30:00')"),
        during=(
            _UTC,
            "INSERT INTO {t} VALUES (2, '2024-11-03 07:30:00'), (3, '2024-11-03 06:30:00')",
        ),
        later=(_UTC, "INSERT INTO {t} VALUES (4, '2024-11-03 07:30:00')"),
    ),
    Case(
        id="C12",
        columns="id INT UNSIGNED PRIMARY KEY, v TIMESTAMP(6) NULL",
        before=(_UTC, "INSERT INTO {t} VALUES (1, '1970-01-01 00:00:01')"),
        during=(_UTC, "INSERT INTO {t} VALUES (2, '2038-01-19 03:14:07.999999')"),
        later=(_UTC, "INSERT INTO {t} VALUES (3, '1970-01-01 00:00:01.000001')"),
    ),
    Case(
        id="C13",
        columns="id INT UNSIGNED PRIMARY KEY, n INT, v TIMESTAMP NULL,"
        " w TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
        before=("INSERT INTO {t} (id, n) VALUES (1, 1), (2, 2)",),
        during=("UPDATE {t} SET n = 3 WHERE id = 1", "INSERT INTO {t} (id, n) VALUES (3, 3)"),
    ),
    Case(
        id="C04",
        columns="id INT UNSIGNED PRIMARY KEY, n INT,"
        " a DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00',"
        " b TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',"
        " c DATETIME(6) NOT NULL DEFAULT '0000-00-00 00:00:00.000000',"
        " d DATE NOT NULL DEFAULT '0000-00-00'",
        before=("INSERT INTO {t} VALUES (1, 1, '2024-01-01', '2024-01-02', NOW(6), '2024-01-03')",),
        during=(
            "ALTER TABLE {t} MODIFY a DATETIME(6) NOT NULL DEFAULT '0000-00-00 00:00:00.000000',"
            " MODIFY n BIGINT",
            "INSERT INTO {t} VALUES (2, 2, '2024-01-01', '2024-01-02', NOW(6), '2024-01-03')",
        ),
        later=("UPDATE {t} SET n = 5000000000 WHERE id = 1",),
    ),
    Case(
        id="D06",
        columns="id INT UNSIGNED PRIMARY KEY, a VARCHAR(20) CHARACTER SET utf8mb4, b VARCHAR(20)",
        options="CHARACTER SET latin1",
        before=("INSERT INTO {t} VALUES (1, '🎉 €', 'ü €')",),
        during=("INSERT INTO {t} VALUES (2, '中', 'ÿ')",),
        later=("UPDATE {t} SET b = 'ö' WHERE id = 1",),
        rows=((1, "🎉 €", "ö"), (2, "中", "ÿ")),
    ),
    Case(
        id="D09",
        columns="id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY,"
        " v VARCHAR(40)",
        before=("INSERT INTO {t} VALUES ('a', 'first'), ('e', 'first'), ('x', 'first')",),
        during=(
            "REPLACE INTO {t} VALUES ('A', 'replaced')",
            "UPDATE {t} SET id = 'É' WHERE id = 'e'",
            "DELETE FROM {t} WHERE id = 'X'",
        ),
        later=("INSERT INTO {t} VALUES ('é', 'again') ON DUPLICATE KEY UPDATE v = 'updated'",),
        rows=(("A", "replaced"), ("É", "updated")),
    ),
    Case(
        id="D12",
        columns="id VARBINARY(8) PRIMARY KEY, v VARCHAR(40)",
        before=("INSERT INTO {t} VALUES (0x00, 'one'), (0x0000, 'two'), ('a', 'lower')",),
        during=("INSERT INTO {t} VALUES ('A', 'upper'), (0xFF, 'high')",),
        later=("DELETE FROM {t} WHERE id = 0x00", "UPDATE {t} SET v = 'x' WHERE id = 0xFF"),
        rows=((b"\0\0", "two"), (b"a", "lower"), (b"A", "upper"), (b"\xff", "x")),
    ),
    Case(
        id="D12-fixed",
        columns="id BINARY(4) PRIMARY KEY, v VARCHAR(40)",
        before=("INSERT INTO {t} VALUES ('a', 'lower'), ('A', 'upper')",),
        during=("UPDATE {t} SET v = 'changed' WHERE id = 0x61000000",),
        later=("DELETE FROM {t} WHERE id = 0x41000000",),
        rows=((b"a\0\0\0", "changed"),),
    ),
    Case(
        id="E01",
        columns="id INT UNSIGNED PRIMARY KEY, v ENUM('a', 'b', '')",
        before=(
            "INSERT INTO {t} VALUES (1, 'a'), (2, NULL), (3, '')",
            "INSERT IGNORE INTO {t} VALUES (4, 'no member')",
        ),
        during=(
            "INSERT INTO {t} VALUES (5, ''), (6, NULL)",
            "INSERT IGNORE INTO {t} VALUES (7, 'no member')",
        ),
        rows=((1, "a"), (2, None), (3, ""), (4, ""), (5, ""), (6, None), (7, "")),
    ),
    Case(
        id="E04",
        columns="id ENUM('z', 'm', 'a') PRIMARY KEY, v VARCHAR(40)",
        before=("INSERT INTO {t} VALUES ('a', '1'), ('z', '2'), ('m', '3')",),
        during=("UPDATE {t} SET v = 'x' WHERE id = 'z'", "DELETE FROM {t} WHERE id = 'a'"),
        rows=(("z", "x"), ("m", "3")),
    ),
    Case(
        id="E19",
        columns="id INT UNSIGNED PRIMARY KEY, a INT, stored_one INT AS (a * 2) STORED,"
        " computed INT AS (a * 3) VIRTUAL",
        before=("INSERT INTO {t} (id, a) VALUES (1, 10)",),
        during=("INSERT INTO {t} (id, a) VALUES (2, 20)", "UPDATE {t} SET a = 11 WHERE id = 1"),
        rows=((1, 11, 22, 33), (2, 20, 40, 60)),
    ),
    Case(
        id="E20",
        columns="my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY,"
        " v VARCHAR(40), hidden INT INVISIBLE DEFAULT 5",
        key=("my_row_id",),
        before=("INSERT INTO {t} (v) VALUES ('a'), ('b')",),
        during=(
            "INSERT INTO {t} (v, hidden) VALUES ('c', 6)",
            "UPDATE {t} SET hidden = 7 WHERE v = 'a'",
            "DELETE FROM {t} WHERE v = 'b'",
        ),
        later=("INSERT INTO {t} (v) VALUES ('d')",),
        rows=((1, "a", 7), (3, "c", 6), (4, "d", 5)),
    ),
    Case(
        id="F02",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'one'), (2, 'two')",),
        during=(
            "BEGIN",
            "UPDATE {t} SET id = 99 WHERE id = 1",
            "UPDATE {t} SET id = 1 WHERE id = 2",
            "UPDATE {t} SET id = 2 WHERE id = 99",
            "COMMIT",
        ),
        rows=((1, "two"), (2, "one")),
    ),
    Case(
        id="F06",
        columns="a INT, b INT, v VARCHAR(20), PRIMARY KEY (b, a)",
        key=("b", "a"),
        before=("INSERT INTO {t} VALUES (1, 2, 'x'), (2, 1, 'y')",),
        during=(
            "UPDATE {t} SET v = 'x2' WHERE b = 2 AND a = 1",
            "DELETE FROM {t} WHERE a = 2 AND b = 1",
        ),
        later=("INSERT INTO {t} VALUES (2, 1, 'again')",),
        rows=((1, 2, "x2"), (2, 1, "again")),
    ),
    Case(
        id="F11",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'a'), (2, 'b')",),
        during=(
            "REPLACE INTO {t} VALUES (1, 'replaced'), (3, 'c')",
            "INSERT INTO {t} VALUES (2, 'x'), (4, 'd') ON DUPLICATE KEY UPDATE v = 'updated'",
            "INSERT IGNORE INTO {t} VALUES (3, 'ignored'), (5, 'e')",
        ),
        rows=((1, "replaced"), (2, "updated"), (3, "c"), (4, "d"), (5, "e")),
    ),
    Case(
        id="F13",
        columns=SIMPLE,
        during=(
            "CREATE TRIGGER f13_logs AFTER INSERT ON {t} FOR EACH ROW"
            " INSERT INTO f13_log VALUES (NEW.id, CONCAT('saw ', NEW.v))",
            "INSERT INTO {t} VALUES (1, 'a'), (2, 'b')",
            "DROP TRIGGER f13_logs",
        ),
        rows=((1, "a"), (2, "b")),
    ),
    Case(id="F13-log", columns=SIMPLE, rows=((1, "saw a"), (2, "saw b"))),
    Case(
        id="G26",
        columns="id INT UNSIGNED PRIMARY KEY, `select` INT, `1st` INT, `Order By` INT, `Größe` INT,"
        f" `a-b.c` INT, {'x' * 64} INT",
        before=("INSERT INTO {t} VALUES (1, 1, 2, 3, 4, 5, 6)",),
        during=(
            "ALTER TABLE {t} ADD COLUMN `table` INT DEFAULT 7",
            "INSERT INTO {t} VALUES (2, 2, 3, 4, 5, 6, 7, 8)",
            "UPDATE {t} SET `select` = 9 WHERE id = 1",
        ),
        later=("UPDATE {t} SET `table` = 10 WHERE id = 2",),
        rows=((1, 9, 2, 3, 4, 5, 6, 7), (2, 2, 3, 4, 5, 6, 7, 10)),
    ),
    Case(
        id="O01",
        columns=SIMPLE,
        key_scope="shard",
        before=("INSERT INTO {t} VALUES (1, 'first'), (2, 'first')",),
        during=("UPDATE {t} SET v = 'first again' WHERE id = 1",),
        elsewhere=Phases(
            before=("INSERT INTO {t} VALUES (1, 'second')",),
            during=("DELETE FROM {t} WHERE id = 1", "INSERT INTO {t} VALUES (2, 'second')"),
        ),
        rows=((1, "first again"), (2, "first")),
    ),
)
