"""The type cases of numbers (A and B) that `type_cases` does not hold."""

from tests.conformance.cases import Typed, TypeTable
from tests.conformance.literals import decimals, doubles, floats, same

_MONEY = decimals("-99999999.99", "0.00", "-0.01", "99999999.99")

NUMBER_TABLES = (
    TypeTable(
        "integers",
        (
            Typed("A01", "i8", "TINYINT", "int", same(-128, 127, 0)),
            Typed("A02", "u8", "TINYINT UNSIGNED", "int", same(255, 128, 0)),
            Typed("A02", "u16", "SMALLINT UNSIGNED", "int", same(65535, 32768, 0)),
            Typed("A04", "u32", "INT UNSIGNED", "long", same(4294967295, 2147483648, 0)),
            Typed("A04", "synonym", "INTEGER UNSIGNED", "long", same(4294967295, 0)),
            Typed("A09", "flag", "BOOLEAN", "int", same(0, 1, 2, -1)),
            Typed("A09", "short_flag", "BOOL DEFAULT TRUE", "int", same(0, 1)),
            Typed("A07", "padded", "INT(5) ZEROFILL", "long", same(42, 0, 123456)),
            Typed("A07", "padded_unsigned", "INT(5) UNSIGNED ZEROFILL", "long", same(42, 7)),
        ),
    ),
    TypeTable(
        "fractions",
        (
            Typed("B01", "money", "DECIMAL(10,2)", "decimal(10, 2)", _MONEY),
            Typed(
                "B02",
                "scale38",
                "DECIMAL(38,38)",
                "decimal(38, 38)",
                decimals("0." + "9" * 38, "-0." + "0" * 37 + "1"),
            ),
            Typed(
                "B02",
                "whole38",
                "DECIMAL(38,0)",
                "decimal(38, 0)",
                decimals("9" * 38, "-" + "9" * 38, "0"),
            ),
            Typed("B07", "float24", "FLOAT(24)", "float", floats("1.5", "-0.1")),
            Typed("B07", "float53", "FLOAT(53)", "double", doubles("0.1", "1e300")),
            Typed("B07", "display", "FLOAT(7,3)", "float", floats("1234.5", "-0.125")),
            Typed(
                "B07", "display_double", "DOUBLE(10,2)", "double", doubles("12345678.25", "-0.5")
            ),
            Typed(
                "B08",
                "exact",
                "DOUBLE",
                "double",
                doubles("1.7976931348623157e308", "2.2250738585072014e-308", "0.30000000000000004"),
            ),
            Typed("B09", "float_unsigned", "FLOAT UNSIGNED", "float", floats("0.25", "16777217")),
            Typed(
                "B09",
                "decimal_unsigned",
                "DECIMAL(10,2) UNSIGNED",
                "decimal(10, 2)",
                decimals("99999999.99", "0.01"),
            ),
            *(
                Typed("B10", name.lower() + "_one", f"{name}(10,2)", "decimal(10, 2)", _MONEY)
                for name in ("NUMERIC", "FIXED", "DEC")
            ),
        ),
    ),
)
