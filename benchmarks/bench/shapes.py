"""The tables that are measured: their columns, as the source declares them, and their values.

A value is an SQL expression of two numbers: `k`, the number of the row's key, and `v`, its version.
So a row can be made anywhere, at any version, without the ones before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smug_platform.lake.target import Target
from smug_platform.tables.table import Table

SHARDS = 2
SHARD = f"'shard_' || k % {SHARDS}"
_WORDS = (
    "['sunset','пляж','sea','café','\"quoted\"','back\\slash','Straße','mountain','dog','night']"
)
_WIRE = {  # what Debezium writes: exact decimals as text, DATETIME in microseconds
    "BIGINT UNSIGNED": "{0}::ubigint",
    "DECIMAL": "{0}::varchar",
    "DATETIME": "epoch_us({0})",
    "TIMESTAMP": "replace({0}::varchar, ' ', 'T') || 'Z'",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its MySQL type, and the SQL of its value in the lake's type."""

    name: str
    type: str
    value: str
    length: int | None = None
    scale: int | None = None

    @property
    def wire(self) -> str:
        """The SQL of the value as JSON has it."""
        return _WIRE.get(self.type, "{0}").format(f"({self.value})")


@dataclass(frozen=True)
class Shape:
    """A table. Its first column is the key."""

    name: str
    about: str
    fields: tuple[Field, ...]

    @property
    def key(self) -> str:
        """The key's column."""
        return self.fields[0].name

    @property
    def target(self) -> Target:
        """The table as the lake has it."""
        table = Table(name=self.name, domain="bench", owner="team:bench", key=(self.key,))
        return Target(table)

    def values(self) -> str:
        """The SQL of a row in the lake's types."""
        return ", ".join(f"{field.value} as {field.name}" for field in self.fields)

    def image(self, version: str) -> str:
        """The SQL of a row's JSON."""
        wire = ", ".join(f"{field.name}: {field.wire}" for field in self.fields)
        return f"to_json({{{wire}}})::varchar".replace("$v", version)

    def created(self) -> dict[str, Any]:
        """Debezium's event of the table's CREATE."""
        columns = [
            {
                "name": field.name,
                "typeName": field.type,
                "length": field.length,
                "scale": field.scale,
                "optional": field.name != self.key,
                "defaultValueExpression": None,
                "enumValues": None,
                "charsetName": None,
                "position": position,
            }
            for position, field in enumerate(self.fields, 1)
        ]
        change = {"type": "CREATE", "id": f'"flickr"."{self.name}"', "table": {"columns": columns}}
        ddl = f"CREATE TABLE {self.name}"
        return {"ddl": ddl, "source": {"ts_ms": 0}, "tableChanges": [change]}


def _words(count: int, salt: int) -> str:
    picked = [f"{_WORDS}[1 + (k * 7 + $v * 3 + {salt + n}) % 10]" for n in range(count)]
    return " || ' ' || ".join(picked)


_REST = (
    Field("owner_id", "BIGINT UNSIGNED", "(k // 50 + 9000000000)::decimal(20,0)"),
    Field("title", "VARCHAR", f"if(k % 31 = 0, null, {_words(3, 0)} || $v)", 255),
    Field("price", "DECIMAL", "((k * 37 + $v) % 100000000 / 100)::decimal(18,2)", 18, 2),
    Field("created_at", "DATETIME", "make_timestamp(1600000000000000 + k * 1000000)", 6),
    Field("tags", "VARCHAR", f"if(k % 17 = 0, null, {_words(3, 5)})", 255),
    Field("visibility", "TINYINT", "((k + $v) % 4)::integer"),
    Field("updated_at", "TIMESTAMP", "make_timestamp(1760000000000000 + $v * 1000000)"),
)
_NUMBER = Field("id", "BIGINT UNSIGNED", "(k * 4 + 1)::decimal(20,0)")
_TEXT = Field("id", "VARCHAR", "md5(k::varchar)", 32)
_KINDS = (
    ("INT", "((k * 13 + $v * {n}) % 1000000)::integer"),
    ("BIGINT", "(k * 1000003 + $v * {n})::bigint"),
    ("VARCHAR", "'value ' || (k + $v * {n}) % 5000"),
    ("DOUBLE", "((k * {n} + $v) % 100000 / 7)::double"),
    ("DATETIME", "make_timestamp(1700000000000000 + (k + {n} + $v) % 10000000 * 1000000)"),
)


def _many() -> Iterator[Field]:
    for number in range(60 - 1 - len(_REST)):
        kind, value = _KINDS[number % len(_KINDS)]
        length = {"VARCHAR": 64, "DATETIME": 6}.get(kind)
        yield Field(f"c{number:02}", kind, value.replace("{n}", str(number + 1)), length)


NARROW = Shape("photos", "8 columns, key of 64 bits", (_NUMBER, *_REST))
TEXT = Shape("photos_by_text", "8 columns, key of 32 characters", (_TEXT, *_REST))
WIDE = Shape("photos_wide", "60 columns, key of 64 bits", (_NUMBER, *_REST, *_many()))
SHAPES = {"narrow": NARROW, "text": TEXT, "wide": WIDE}
