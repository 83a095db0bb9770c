"""Every table of the corpus: at each stage the source, the lake and the warehouse are equal."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyiceberg.expressions import EqualTo

from smug_platform.raw import deltas as raw
from smug_platform.raw.quarantine import open_quarantine
from tests.conformance.cases import Case
from tests.conformance.change_cases import CHANGE_CASES
from tests.conformance.corpus import CASES, MOVED_BY, STAGES, WRITTEN_DURING_SNAPSHOT, Corpus, Seen
from tests.conformance.oracle import Row, tally
from tests.conformance.row_cases import NO_DAY_CASE
from tests.conformance.text_cases import LATIN1_GAPS
from tests.conformance.type_cases import ZERO_DATES, ZERO_DATES_NOT_NULL

# What becomes of a date that is none is a rule of its own, which has its own tests.
_STATED_THERE = {
    ZERO_DATES.name,
    ZERO_DATES_NOT_NULL.name,
    LATIN1_GAPS.name,
    NO_DAY_CASE.table,
    "o05",
}
_EQUAL = [case for case in CASES if case.table not in _STATED_THERE and not case.halts]
_STATED = [case for case in CHANGE_CASES if case.rows is not None]


def _params(cases: Iterable[Case]) -> list[Any]:
    return [
        pytest.param(
            case, id=case.id, marks=[pytest.mark.xfail(reason=case.xfail)] if case.xfail else []
        )
        for case in cases
    ]


@pytest.mark.parametrize("case", _params(_EQUAL))
def test_source_lake_and_warehouse_are_equal(corpus: Corpus, case: Case) -> None:
    stages = STAGES if case.id != "O04" else STAGES[2:]  # before, one shard has the old name
    _check_equal(corpus, case.table, stages)


@pytest.mark.parametrize("case", _params(_STATED))
def test_rows_at_the_end(corpus: Corpus, case: Case) -> None:
    found = corpus.table(case.table)
    names = list(found.source["shard_0"][0])
    expected = tally([dict(zip(names, row, strict=True)) for row in case.rows or ()], names)
    for rows in (
        found.source["shard_0"],
        found.lake.live("shard_0"),
        found.warehouse.live("shard_0"),
    ):
        assert tally(rows, names) == expected


def test_no_table_met_a_problem(corpus: Corpus) -> None:
    excused = {case.table for case in CASES if case.xfail or case.halts}
    assert {name: told for name, told in corpus.problems.items() if name not in excused} == {}


@pytest.mark.parametrize("case", _params(case for case in CASES if case.halts))
def test_a_table_that_no_type_holds_halts_with_what_it_had(corpus: Corpus, case: Case) -> None:
    (problem, *_) = corpus.problems[case.table]
    assert case.halts in str(problem)
    before = corpus.seen["snapshot"][case.table]
    for stage in STAGES:
        found = corpus.seen[stage][case.table]
        assert (found.lake, found.warehouse) == (before.lake, before.warehouse)
    _check_equal_now(before)


def test_O05_the_rows_of_a_shard_whose_type_is_another_alone_are_held_back(corpus: Corpus) -> None:
    found = corpus.table("o05")
    for copy in (found.lake, found.warehouse):
        assert {(row["id"], row["v"]) for row in copy.live("shard_0")} == {
            (1, "more"),
            (2, "later"),
        }
        assert {(row["id"], row["v"]) for row in copy.live("shard_1")} == {(101, "7"), (102, "9")}
    quarantine = open_quarantine(corpus.stack.platform.lakehouse.catalog)
    told = quarantine.scan(row_filter=EqualTo("table_name", "o05")).to_arrow().to_pylist()
    assert {row["shard"] for row in told} == {"shard_1"}
    assert {json.loads(row["payload"])["after"]["id"] for row in told} == {101, 103}
    assert all("from string to int" in row["reason"] for row in told)


def test_C10_an_instant_is_what_the_servers_zone_makes_of_it(corpus: Corpus) -> None:
    found = corpus.table("c10")
    for copy in (found.lake, found.warehouse):
        assert len(copy.rows) == 18
        for row in copy.rows:
            assert row["v"] == row["wall"].replace(tzinfo=ZoneInfo(row["zone"])), row


def test_O06_rows_are_the_same_of_shards_that_differ_in_charset_mode_and_zone(
    corpus: Corpus,
) -> None:
    found = corpus.table("o06")
    for copy in (found.lake, found.warehouse):
        usual, odd = (
            {row["id"] % 100: (row["v"], row["fixed"], row["at"]) for row in copy.live(shard)}
            for shard in ("shard_0", "shard_1")
        )
        assert usual == odd
        assert usual[21] == ("naïve \\ Straße", "a", datetime(2024, 7, 1, 12, tzinfo=UTC))


def test_C03_a_day_that_its_month_lacks_reads_null(corpus: Corpus) -> None:
    found = corpus.table("c03")
    assert {row["day"] for row in found.source["shard_0"]} >= {"2023-02-31"}
    last, none = date(2024, 2, 29), None
    for copy in (found.lake, found.warehouse):
        rows = {row["id"]: (row["day"], row["at"] and row["at"].date()) for row in copy.rows}
        assert rows == {
            id_: pair
            for first in (1, 11, 21)
            for id_, pair in ((first, (none, none)), (first + 1, (last, last)))
        }


def test_F01_the_old_keys_are_kept_as_deleted(corpus: Corpus) -> None:
    gone = {row["id"] for row in corpus.table("f01").lake.rows if row["_is_deleted"]}
    assert gone == {2, 3, 4}


def test_G02_rows_without_events_read_the_default(corpus: Corpus) -> None:
    found = corpus.table("g02", "stream")
    for copy in (found.lake, found.warehouse):
        assert {row["id"]: row["five"] for row in copy.live("shard_0")} == {1: 5, 2: 5, 3: 5, 4: 6}


@pytest.mark.parametrize(
    ("table", "before", "after"),
    [
        pytest.param("g06_rename", "v", "title", id="G06-rename"),
        pytest.param("g06_change", "v", "title", id="G06-change"),
        pytest.param("g06_case", "v", "V", id="G06-case"),
    ],
)
def test_a_renamed_column_goes_on_under_its_field_id(
    corpus: Corpus, table: str, before: str, after: str
) -> None:
    first, last = corpus.table(table, "snapshot").lake, corpus.table(table).lake
    assert last.ids[after] == first.ids[before]
    assert before not in last.ids


def test_G15_history_keeps_what_truncate_took(corpus: Corpus) -> None:
    for copy in (corpus.table("g15_history").lake, corpus.table("g15_history").warehouse):
        assert {(r["id"], r["v"]) for r in copy.rows if r["_shard"] == "shard_0"} >= {
            (1, "a"), (2, "b"), (3, "c"), (4, "d"), (1, "a2"), (1, "after"), (9, "later"),
        }  # fmt: skip


def test_J03_the_binlog_was_rotated_where_text_order_fails(corpus: Corpus) -> None:
    rows = _deltas(corpus, "j03")
    assert {row["binlog_file"] for row in rows if row["shard"] == "shard_0"} >= {99, 100}
    assert {row["binlog_file"] for row in rows if row["shard"] == "shard_1"} >= {999999, 1000000}
    assert {row["v"] for row in corpus.table("j03").lake.rows} == {"last"}


def test_J12_replay_from_the_start_of_the_stream_changes_nothing(corpus: Corpus) -> None:
    deltas = raw.open_deltas(corpus.stack.platform.lakehouse.catalog).scan()
    assert deltas.count() == 2 * corpus.replayed
    for case in (case for case in CASES if not case.halts):
        before, after = corpus.table(case.table, "restart"), corpus.table(case.table)
        assert after.lake.rows, case.id
        assert before.lake == after.lake, case.id
        assert before.warehouse == after.warehouse, case.id


def test_K01_there_were_writes_during_the_read_view(corpus: Corpus) -> None:
    for table in WRITTEN_DURING_SNAPSHOT:
        read, written = _read_and_written_meanwhile(corpus, table)
        assert len(read) > 1000
        assert len(written) > 10


def test_K03_keys_beyond_both_ends_of_the_walk_are_there(corpus: Corpus) -> None:
    first, last = 2**63 + 1, 2**63 + 10_000  # of the rows that were there before
    new = _keys_written_meanwhile(corpus, "c")
    assert min(new) < first
    assert max(new) > last
    _check_equal(corpus, "k01", STAGES)


def test_F03_a_row_whose_key_changes_amid_the_read_is_there_once(corpus: Corpus) -> None:
    moved = {key for key in _keys_written_meanwhile(corpus, "c") if key > 2**63 + 15_000}
    left = _keys_written_meanwhile(corpus, "d")
    assert len(moved) > 10
    assert {key - MOVED_BY for key in moved} <= left
    _check_equal(corpus, "k01", STAGES)


def test_G28_a_schema_change_that_comes_again_is_applied_once(corpus: Corpus) -> None:
    for table in ("g02", "g06_rename", "o03"):
        found = Counter(
            (row["shard"], row["binlog_offset"], row["payload"])
            for row in _deltas(corpus, table)
            if row["op"] == "ddl"
        )
        assert set(found.values()) == {2}
        before, after = corpus.table(table, "restart"), corpus.table(table)
        assert (after.lake, after.warehouse) == (before.lake, before.warehouse)


def test_O03_the_other_shard_reads_null_until_it_has_the_column(corpus: Corpus) -> None:
    between = corpus.table("o03", "stream")
    for copy in (between.lake, between.warehouse):
        assert {row["id"]: row["extra"] for row in copy.live("shard_1")} == {101: None, 102: None}
        assert {row["id"]: row["extra"] for row in copy.live("shard_0")} == {1: None, 2: "first"}
    last = {row["id"]: row["extra"] for row in corpus.table("o03").lake.live("shard_1")}
    assert last == {101: None, 102: None, 103: None, 104: "second"}


def _check_equal(corpus: Corpus, table: str, stages: Iterable[str]) -> None:
    """The lake and the warehouse hold each of the source's rows once, and no other."""
    for stage in stages:
        _check_equal_now(corpus.table(table, stage))


def _check_equal_now(found: Seen) -> None:
    for shard, source in found.source.items():
        names = list(source[0]) if source else ["_shard"]
        assert tally(found.lake.live(shard), names) == tally(source, names), shard
        assert tally(found.warehouse.live(shard), names) == tally(source, names), shard


def _read_and_written_meanwhile(corpus: Corpus, table: str) -> tuple[list[Row], list[Row]]:
    """What the snapshot read of a table, and the changes that came before it was through."""
    rows = _deltas(corpus, table)
    read = [row for row in rows if row["op"] == "r"]
    end = max(row["captured_at"] for row in read)
    written = [row for row in rows if row["op"] in {"c", "u", "d"} and row["committed_at"] < end]
    return read, written


def _keys_written_meanwhile(corpus: Corpus, op: str) -> set[int]:
    _, written = _read_and_written_meanwhile(corpus, "k01")
    return {int(json.loads(row["key"])["id"]) for row in written if row["op"] == op}


def _deltas(corpus: Corpus, table: str) -> list[Row]:
    deltas = raw.open_deltas(corpus.stack.platform.lakehouse.catalog)
    return deltas.scan(row_filter=EqualTo("table_name", table)).to_arrow().to_pylist()
