"""The cases of keys, order and time zones: what is done to a table, and what it then holds."""

from tests.conformance.cases import SIMPLE, Case, Phases
from tests.conformance.ddl_cases import DDL_CASES
from tests.conformance.row_cases import ROW_CASES
from tests.conformance.schema_cases import GHOST_CASES, SCHEMA_CASES

_HALF = 2**63

KEY_CASES = (
    Case(
        id="A06",
        columns="id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(40)",
        before=(
            f"INSERT INTO {{t}} SELECT {_HALF} - 1000 + seq, seq FROM seq_0_to_1999",
            f"INSERT INTO {{t}} VALUES (0, 'zero'), ({2 * _HALF - 1}, 'last')",
        ),
        during=(
            f"UPDATE {{t}} SET v = CONCAT(v, '!') WHERE id >= {_HALF}",
            f"DELETE FROM {{t}} WHERE id BETWEEN {_HALF} AND {_HALF + 3}",
            f"UPDATE {{t}} SET id = {2 * _HALF - 2} WHERE id = {_HALF - 1}",
        ),
        later=(f"INSERT INTO {{t}} VALUES ({_HALF}, 'again'), ({_HALF + 1}, NULL)",),
    ),
    Case(
        id="F01",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",),
        during=(
            "UPDATE {t} SET id = 11 WHERE id = 1",
            "UPDATE {t} SET v = 'a2' WHERE id = 11",
            "UPDATE {t} SET id = id + 20 WHERE id IN (2, 3) ORDER BY id",
        ),
        later=("UPDATE {t} SET id = 5, v = 'd2' WHERE id = 4", "INSERT INTO {t} VALUES (1, 'new')"),
        rows=((1, "new"), (5, "d2"), (11, "a2"), (22, "b"), (23, "c")),
    ),
    Case(
        id="F05",
        columns="a INT, b VARCHAR(20) CHARACTER SET latin1, c DECIMAL(10,2)",
        key=(),
        key_scope="shard",
        before=(
            "INSERT INTO {t} VALUES (1, 'ö', 1.5), (1, 'ö', 1.5), (1, 'ö', 1.5), (2, '', NULL)",
        ),
        during=(
            "DELETE FROM {t} WHERE a = 1 LIMIT 1",
            "INSERT INTO {t} VALUES (2, '', NULL), (NULL, NULL, NULL), (NULL, NULL, NULL)",
            "UPDATE {t} SET c = 2 WHERE a = 1 LIMIT 1",
            "BEGIN",
            "INSERT INTO {t} VALUES (3, 'x', 0), (3, 'x', 0)",
            "DELETE FROM {t} WHERE a = 3 LIMIT 1",
            "COMMIT",
        ),
        later=("DELETE FROM {t} WHERE a IS NULL LIMIT 1", "INSERT INTO {t} VALUES (1, 'ö', 1.5)"),
        elsewhere=Phases(before=("INSERT INTO {t} VALUES (1, 'ö', 1.5), (1, 'ö', 1.5)",)),
    ),
    Case(
        id="F05-altered",
        columns="a INT, b INT",
        key=(),
        key_scope="shard",
        before=("INSERT INTO {t} VALUES (1, 1), (1, 1), (2, 2)",),
        during=(
            "INSERT INTO {t} VALUES (1, 1)",
            "ALTER TABLE {t} ADD COLUMN c INT NOT NULL DEFAULT 7",
            "DELETE FROM {t} WHERE a = 1 LIMIT 1",
            "INSERT INTO {t} VALUES (1, 1, 8), (1, 1, 7)",
        ),
        later=("DELETE FROM {t} WHERE a = 1 AND c = 7 LIMIT 1",),
        rows=((1, 1, 7), (1, 1, 7), (1, 1, 8), (2, 2, 7)),
    ),
)

ORDER_CASES = (
    Case(
        id="J01",
        columns=SIMPLE,
        during=(
            "BEGIN",
            "INSERT INTO {t} VALUES (1, 'hello')",
            "DELETE FROM {t} WHERE id = 1",
            "INSERT INTO {t} VALUES (1, 'hallo')",
            "COMMIT",
        ),
        later=(
            "BEGIN",
            "DELETE FROM {t} WHERE id = 1",
            "INSERT INTO {t} VALUES (1, 'hullo')",
            "DELETE FROM {t} WHERE id = 1",
            "INSERT INTO {t} VALUES (1, 'hey')",
            "COMMIT",
        ),
        rows=((1, "hey"),),
    ),
    Case(
        id="J08",
        columns=SIMPLE,
        during=(
            "BEGIN",
            "INSERT INTO {t} VALUES (1, 'kept')",
            "SAVEPOINT here",
            "INSERT INTO {t} VALUES (2, 'never')",
            "UPDATE {t} SET v = 'never' WHERE id = 1",
            "ROLLBACK TO here",
            "INSERT INTO {t} VALUES (3, 'kept')",
            "COMMIT",
            "BEGIN",
            "INSERT INTO {t} VALUES (4, 'never')",
            "CREATE TEMPORARY TABLE {t}_aside (id INT)",
            "INSERT INTO {t}_aside VALUES (1)",
            "ROLLBACK",
            "DROP TEMPORARY TABLE {t}_aside",
        ),
        rows=((1, "kept"), (3, "kept")),
    ),
    Case(
        id="J03",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'snapshot')",),
        during=(
            "UPDATE {t} SET v = 'first file' WHERE id = 1",
            "FLUSH BINARY LOGS",
            "UPDATE {t} SET v = 'next file' WHERE id = 1",
        ),
        later=("UPDATE {t} SET v = 'last' WHERE id = 1",),
        elsewhere=Phases(
            before=("INSERT INTO {t} VALUES (2, 'snapshot')",),
            during=(
                "UPDATE {t} SET v = 'first file' WHERE id = 2",
                "FLUSH BINARY LOGS",
                "UPDATE {t} SET v = 'next file' WHERE id = 2",
            ),
            later=("UPDATE {t} SET v = 'last' WHERE id = 2",),
        ),
        rows=((1, "last"),),
    ),
    Case(
        id="J12",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'oldest'), (2, 'oldest'), (3, 'oldest')",),
        during=(
            "UPDATE {t} SET v = 'older'",
            "DELETE FROM {t} WHERE id = 2",
            "UPDATE {t} SET id = 30 WHERE id = 3",
        ),
        later=("UPDATE {t} SET v = 'newest'",),
        rows=((1, "newest"), (30, "newest")),
    ),
    Case(
        id="K01",
        columns="id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(200)",
        before=(f"INSERT INTO {{t}} SELECT {_HALF} + seq, REPEAT('x', 100) FROM seq_1_to_10000",),
    ),
    Case(
        id="N01",
        columns=SIMPLE,
        before=("INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'c')",),
        during=(
            "BEGIN",
            "UPDATE {t} SET v = 'changed' WHERE id = 1",
            "DELETE FROM {t} WHERE id = 1",
            "DELETE FROM {t} WHERE id = 2",
            "INSERT INTO {t} VALUES (2, 'back'), (4, 'here')",
            "UPDATE {t} SET v = 'gone' WHERE id = 4",
            "DELETE FROM {t} WHERE id = 4",
            "COMMIT",
        ),
        rows=((2, "back"), (3, "c")),
    ),
)

_WALLS = ("2024-07-01 12:00:00", "2024-01-15 23:59:59.999999", "2024-03-09 02:30:00.5")


def _in_zone(first: int, zone: str) -> tuple[str, ...]:
    """Rows written by a client that takes the server's own time zone, as most do."""
    rows = ", ".join(
        f"({first + number}, '{zone}', '{wall}', '{wall}')" for number, wall in enumerate(_WALLS)
    )
    insert = f"INSERT INTO {{t}} VALUES {rows}"
    return ("SET time_zone = DEFAULT", insert, "SET time_zone = '+00:00'")


ZONE_CASE = Case(
    id="C10",
    columns="id INT UNSIGNED PRIMARY KEY, zone VARCHAR(40), wall DATETIME(6), v TIMESTAMP(6) NULL",
    before=_in_zone(1, "America/Chicago"),
    during=_in_zone(11, "America/Chicago"),
    later=_in_zone(21, "America/Chicago"),
    elsewhere=Phases(
        before=_in_zone(101, "Asia/Kolkata"),
        during=_in_zone(111, "Asia/Kolkata"),
        later=_in_zone(121, "Asia/Kolkata"),
    ),
)


def _by_mode(first: int, mode: str) -> tuple[str, ...]:
    """The same rows as a client of that sql_mode has to write them."""
    name, back = ('"v"', "\\") if "ANSI" in mode else ("`v`", "\\\\")
    insert = (
        f"INSERT INTO {{t}} (id, {name}, fixed, at) VALUES"
        f" ({first}, 'naïve {back} Straße', 'a ', '2024-07-01 12:00:00'),"
        f" ({first + 1}, '', '', '1999-12-31 23:59:59')"
    )
    return (f"SET sql_mode = '{mode}'", insert)


_STRICT = "STRICT_ALL_TABLES"
_ODD_MODE = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH"
ODD_SHARD_CASE = Case(
    id="O06",
    columns="id INT UNSIGNED PRIMARY KEY, v VARCHAR(40), fixed CHAR(4), at TIMESTAMP NULL",
    options="CHARACTER SET utf8mb4",
    before=_by_mode(1, _STRICT),
    during=_by_mode(11, _STRICT),
    later=_by_mode(21, _STRICT),
    elsewhere=Phases(
        before=("ALTER TABLE {t} CONVERT TO CHARACTER SET latin1", *_by_mode(101, _ODD_MODE)),
        during=_by_mode(111, _ODD_MODE),
        later=_by_mode(121, _ODD_MODE),
    ),
)

CHANGE_CASES = (
    *KEY_CASES,
    *ROW_CASES,
    *ORDER_CASES,
    ZONE_CASE,
    ODD_SHARD_CASE,
    *SCHEMA_CASES,
    *DDL_CASES,
    *GHOST_CASES,
)
