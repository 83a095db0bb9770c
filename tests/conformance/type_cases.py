"""The type cases: literals as they are written in SQL, and the values they must be downstream."""

from datetime import UTC, date, datetime

from tests.conformance.cases import Typed, TypeTable
from tests.conformance.literals import bits, floats, hexes, numerals, same, texts
from tests.conformance.number_cases import NUMBER_TABLES
from tests.conformance.text_cases import TEXT_TABLES
from tests.conformance.time_cases import TIME_TABLE

_EPOCH_DAY = date(1970, 1, 1)
_DEEP = "[" * 31 + "1" + "]" * 31  # MariaDB takes no more; MySQL takes 100
_JSON_TEXTS = (
    '{"b": 1, "a": 2, "aa": [1.0, 1, 1e2, -0.0]}',
    '{"n": 18446744073709551615, "huge": 1e400}',
    _DEEP,
    '"ünï 🎉 \\u00e9"',
    "null",
)
_PARTLY_ZERO = [(f"'{day}'", None) for day in ("2023-00-00", "2023-07-00", "0000-01-01")]


# Each text in what its charset can hold; MySQL's latin1 is cp1252.
_CHARSETS = {
    "latin1": ("Heizölrückstoß", "ÿ", ""),
    "cp1252": ("€ ž Œ “x”", "½"),
    "gbk": ("中文测试", "abc 丂"),
    "sjis": ("テスト表示", "ｱｲｳ ソ能"),
    "big5": ("繁體中文", "許功蓋"),
    "ucs2": ("Heizöl 中文", "\u2028"),
    "utf16": ("Heizöl 🎉", "中"),
    "utf32": ("Heizöl 🎉", "中"),
}
_SQL_NAMES = {"cp1252": "latin1"}
_KINDS = {"varchar": "VARCHAR(40)", "char": "CHAR(40)", "text": "TEXT"}


def _charset_column(charset: str, kind: str) -> Typed:
    name = _SQL_NAMES.get(charset, charset)
    ddl = f"{_KINDS[kind]} CHARACTER SET {name}"
    return Typed("D04", f"{charset}_{kind}", ddl, "string", texts(_CHARSETS[charset]))


_NUMBERS = TypeTable(
    "numbers",
    (
        Typed("A03", "i24", "MEDIUMINT", "int", same(8388607, -8388608, -1, 0)),
        Typed("A03", "u24", "MEDIUMINT UNSIGNED", "int", same(16777215, 8388608, 8388607, 0)),
        Typed(
            "A05",
            "u64",
            "BIGINT UNSIGNED",
            "decimal(20, 0)",
            same(0, 2**63 - 1, 2**63, 2**64 - 1),
        ),
        Typed("A08", "tiny", "TINYINT(1)", "int", same(0, 1, 2, -1, 127, -128)),
        Typed(
            "B03",
            "scale30",
            "DECIMAL(65,30)",
            "string",
            numerals(
                "12345678901234567890123456789012345.123456789012345678901234567891",
                "-99999999999999999999999999999999999.999999999999999999999999999999",
                "0.000000000000000000000000000001",
                "0.000000000000000000000000000000",
            ),
        ),
        Typed("B03", "whole", "DECIMAL(65,0)", "string", numerals("9" * 65, "-1")),
        Typed(
            "B06",
            "single",
            "FLOAT",
            "float",
            floats("123.456", "1e38", "1.17549435e-38", "16777217", "-0.1", "3.4028234e38"),
        ),
        Typed("E08", "bit8", "BIT(8)", "long", bits(255, 1, 0)),
        Typed("E08", "bit9", "BIT(9)", "long", bits(341, 256, 255)),
        Typed("E08", "bit14", "BIT(14)", "long", bits(2**14 - 1, 0b10000000000001, 256)),
    ),
)
_OTHERS = TypeTable(
    "others",
    (
        Typed(
            "C06",
            "moment",
            "DATETIME(6)",
            "timestamp",
            [
                ("'9999-12-31 23:59:59.999999'", datetime(9999, 12, 31, 23, 59, 59, 999999)),
                ("'2262-04-12 00:00:00.000001'", datetime(2262, 4, 12, microsecond=1)),
                ("'1000-01-01'", datetime(1000, 1, 1)),
            ],
        ),
        Typed(
            "C15",
            "span",
            "TIME(6)",
            "long",
            [
                ("'838:59:59'", 3_020_399_000_000),
                ("'-838:59:59'", -3_020_399_000_000),
                ("'-00:00:00.000001'", -1),
                ("'25:00:00'", 90_000_000_000),
                ("'00:00:00'", 0),
            ],
        ),
        Typed(
            "D10",
            "uuid",
            "BINARY(16)",
            "binary",
            hexes(16, "00112233445566778899AABBCCDDEE00", "AB" + "00" * 15, "00" * 16, ""),
        ),
        Typed("E10", "doc", "JSON", "string", texts(_JSON_TEXTS)),
    ),
)
_CHARSET_TEXTS = TypeTable(
    "charsets", tuple(_charset_column(charset, kind) for charset in _CHARSETS for kind in _KINDS)
)
ZERO_DATES = TypeTable(
    "zero_dates",
    (
        Typed("C01", "day", "DATE NULL", "date", [("0", None), ("'1970-01-01'", _EPOCH_DAY)]),
        Typed(
            "C01",
            "moment",
            "DATETIME NULL",
            "timestamp",
            [("0", None), ("'1970-01-01'", datetime(1970, 1, 1))],
        ),
        Typed(
            "C01",
            "instant",
            "TIMESTAMP NULL",
            "timestamptz",
            [("0", None), ("'1970-01-01 00:00:01'", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))],
        ),
        Typed("C02", "part_day", "DATE NULL", "date", _PARTLY_ZERO),
        Typed(
            "C02",
            "part_moment",
            "DATETIME(6) NULL",
            "timestamp",
            _PARTLY_ZERO,
        ),
    ),
    {"day": "flag", "moment": "flag", "instant": "flag", "part_day": "flag"},
)
ZERO_DATES_NOT_NULL = TypeTable(
    "zero_dates_not_null",
    (
        Typed(
            "C01",
            "day_not_null",
            "DATE NOT NULL",
            "date",
            [("0", date(9999, 12, 31)), ("'1970-01-01'", _EPOCH_DAY)],
            null=False,
        ),
        Typed("C02", "part_not_null", "DATE NOT NULL", "date", _PARTLY_ZERO, null=False),
        Typed(
            "C01",
            "moment_not_null",
            "DATETIME NOT NULL",
            "timestamp",
            [("0", datetime(1, 1, 1)), ("'1970-01-01'", datetime(1970, 1, 1))],
            null=False,
        ),
        Typed(
            "C01",
            "instant_not_null",
            "TIMESTAMP NOT NULL DEFAULT '2020-01-01'",
            "timestamptz",
            [("0", None), ("'2020-01-01'", datetime(2020, 1, 1, tzinfo=UTC))],
            null=False,
        ),
    ),
    {"day_not_null": "9999-12-31", "moment_not_null": "0001-01-01", "instant_not_null": "flag"},
)
TYPE_TABLES = (
    _NUMBERS,
    *NUMBER_TABLES,
    _OTHERS,
    TIME_TABLE,
    _CHARSET_TEXTS,
    *TEXT_TABLES,
    ZERO_DATES,
    ZERO_DATES_NOT_NULL,
)
