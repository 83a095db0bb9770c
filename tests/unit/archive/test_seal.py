"""What is personal is taken out of a payload, and comes back to the byte while its key is there."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.archive.keys import FileWrapping, Keys
from smug_platform.archive.records import SqliteRecords
from smug_platform.archive.seal import NOBODY, seal, unseal
from smug_platform.errors import ArchiveError
from smug_platform.tables.table import Table
from tests.history import compact

TABLE = Table(
    name="photos", domain="photos", owner="team:photos", account="account_id",
    pii={"body": "free_text", "place": "address"},
)  # fmt: skip
HARD = ['a "body":"x" \\', "\\\\", 'ends with "', "Straße\n\t", '},"source":{', '},"after":{', ""]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return keys_in(tmp_path)


def keys_in(folder: Path) -> Keys:
    return Keys(SqliteRecords(folder / "records.db"), FileWrapping(folder / "wrapping.key"))


def row(account: object, body: object, place: object = None, n: object = 1) -> dict[str, Any]:
    return {"id": 1, "account_id": account, "body": body, "n": n, "place": place}


def event(before: object, after: object) -> str:
    source = {"name": "shard_0", "body": "not personal", "account_id": 9}
    return compact({"before": before, "after": after, "source": source, "op": "u"})


def table(*payloads: str) -> pa.Table:
    ops = pa.array(["u"] * len(payloads))
    return pa.table({"payload": pa.array(payloads, pa.string()), "op": ops})


EVENTS = [
    *[event(row(7, "old"), row(7, text)) for text in HARD],
    *[event(None, row(7, text, text)) for text in HARD],
    event(row(7, "gone", 3.25), None),
    event(row(7, {"a": ['}"', 1]}, [1, "é"]), row(7, True, -12)),
    event(row("seven", "x"), row("seven", "y")),
    event(row(7, "mine"), row(8, "yours")),
    event(row(7, None), row(8, "yours")),
    event(row(None, "whose?"), row(None, "nobody's")),
    event({"id": 1}, {"id": 1, "account_id": 7, "place": "here"}),
    compact({"op": "c", "after": row(7, "not as Debezium has it"), "before": None, "source": {}}),
    event({**row(7, "a"), "n": {"x": 1}, "after": {"y": 2}}, row(8, "b")),
]


@pytest.mark.parametrize("payload", EVENTS)
def test_sealed_and_opened_it_is_the_same_to_the_byte(keys: Keys, payload: str) -> None:
    sealed = seal(table(payload), TABLE, keys)
    assert sealed["payload"][0].as_py() != payload
    assert unseal(sealed, TABLE, keys)["payload"].to_pylist() == [payload]


def test_many_at_once_are_what_each_is_alone(keys: Keys) -> None:
    many = [*EVENTS, *reversed(EVENTS)] * 3
    sealed = seal(table(*many), TABLE, keys)
    alone = {payload: seal(table(payload), TABLE, keys) for payload in EVENTS}
    for name in ("payload", "account", "account_before"):
        assert sealed[name].to_pylist() == [alone[payload][name][0].as_py() for payload in many]
    assert unseal(sealed, TABLE, keys)["payload"].to_pylist() == many


@given(
    st.lists(st.tuples(st.text(), st.none() | st.text() | st.floats(allow_nan=False)), min_size=1)
)
def test_any_value_is_taken_out_and_put_back(values: list[tuple[str, str | float | None]]) -> None:
    with TemporaryDirectory() as folder:
        keys = keys_in(Path(folder))
        payloads = [event(row(7, body), row(7, body, place)) for body, place in values]
        sealed = seal(table(*payloads), TABLE, keys)
        assert sealed["payload"].to_pylist() == [event(row(7, None), row(7, None)) for _ in values]
        assert unseal(sealed, TABLE, keys)["payload"].to_pylist() == payloads


def test_nothing_personal_is_left_in_what_is_sealed(keys: Keys) -> None:
    words = ["secret-1", "secret-2", "secret-3"]
    sealed = seal(table(event(row(7, words[0], words[1]), row(8, words[2]))), TABLE, keys)
    assert not any(word in str(sealed.to_pylist()) for word in words)


def test_what_is_not_personal_stays_as_it_is(keys: Keys) -> None:
    plain = [event(None, row(7, None)), event(row(7, None), row(7, None, None, 2))]
    sealed = seal(table(*plain), TABLE, keys)
    assert sealed["payload"].to_pylist() == plain
    assert sealed["sealed"].null_count == len(plain)
    assert unseal(sealed, TABLE, keys)["payload"].to_pylist() == plain


def test_a_schema_change_is_no_row(keys: Keys) -> None:
    payload = '{"source":{},"ddl":"x","tableChanges":[{"account_id":1,"body":"name"}]}'
    rows = pa.table({"payload": [payload], "op": ["ddl"]})
    assert seal(rows, TABLE, keys)["payload"].to_pylist() == [payload]


def test_a_destroyed_key_leaves_null_for_that_account_alone(keys: Keys) -> None:
    both = [event(row(7, "mine"), row(8, "yours")), event(None, row(8, "also"))]
    sealed = seal(table(*both), TABLE, keys)
    assert keys.destroy("7")
    assert unseal(sealed, TABLE, keys)["payload"].to_pylist() == [
        event(row(7, None), row(8, "yours")),
        both[1],
    ]


def test_no_key_is_made_again_for_a_destroyed_account(keys: Keys) -> None:
    keys.destroy("7")
    sealed = seal(table(event(None, row(7, "later"))), TABLE, keys)
    assert sealed["sealed"].to_pylist() == [b""]
    opened = unseal(sealed, TABLE, keys)["payload"].to_pylist()
    assert opened == [event(None, row(7, None))]
    assert keys.destroyed() == ["7"]


def test_a_row_of_no_account_is_sealed_all_the_same(keys: Keys) -> None:
    sealed = seal(table(event(None, row(None, "whose?"))), TABLE, keys)
    assert sealed["account"].to_pylist() == [NOBODY]


def test_what_was_changed_is_not_opened(keys: Keys) -> None:
    sealed = seal(table(event(None, row(7, "mine"))), TABLE, keys)
    text = bytearray(sealed["sealed"][0].as_py())
    text[-1] ^= 1
    forged = sealed.set_column(3, "sealed", pa.array([bytes(text)]))
    assert sealed.column_names[3] == "sealed"
    with pytest.raises(ArchiveError, match="is not what was sealed"):
        unseal(forged, TABLE, keys)


def test_other_personal_columns_than_were_sealed(keys: Keys) -> None:
    sealed = seal(table(event(None, row(7, "mine"))), TABLE, keys)
    fewer = Table(name="photos", domain="x", owner="y", account="account_id", pii={"body": "name"})
    with pytest.raises(ArchiveError, match="1 columns of photos are personal, and 2 were sealed"):
        unseal(sealed, fewer, keys)


def test_threads_that_ask_for_other_accounts_take_no_key_away(keys: Keys) -> None:
    keys.made(["7", "8"])
    known = keys.known(["7"])
    assert set(keys.known(["8"])) == {"8"}
    assert set(known) == {"7"}


def test_the_wrapping_key_is_its_owners_alone(keys: Keys, tmp_path: Path) -> None:
    keys.made(["7"])
    path = tmp_path / "wrapping.key"
    assert (path.stat().st_mode & 0o777, len(path.read_bytes())) == (0o600, 32)
    assert (tmp_path / "records.db").stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ArchiveError, match="others can read"):
        FileWrapping(path).key()


def test_a_lost_wrapping_key(keys: Keys, tmp_path: Path) -> None:
    keys.made(["7"])
    (tmp_path / "wrapping.key").unlink()
    with pytest.raises(ArchiveError, match="the key of account 7 can't be unwrapped"):
        keys_in(tmp_path).made(["7"])


def test_a_destroyed_key_is_nowhere_in_the_file(keys: Keys, tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "records.db")
    keys.made([str(number) for number in range(200)])
    wrapped = records.get("key", ["77"])["77"]
    assert wrapped in (tmp_path / "records.db").read_bytes()
    keys.destroy("77")
    assert not any(wrapped in path.read_bytes() for path in tmp_path.glob("records.db*"))
