"""A live stream of Flickr's counted tables, made minute by minute: what members do all day.

Of ten changes three are new photos, two retitled photos, two favorites, one a comment, one a new
order and one an order that is refunded. Records are packed as the producer packs them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from smug_platform.capture.change import Change, encode
from smug_platform.stream.aggregate import pack, unpack
from smug_platform.stream.lanes import LANES, hash_key
from smug_platform.stream.reader import Batch, StreamPositions
from smug_platform.stream.records import Gathered, Origin

START = datetime(2026, 1, 1, tzinfo=UTC)
_RECORD = 500  # changes of a lane in one record of the stream
_COLUMNS = {
    "photos": "id BIGINT UNSIGNED,account_id BIGINT UNSIGNED,title VARCHAR,description TEXT,"
    "media ENUM,visibility ENUM,license_id TINYINT UNSIGNED,tags TEXT,exif JSON,"
    "bytes INT UNSIGNED,width MEDIUMINT UNSIGNED,height MEDIUMINT UNSIGNED,latitude DECIMAL,"
    "longitude DECIMAL,taken_at DATETIME,uploaded_at DATETIME,updated_at TIMESTAMP",
    "favorites": "account_id BIGINT UNSIGNED,photo_id BIGINT UNSIGNED,created_at DATETIME",
    "comments": "id BIGINT UNSIGNED,photo_id BIGINT UNSIGNED,account_id BIGINT UNSIGNED,body TEXT,"
    "is_spam TINYINT,created_at DATETIME,edited_at DATETIME",
    "orders": "id BIGINT UNSIGNED,account_id BIGINT UNSIGNED,status ENUM,total DECIMAL,"
    "tax_rate DECIMAL,currency CHAR,ship_to VARCHAR,placed_at DATETIME,updated_at TIMESTAMP",
}
_SCALES = {"total": (12, 2), "tax_rate": (5, 4), "latitude": (9, 6), "longitude": (9, 6)}
_AT = "epoch_us(make_timestamp(ts * 1000))"
_STAMP = "strftime(make_timestamp(ts * 1000), '%Y-%m-%dT%H:%M:%S.%gZ')"
_ROWS = {
    "photos": f"""{{id: k, account_id: k // 50, title: 'sunset over the sea ' || v,
        description: 'taken on the way down, "handheld", with the old lens', media: 'photo',
        visibility: 'public', license_id: k % 11, tags: 'sea sunset пляж summer evening',
        exif: '{{"camera":"X100","iso":' || (100 + k % 800) || '}}', bytes: 3000000 + k % 1000,
        width: 6000, height: 4000, latitude: '52.' || (100000 + k % 800000),
        longitude: '13.' || (100000 + k % 800000), taken_at: {_AT} - 86400000000,
        uploaded_at: {_AT}, updated_at: {_STAMP}}}""",
    "favorites": f"{{account_id: k % 100000, photo_id: k, created_at: {_AT}}}",
    "comments": f"""{{id: k, photo_id: k // 3, account_id: k % 9999, is_spam: 0,
        body: 'what a light, and what a place to be in the evening', created_at: {_AT},
        edited_at: null}}""",
    "orders": f"""{{id: k, account_id: k % 9999, status: if(v = 0, 'placed', 'refunded'),
        total: (k % 90 + 10) || '.50', tax_rate: '0.0800', currency: if(k % 3 = 0, 'EUR', 'USD'),
        ship_to: 'Hauptstr. 1, Berlin', placed_at: {_AT}, updated_at: {_STAMP}}}""",
}
_KEYS = {"favorites": ("account_id", "photo_id")}
_KINDS = {0: "photos", 1: "photos", 2: "photos", 3: "photos", 4: "photos", 5: "favorites",
          6: "favorites", 7: "comments", 8: "orders", 9: "orders"}  # fmt: skip
_UPDATES = "(3, 4, 9)"
_MADE = """
select '{shard}.flickr.{table}' as topic, n, op, ts, pos,
       json_object({key}) as key,
       '{{"before":' || if(op = 'u', json_merge_patch(row, old), 'null') || ',"after":' || row
       || ',"source":{{"version":"3.6.0.Final","connector":"mysql","name":"{shard}","ts_ms":' || ts
       || ',"snapshot":"false","db":"flickr","sequence":null,"ts_us":' || ts || '000,"ts_ns":' || ts
       || '000000,"table":"{table}","server_id":11,"gtid":null,"file":"binlog.000002","pos":' || pos
       || ',"row":0,"thread":7,"query":null}},"transaction":null,"op":"' || op || '","ts_ms":' || ts
       || ',"ts_us":' || ts || '000,"ts_ns":' || ts || '000000}}' as payload
from (
  select *, to_json({row}) as row, {old} as old from (
    select n, if(n % 10 in {updates}, 'u', 'c') as op, if(n % 10 in {updates}, 1, 0) as v,
           n as k, {first} + (n - {start}) * {milliseconds} // {count} as ts, 1000 + n * 400 as pos
    from range({start}, {start} + {count}) as r(n) where n % 10 in {kinds}))
"""
_ENVELOPES = """
select lane, list(envelope order by n) as envelopes from (
  select n, ('0x' || md5(topic || chr(9) || key)[1])::integer as lane,
         encode('{{"epoch":1,"topic":"' || topic || '",' || chr(10) || '"key":' || key || ','
                || chr(10) || '"value":' || payload || '}}') as envelope
  from ({made}))
group by lane order by lane
"""


def expected(changes: int) -> dict[str, int]:
    """What so many changes, a multiple of ten, come to."""
    tenth = changes // 10
    return {"uploads": 3 * tenth, "favorites": 2 * tenth, "comments": tenth, "orders": tenth}


@dataclass
class Day:
    """A reader of a stream that goes on for as long as it is asked.

    rate: changes a second of the source's time; seconds: of it in one read. What a read hands out
    was packed before, and is taken apart in it as from Kinesis. now: the source's time.
    """

    rate: int
    seconds: float
    made: int = 0
    now: float = START.timestamp()
    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    _sequence: int = 0

    def prepare(self) -> int:
        """Make the next changes; how many."""
        if not self.made:
            self.waiting = [(lane, pack(list(_schemas()), hash_key(lane))) for lane in range(LANES)]
        count = int(self.rate * self.seconds) // 20 * 10
        for shard in range(2):
            self.waiting += _records(f"shard_{shard}", self.made, count, self.now, self.seconds)
        self.made += count
        self.now += self.seconds
        return 2 * count

    def read(self, after: StreamPositions | None, **_bounds: Any) -> Batch:
        """As the reader of a stream."""
        del after
        found = Gathered()
        for lane, data in self.waiting:
            self._sequence += 1
            shard, sequence = f"shardId-{lane // 8}", str(self._sequence)
            partition = f"lane-{lane:02d}"
            envelopes = unpack(data)
            origin = Origin(shard, sequence, partition)
            found.add(origin, envelopes, range(len(envelopes)))
        self.waiting = []
        sequences = dict.fromkeys(("shardId-0", "shardId-1"), str(self._sequence))
        return Batch(found.records(), [], StreamPositions("bench", sequences), timedelta(0))


def _schemas() -> Iterator[tuple[str, bytes]]:
    """Each shard's CREATE of each table, as every lane carries it."""
    for shard in ("shard_0", "shard_1"):
        for table, columns in _COLUMNS.items():
            yield "0", encode(Change(shard, b"{}", _created(table, columns).encode()), 1)


def _created(table: str, columns: str) -> str:
    described = [
        {
            "name": name, "typeName": kind, "optional": True, "defaultValueExpression": None,
            "enumValues": None, "charsetName": None, "position": number,
            "length": _SCALES.get(name, (6, None))[0], "scale": _SCALES.get(name, (6, None))[1],
        }
        for number, (name, kind) in enumerate((c.split(" ", 1) for c in columns.split(",")), 1)
    ]  # fmt: skip
    change = {"type": "CREATE", "id": f'"flickr"."{table}"', "table": {"columns": described}}
    began = int(START.timestamp() * 1000)
    source = {"file": "binlog.000002", "pos": 4, "ts_ms": began, "ts_us": began * 1000}
    event = {"source": source, "ddl": f"CREATE TABLE {table}", "tableChanges": [change]}
    return json.dumps(event, separators=(",", ":"))


def _records(
    shard: str, start: int, count: int, now: float, seconds: float
) -> Iterator[tuple[int, bytes]]:
    """(lane, record) pairs of the next changes of a shard."""
    parts = []
    for table, row in _ROWS.items():
        kinds = tuple(kind for kind, name in _KINDS.items() if name == table)
        names = _KEYS.get(table, ("id",))
        key = ", ".join(f"'{name}', (row->>'$.{name}')::bigint" for name in names)
        old = '\'{"status":"placed"}\'' if table == "orders" else '\'{"title":"untitled"}\''
        parts.append(
            _MADE.format(
                shard=shard, table=table, row=row, key=key, old=old,
                updates=_UPDATES, start=start, count=count, first=int(now * 1000),
                milliseconds=int(seconds * 1000), kinds=f"({', '.join(map(str, kinds))},)",
            )
        )  # fmt: skip
    with duckdb.connect() as connection:
        query = _ENVELOPES.format(made=" union all by name ".join(parts))
        for lane, envelopes in connection.execute(query).fetchall():
            for at in range(0, len(envelopes), _RECORD):
                some = [("0" * 32, each) for each in envelopes[at : at + _RECORD]]
                yield lane, pack(some, hash_key(lane))
