from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from smug_platform.local.activity.sql import Expression, Transaction, Value, literal
from smug_platform.local.activity.writer import packets

EASTWARDS = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**64 - 1, "18446744073709551615"),
        (Decimal("-0.01"), "-0.01"),
        (Decimal("1E+3"), "1000"),
        (False, "0"),
        (0.1, "0.1"),
        ("", "''"),
        ("a'b\\c\n\x00", "'a\\'b\\\\c\\n\\0'"),
        ("🇫🇷 e\u0301", "'🇫🇷 e\u0301'"),
        (b"\x00'", "X'0027'"),
        (date(1921, 3, 1), "'1921-03-01'"),
        (datetime(2024, 1, 1, 1, tzinfo=EASTWARDS), "'2023-12-31 23:00:00.000000'"),
        (datetime(2024, 1, 1, tzinfo=UTC), "'2024-01-01 00:00:00.000000'"),
        (timedelta(hours=100, microseconds=5), "'100:00:00.000005'"),
        (timedelta(microseconds=-1), "'-00:00:00.000001'"),
        (Expression("n + 1"), "n + 1"),
    ],
)
def test_literals(value: Value, text: str) -> None:
    assert literal(value) == text


def test_what_has_no_literal_raises() -> None:
    with pytest.raises(TypeError, match="set"):
        literal({1})  # type: ignore[arg-type]


def test_inserts_are_gathered_by_table_and_columns_but_never_past_an_update() -> None:
    t = Transaction()
    t.insert("a", {"id": 1})
    t.insert("b", {"id": 1})
    t.insert("a", {"id": 2})
    t.insert("a", {"id": 3, "n": None})
    t.update("a", {"id": 9}, {"id": 1})
    t.insert("a", {"id": 1})
    t.delete("b", {"x": None}, rows=0)
    assert t.statements() == [
        "INSERT INTO `a` (`id`) VALUES (1),(2)",
        "INSERT INTO `b` (`id`) VALUES (1)",
        "INSERT INTO `a` (`id`,`n`) VALUES (3,NULL)",
        "UPDATE `a` SET `id`=9 WHERE `id`=1",
        "INSERT INTO `a` (`id`) VALUES (1)",
    ]
    assert t.rows == 6


def test_a_long_insert_is_cut() -> None:
    t = Transaction()
    for i in range(1000):
        t.insert("a", {"id": i})
    assert [s.count("),(") + 1 for s in t.statements()] == [400, 400, 200]


def test_packets_are_bounded_and_keep_the_order() -> None:
    statements = [f"S{i}" for i in range(450)]
    cut = list(packets(statements))
    assert [len(packet.split(";")) for packet in cut] == [200, 200, 50]
    assert ";".join(cut).split(";") == statements
    assert [len(packet) for packet in packets(["x" * 900_000] * 3)] == [900_000] * 3
