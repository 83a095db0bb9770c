"""Batches that are as usual are decoded in a shorter way: to the same events, or not at all."""

import json
from typing import Any

import pyarrow as pa
import pytest

from smug_platform.duck import in_memory
from smug_platform.lake import decode as decoding
from smug_platform.lake.columns import Column, plan
from smug_platform.lake.decode import decode
from smug_platform.lake.state import State, evolve
from smug_platform.lake.target import Target
from smug_platform.raw.deltas import ARROW
from smug_platform.tables.table import Table
from tests.history import Shard, column

PHOTOS = Table(name="photos", domain="tests", owner="team:tests")
VIEWS = Table(name="views", domain="tests", owner="team:tests", key=(), key_scope="shard")
COLUMNS = [
    column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR"), column("n", "INT"),
    column("price", "DECIMAL", length=10, scale=2), column("at", "TIMESTAMP", length=3),
    column("day", "DATE"), column("hash", "BINARY"), column("x", "DOUBLE"),
]  # fmt: skip
ROW: dict[str, Any] = {
    "id": 2**64 - 1, "title": 'say "hi": {"x":1}\\', "n": None, "price": "0.10",
    "at": "2020-01-02T03:04:05.678Z", "day": -1, "hash": "AQIAAA==", "x": 5e-324,
}  # fmt: skip


def shard_of(table: Table) -> Shard:
    shard = Shard("shard_0", table.name, COLUMNS, table.key)
    shard.snapshot()
    shard.insert(*[ROW | {"id": number} for number in range(40)])
    shard.update(shard.rows[3], title=None, price=None)
    shard.delete(shard.rows[5])
    return shard


def columns_of(table: Table, shard: Shard) -> list[Column]:
    state = State()
    for delta in shard.deltas:
        if delta["op"] == "ddl":
            state = evolve(state, table, "shard_0", 1, json.loads(delta["payload"]))
    return plan(Target(table), state)


def both_ways(
    table: Table, columns: list[Column], deltas: list[dict[str, Any]]
) -> tuple[bool, list[dict[str, Any]], list[str]]:
    """Whether the shorter way was taken, and the events and reasons, the same by both."""
    given = pa.Table.from_pylist([d for d in deltas if d["op"] != "ddl"], schema=ARROW)
    taken: list[bool] = []
    usual = decoding.usual

    def watched(*arguments: Any) -> pa.Table | None:
        found = usual(*arguments)
        taken.append(found is not None)
        return found

    found = []
    with pytest.MonkeyPatch.context() as patch, in_memory() as connection:
        for way in (watched, lambda *_: None):
            patch.setattr(decoding, "usual", way)
            events, refused = decode(connection, Target(table), columns, given)
            key = [("_i", "ascending"), ("_sign", "ascending")]
            found.append((events.sort_by(key), [one.reason for one in refused]))
    (short, reasons), (long, also) = found
    assert short.schema == long.schema
    assert short.to_pylist() == long.to_pylist()
    assert reasons == also
    return taken[0], short.to_pylist(), reasons


@pytest.mark.parametrize("table", [PHOTOS, VIEWS], ids=["key", "no-key"])
def test_a_usual_batch_is_decoded_in_the_shorter_way(table: Table) -> None:
    shard = shard_of(table)
    taken, events, reasons = both_ways(table, columns_of(table, shard), shard.deltas)
    assert taken
    assert not reasons
    assert len(events) == (42 if table.key else 43)


@pytest.mark.parametrize("title", ['a\\":', "\0\b\f\n\r\t/", "\\u0041", "\U0001f389é", '"', ""])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_text_is_read_with_its_escapes(title: str, escaped: bool) -> None:
    shard = shard_of(PHOTOS)
    *_, last = (delta for delta in shard.deltas if delta["op"] == "c")
    payload = json.loads(last["payload"]) | {"after": ROW | {"title": title}}
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=escaped)
    taken, events, _ = both_ways(
        PHOTOS, columns_of(PHOTOS, shard), [*shard.deltas, last | {"payload": text}]
    )
    assert taken
    assert events[-1]["title"] == title


@pytest.mark.parametrize("title", ["\\ud83c", "\\ud83cx", "\\udf89", "\\u12", "\\x"])
def test_an_escape_that_stands_for_nothing_is_refused(title: str) -> None:
    shard = shard_of(PHOTOS)
    *_, last = (delta for delta in shard.deltas if delta["op"] == "c")
    odd = last | {"payload": last["payload"].replace('"title":"', f'"title":"{title}')}
    taken, _, reasons = both_ways(PHOTOS, columns_of(PHOTOS, shard), [*shard.deltas, odd])
    assert not taken
    assert len(reasons) == 1


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        pytest.param(ROW | {"m": 1}, "not in the schema in force: m", id="a-column-more"),
        pytest.param({k: v for k, v in ROW.items() if k != "n"}, None, id="a-column-less"),
        pytest.param(
            {("m" if k == "n" else k): v for k, v in ROW.items()},
            "not in the schema in force: m",
            id="one-more-one-less",
        ),
        pytest.param(ROW | {"m\\": 1}, "not in the schema in force: m\\", id="backslash"),
        pytest.param(ROW | {"N": 3}, "not in the schema in force: N", id="case"),
        pytest.param(ROW | {"n": "seven"}, "n is not of type int", id="no-number"),
        pytest.param(ROW | {"price": "a lot"}, "price is not of type decimal(10, 2)", id="decimal"),
        pytest.param(ROW | {"at": "noon"}, "at is not of type timestamptz", id="no-instant"),
        pytest.param(ROW | {"hash": "?"}, "hash is not of type binary", id="no-base64"),
        pytest.param(ROW | {"day": 2**40}, "day is not of type date", id="no-date"),
        pytest.param(None, "no row image", id="no-image"),
    ],
)
@pytest.mark.parametrize("table", [PHOTOS, VIEWS], ids=["key", "no-key"])
def test_what_is_not_as_usual_is_decoded_value_by_value(
    table: Table, image: dict[str, Any] | None, reason: str | None
) -> None:
    shard = shard_of(table)
    columns = columns_of(table, shard)
    *_, last = (delta for delta in shard.deltas if delta["op"] == "c")
    payload = json.loads(last["payload"]) | {"after": image}
    odd = last | {"payload": json.dumps(payload, separators=(",", ":"), ensure_ascii=False)}
    taken, _, reasons = both_ways(table, columns, [*shard.deltas, odd])
    assert not taken
    assert len(reasons) == (reason is not None)
    assert all(reason in one.split("; ") for one in reasons)


def test_without_a_key_value_a_row_is_refused() -> None:
    shard = shard_of(PHOTOS)
    shard.insert(ROW | {"id": None})
    taken, _, reasons = both_ways(PHOTOS, columns_of(PHOTOS, shard), shard.deltas)
    assert not taken
    assert reasons == ["key column id is null"]


def test_what_may_read_as_null_without_a_word_is_checked() -> None:
    """BIT(9) of no bytes has no value, and no cast fails."""
    shard = Shard("shard_0", "photos", [COLUMNS[0], column("bits", "BIT", length=9)])
    shard.snapshot()
    shard.insert({"id": 1, "bits": "VQE="}, {"id": 2, "bits": ""})
    taken, events, reasons = both_ways(PHOTOS, columns_of(PHOTOS, shard), shard.deltas)
    assert not taken
    assert [event["bits"] for event in events] == [341]
    assert reasons == ["bits is not of type long"]


def test_one_key_more_and_one_that_is_not_counted_do_not_make_up_for_each_other() -> None:
    shard = shard_of(PHOTOS)
    *_, last = (delta for delta in shard.deltas if delta["op"] == "c")
    spaced = last | {"payload": last["payload"].replace('"title":', '"title" :')}
    more = json.loads(last["payload"])
    more["after"]["secret"] = 1
    odd = last | {"payload": json.dumps(more, separators=(",", ":"))}
    taken, _, reasons = both_ways(PHOTOS, columns_of(PHOTOS, shard), [*shard.deltas, spaced, odd])
    assert not taken
    assert reasons == ["not in the schema in force: secret"]


def test_an_image_that_is_no_object_is_refused() -> None:
    shard = shard_of(PHOTOS)
    *_, last = (delta for delta in shard.deltas if delta["op"] == "c")
    payload = json.loads(last["payload"]) | {"after": 5}
    odd = last | {"payload": json.dumps(payload, separators=(",", ":"))}
    columns = columns_of(PHOTOS, shard)
    assert both_ways(PHOTOS, columns, [odd])[2] == ["key column id is null"]


ZEROS = [
    pytest.param("DATE", "-719528", "2000-01-01", "10957", id="date"),
    pytest.param("DATETIME", "-62167219200000000", "2000-01-01", "946684800000000", id="datetime"),
    pytest.param("TIMESTAMP", '"0000-01-01T00:00:00Z"', "2000-01-01", '"2000-01-01T00:00:00Z"',
                 id="timestamp"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "zero", "day", "real"), ZEROS)
@pytest.mark.parametrize("policy", ["", "flag", "9999-12-31"])
def test_C01_a_zero_date_reads_what_the_contract_says(
    policy: str, kind: str, zero: str, day: str, real: str
) -> None:
    declared = {"a": policy} if policy else {}
    table = Table(name="dated", domain="tests", owner="team:tests", zero_dates=declared)
    shard = Shard("shard_0", "dated", [column("id", "INT"), column("a", kind), column("b", kind)])
    shard.snapshot()
    dates = [json.loads(zero), json.loads(real), None]
    shard.insert(*[{"id": number, "a": a, "b": a} for number, a in enumerate(dates)])
    taken, events, reasons = both_ways(table, columns_of(table, shard), shard.deltas)
    assert taken
    assert reasons == []
    told = [value and str(value)[:10] for value in (event["a"] for event in events)]
    assert told == ["9999-12-31" if policy == "9999-12-31" else None, day, None]
    assert [value and str(value)[:10] for value in (e["b"] for e in events)] == [None, day, None]
    assert [e["_zeros"] for e in events] == [2, 0, 0]
    flags = [e.get("a_is_zero") for e in events]
    assert flags == ([True, False, False] if policy == "flag" else [None] * 3)
