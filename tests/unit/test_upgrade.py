"""From one release to the next and back: what the other wrote is read, or refused in words."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smug_platform.archive.manifest import Chain, Manifest, Sealed, Taken
from smug_platform.capture.position import Position
from smug_platform.capture.sink import Heat
from smug_platform.capture.state import Mark, State, Unread, decode_state, encode_state
from smug_platform.capture.status import Status, decode_status, encode_status
from smug_platform.capture.store import Store
from smug_platform.errors import NewerState
from smug_platform.iceberg import load as load_table
from smug_platform.lake import state as lake
from smug_platform.lake.feed import Relief
from smug_platform.lake.merge import name_of
from smug_platform.lake.types import SourceColumn
from smug_platform.raw import deltas as raw
from smug_platform.raw import land as landing
from smug_platform.raw.continuity import reached, steps_back
from smug_platform.settings import load_settings
from smug_platform.sync import Platform
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse import ddl
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.load import load_of
from tests.history import Shard, column
from tests.recorded import Recorded, RecordedStream
from tests.states import hold_of

_OFFSET = '{"file":"binlog.000002","pos":4}'
_TIMES = ("2026-01-01T00:00:00Z",) * 2
_SEALED = Sealed(
    name="n", table="t", rows=1, bytes=2, sha256="s", first="1/1:4#0", last="1/1:4#0", positions="a"
)
STATES: dict[str, tuple[Any, Callable[[Any], str | bytes], Callable[[Any], Any]]] = {
    "capture": (
        State(
            1, 7, None, "first", ("t",), _OFFSET, Position(1, 2, 4), {"a": "1"},
            Mark("binlog.000002", 4, "d"), ("h",), (Unread("t", low=("1",), numbers=("id",)),),
        ),
        encode_state,
        decode_state,
    ),
    "status": (
        Status("s", "streaming", position=Position(1, 2, 4), heat=Heat(1, 2, 3, 0.5, "k", 0.5)),
        encode_status,
        decode_status,
    ),
    "lake": (
        lake.State(
            schemas={"s": (4, (SourceColumn("id", "INT", None, None, optional=False),))},
            floors={"s": 10**30},
            fills=(lake.Fill("s", "c", 5, "1"),),
        ),
        lake.State.to_json,
        lake.State.from_json,
    ),
    "manifest": (
        Manifest(
            shard="s", number=1, hour="2026-01-31T07", previous="", rows_before=0, rows=1,
            raw=Taken(table="r", after=0, through=1, complete=True), first="1/1:4#0",
            last="1/1:4#0", objects=(_SEALED,), sealed_at=_TIMES[0],
        ),
        Manifest.to_bytes,
        Manifest.from_bytes,
    ),
    "chain": (
        Chain("s", 1, "h", 2, "r", 3, {"2026-01-31T07": 4}), Chain.to_bytes, Chain.from_bytes,
    ),
    "load": (
        load_of(["t", 1, 2, *_TIMES, '{"s": 3}', Relief(deltas=5).to_json()]).relief,
        Relief.to_json,
        lambda text: load_of(["t", 1, 2, *_TIMES, "{}", text]).relief,
    ),
}  # fmt: skip
STAMPED = ["capture", "lake", "manifest"]


def with_more(found: Any) -> Any:
    """What a newer release may write: something beside in each part that has names."""
    if isinstance(found, list):
        return [with_more(one) for one in found]
    if not isinstance(found, Mapping):
        return found
    parts = {name: with_more(value) for name, value in found.items()}
    return parts | ({"compass": {"north": 1}} if _has_names(found) else {})


def _has_names(found: Mapping[str, Any]) -> bool:
    """Whether those of fields; a mapping by shard, table or hour has others."""
    return bool(found.keys() & {"epoch", "file", "table", "name", "records", "schemas", "number",
                                "column", "deltas", "format", "incarnation"})  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_R07_what_a_newer_release_put_beside_is_left_out(name: str) -> None:
    value, encode, decode = STATES[name]
    written = json.loads(encode(value))
    assert decode(json.dumps(with_more(written))) == value
    assert json.dumps(with_more(written)).count("compass") >= 1
    older = {field: held for field, held in written.items() if field != "format"}
    assert decode(json.dumps(older)) == value


@pytest.mark.parametrize("name", STAMPED)
def test_R07_another_format_is_refused_in_words(name: str) -> None:
    value, encode, decode = STATES[name]
    newer = json.dumps(json.loads(encode(value)) | {"format": 2})
    with pytest.raises((NewerState, ValueError), match=r"of format 2, this .*install the release"):
        decode(newer)


def test_R07_what_is_of_a_newer_format_stays_as_it_is(tmp_path: Path) -> None:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    hold = hold_of(settings)
    hold.save(STATES["capture"][0])
    store: Store = hold._store
    items = store._items
    text = str(items.get("shard_0", "state")["state"]).replace('"format": 1', '"format": 2')
    items.update("shard_0", "state", {"state": text}, expect={})
    with pytest.raises(NewerState, match="the state of capture is of format 2"):
        store.state("shard_0")
    assert items.get("shard_0", "state")["state"] == text


def test_R07_a_newer_release_and_then_this_one_again_go_on_from_raw_to_the_warehouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    shard, stream = Shard("shard_0", "photos", [column("id", "BIGINT UNSIGNED")]), Recorded()
    shard.snapshot()
    written = 0
    for number, newer in enumerate((False, True, False)):
        with monkeypatch.context() as release:
            if newer:
                _as_newer(release)
            shard.insert({"id": number + 1})
            stream.put_deltas(shard.deltas[written:])
            written = len(shard.deltas)
            platform = Platform(settings, FLICKR, stream=RecordedStream(settings, stream))
            assert sum(landed.deltas for landed in platform.land()) > 0
            for target in platform.unmerged():
                platform.merge(target)
            assert [loaded for loaded in platform.load() if isinstance(loaded, Exception)] == []
        catalog = platform.lakehouse.catalog
        assert ("compass" in raw.summary(raw.open_deltas(catalog))["smug.stream"]) == newer
        photos = load_table(catalog, name_of(platform.targets[2]))
        assert photos is not None
        with connect(settings) as warehouse:
            rows = warehouse.execute("select id from warehouse.photos order by 1").fetchall()
            if newer:
                warehouse.execute(f"alter table {ddl.LOADS} add column compass varchar")
        assert [int(id_) for (id_,) in rows] == [row["id"] for row in shard.rows]
    deltas = raw.open_deltas(catalog)
    assert deltas.scan().count() == len(shard.deltas)
    assert list(steps_back(reached(deltas))) == []
    with monkeypatch.context() as release:
        release.setattr(landing, "FORMAT", 2)
        shard.insert({"id": 9})
        stream.put_deltas(shard.deltas[written:])
        list(platform.land())
    with pytest.raises(NewerState, match="the place of raw in the stream is of format 2"):
        list(platform.land())


def _as_newer(release: pytest.MonkeyPatch) -> None:
    """What is written from now on has something beside."""
    for owner in (lake.State, Relief):
        release.setattr(owner, "to_json", _more(owner.to_json))
    summary = landing._summary

    def more(*arguments: Any) -> dict[str, str]:
        found = summary(*arguments)
        return found | {"smug.stream": _beside(found["smug.stream"])}

    release.setattr(landing, "_summary", more)


def _more(inner: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: _beside(inner(value))


def _beside(text: str) -> str:
    return json.dumps(with_more(json.loads(text)))
