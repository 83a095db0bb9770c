"""The pieces of a table as a real server gives them, glued together or row by row."""

import time
from collections.abc import Iterator

import orjson
import pytest
from pybase64 import b64encode

from smug_platform.capture import pieces, server
from smug_platform.capture.contract import read_tables
from smug_platform.capture.filters import check, filtered
from smug_platform.capture.images import image_of
from smug_platform.capture.pieces import Pieces, Row, unread_of
from smug_platform.capture.state import Unread
from smug_platform.errors import SourceError
from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Source, Table

TEXTS = Table(name="texts", domain="d", owner="o")
SOURCE = Source(database="flickr", tables=(TEXTS,))
CONTROLS = "".join(map(chr, range(32))) + '"\\\x7f\x85\u2028é\U0001f600'
HELD = {
    **{key: f"row {key}" for key in range(1, 41)},
    7: CONTROLS,
    8: "",
    9: None,
    10: "ö" * 3_000,
    11: "\U0001f600" * 2_000,
    40: "\x1e",
}


@pytest.fixture
def shard(fresh_shards: Settings) -> Shard:
    found = fresh_shards.shards[0]
    with connect(found, database="flickr") as cursor:
        cursor.execute("CREATE TABLE texts (id INT PRIMARY KEY, v LONGTEXT CHARACTER SET utf8mb4)")
        cursor.executemany("INSERT INTO texts VALUES (%s, %s)", [*HELD.items()])
    return found


def read(shard: Shard, unread: Unread | None = None) -> Iterator[tuple[list[Row], Unread | None]]:
    with server.connect(shard) as connection:
        held = read_tables(connection, SOURCE)["texts"]
        image, begun = image_of(TEXTS, held), unread or unread_of(TEXTS, held)
        assert image is not None
        assert begun is not None
        defined = server.definition(connection, "`flickr`.`texts`")
        server.open_view(connection, shard, ["`flickr`.`texts`"])
        found = Pieces(connection, image, "`flickr`.`texts`", defined)
        yield from found.read(begun, until=time.monotonic() + 60)


@pytest.mark.parametrize("rows", [1, 7, 20_000])
@pytest.mark.parametrize("most", [100, 5_000, 8 * 1024 * 1024])
def test_rows_are_the_same_whether_they_are_glued_or_come_singly(
    shard: Shard, monkeypatch: pytest.MonkeyPatch, rows: int, most: int
) -> None:
    """A piece that is cut at any place is seen to be, and no text looks like the end of a row."""
    monkeypatch.setattr(pieces, "_PIECE_ROWS", rows)
    monkeypatch.setattr(pieces, "_MOST_BYTES", most)
    got: list[Row] = []
    for batch, now in read(shard):
        got += batch
        if now is not None:
            assert now.rows == len(got)
            assert now.low == (str(orjson.loads(got[-1][0])["id"]),)
            assert now.high == ("40",)
    assert now is None
    assert [orjson.loads(image) for _, image in got] == [
        {"id": key, "v": value} for key, value in sorted(HELD.items())
    ]


@pytest.mark.parametrize("rows", [1, 7, 20_000])
@pytest.mark.parametrize("most", [100, 8 * 1024 * 1024])
def test_K07_only_the_rows_of_a_condition_are_read(
    shard: Shard, monkeypatch: pytest.MonkeyPatch, rows: int, most: int
) -> None:
    monkeypatch.setattr(pieces, "_PIECE_ROWS", rows)
    monkeypatch.setattr(pieces, "_MOST_BYTES", most)
    unread = filtered(shard, SOURCE, "texts", "id % 5 = 0 OR v LIKE 'row 3%'")
    got = [image for batch, _ in read(shard, unread) for _, image in batch]
    assert [orjson.loads(image)["id"] for image in got] == [
        key for key, value in sorted(HELD.items()) if key % 5 == 0 or (value or "")[:5] == "row 3"
    ]


@pytest.mark.parametrize(
    "where",
    [
        " ",
        "width = 1",
        "id = 1) OR (id = 2",
        "id = 1 ORDER BY id",
        "id = 1 LIMIT 1",
        "id = 1 -- all",
        "id = 1 /* all",
        "id = 1; DROP TABLE texts",
        "id IN (SELECT id FROM nowhere)",
        "COUNT(*) > 1",
    ],
)
def test_K07_what_is_no_condition_is_told_before_anything_begins(shard: Shard, where: str) -> None:
    with pytest.raises(SourceError, match=r"the condition .* can't be asked of .*texts"):
        filtered(shard, SOURCE, "texts", where)


@pytest.mark.parametrize(
    ("mode", "where"),
    [
        ("ANSI_QUOTES", "\"v\" = 'row 3'"),  # a column there, and a text where rows are read
        ("NO_BACKSLASH_ESCAPES", r"v = 'row\'"),
    ],
)
def test_K07_a_condition_is_checked_as_it_is_read(shard: Shard, mode: str, where: str) -> None:
    with server.connect(shard) as connection:
        connection.cursor().execute("SET SESSION sql_mode = %s", (mode,))
        with pytest.raises(SourceError, match=r"the condition .* can't be asked of .*texts"):
            check(connection, "`flickr`.`texts`", where)


@pytest.mark.parametrize(
    "where", ["v = 'x@y' AND", "v = 'it''s x@y' ORDER", 'nothing = "x@y"', "id = 77 77", "v = 'x@y"]
)
def test_K07_a_condition_that_is_refused_is_told_without_its_values(
    shard: Shard, where: str
) -> None:
    with pytest.raises(SourceError) as told:
        filtered(shard, SOURCE, "texts", where)
    assert "x@y" not in str(told.value)
    assert "77" not in str(told.value)


def test_K07_a_table_without_a_key_is_not_read_in_part(shard: Shard) -> None:
    loose = Table(name="texts", domain="d", owner="o", key=(), key_scope="shard")
    with pytest.raises(SourceError, match="texts can't be read in part: it has no key"):
        filtered(shard, Source(database="flickr", tables=(loose,)), "texts", "id = 1")


def test_reading_goes_on_after_the_last_key_and_ends_at_the_one_that_was_the_last(
    shard: Shard,
) -> None:
    with connect(shard, database="flickr") as cursor:
        cursor.execute("DELETE FROM texts WHERE id = 40")
        cursor.execute("INSERT INTO texts VALUES (41, 'later')")
    unread = Unread("texts", low=("36",), high=("40",), rows=36, numbers=("id",))
    batches = [([key for key, _ in rows], now and now.rows) for rows, now in read(shard, unread)]
    assert batches == [([b'{"id":37}', b'{"id":38}', b'{"id":39}'], 39), ([], None)]


def test_a_row_that_the_server_cannot_write_in_one_packet_is_read_whole(shard: Shard) -> None:
    with connect(shard, database="flickr") as cursor:
        cursor.execute("ALTER TABLE texts MODIFY v LONGBLOB")
        cursor.execute("UPDATE texts SET v = REPEAT('x', @@max_allowed_packet - 1000) WHERE id = 5")
        cursor.execute("SELECT @@max_allowed_packet - 1000")
        ((length,),) = cursor.fetchall()
    found = [row for rows, _ in read(shard) for row in rows]
    assert len(found) == len(HELD)
    key, image = found[4]
    assert key == b'{"id":5}'
    assert orjson.loads(image) == {"id": 5, "v": b64encode(b"x" * length).decode()}
