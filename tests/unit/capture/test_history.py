"""The schema history of a run, and what is added to it of a table that it does not know."""

from pathlib import Path

import orjson
import pytest

from smug_platform.capture.history import History
from smug_platform.capture.items import SqliteItems
from smug_platform.capture.store import Hold, Store

OFFSET = b'{"file":"binlog.000002","pos":700}'


def line(table: str, pos: int) -> bytes:
    place = {"file": "binlog.000001", "pos": pos}
    changes = [{"type": "CREATE", "id": f'"flickr"."{table}"'}]
    told = {"position": place, "ddl": f"CREATE TABLE {table}", "tableChanges": changes}
    return orjson.dumps(told) + b"\n"


@pytest.fixture
def hold(tmp_path: Path) -> Hold:
    taken = Store(SqliteItems(tmp_path / "state.db"), seconds=60).take("shard_0", "me", None)
    assert taken is not None
    return taken


@pytest.mark.parametrize(("table", "added"), [("albums", True), ("photos", False)])
def test_only_a_table_that_no_statement_speaks_of_is_added_where_the_next_run_goes_on(
    hold: Hold, tmp_path: Path, table: str, added: bool
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(line("photos", 400))
    history = History(hold, path)
    history.keep()
    other = line("tags", 900) + line(table, 900)
    history.add_table(f'"flickr"."{table}"', other, OFFSET.decode())
    found = [orjson.loads(each) for each in (hold.history(history.names) or b"").splitlines()]
    expected = [orjson.loads(line("photos", 400))]
    if added:
        expected.append(orjson.loads(line(table, 900)) | {"position": orjson.loads(OFFSET)})
    assert found == expected
    assert history.keep() == history.names
