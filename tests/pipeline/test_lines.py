"""What Java writes of a batch, held to the converter that Debezium's own JSON comes from."""

import json
import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jpype
import pytest

from smug_platform.capture import compiler
from smug_platform.capture.change import Change
from smug_platform.capture.compiler import java_class
from smug_platform.capture.config import engine_properties
from smug_platform.capture.consumer import BatchReader
from smug_platform.capture.jvm import java_map, start_jvm
from smug_platform.settings import Shard
from smug_platform.tables.flickr import FLICKR

SHARD = Shard("shard_3", "h", 3306, "u", "p")
PROPERTIES = engine_properties(SHARD, FLICKR, Path("/"))
TEXTS = [
    "",
    "Straße",
    'a "quoted" \\ text',
    "tab\tline\nnull\x00bell\x07",
    "😀 𝄞",
    "\u2028",
    "x" * 9000,
]
NUMBERS = ["0", "18446744073709551615", "-1.50", "1E+3", "1.00000000000000000000000001", "0E-10"]


@pytest.fixture(scope="module", autouse=True)
def jvm(tmp_path_factory: pytest.TempPathFactory) -> None:
    start_jvm(tmp_path_factory.mktemp("logs"))


def boxed(kind: str, value: Any) -> Any:
    return jpype.JClass(f"java.lang.{kind}").valueOf(value)


def schemas() -> Any:
    return jpype.JClass("org.apache.kafka.connect.data.SchemaBuilder")


def texts() -> tuple[Any, list[Any]]:
    return schemas().string(), list(map(jpype.JString, TEXTS))


def numbers() -> tuple[Any, list[Any]]:
    decimal = jpype.JClass("org.apache.kafka.connect.data.Decimal")
    return decimal.builder(0), list(map(jpype.java.math.BigDecimal, NUMBERS))


def integers() -> tuple[Any, list[Any]]:
    return schemas().int64(), [boxed("Long", one) for one in (-(2**63), 0, 2**63 - 1)]


def small_integers() -> tuple[Any, list[Any]]:
    return schemas().int16(), [boxed("Short", jpype.JShort(one)) for one in (-32768, 7)]


def floats() -> tuple[Any, list[Any]]:
    some = (0.0, -0.0, 1e300, 5e-324, 1 / 3, 1e7, math.nan, math.inf)
    return schemas().float64(), [boxed("Double", one) for one in some]


def singles() -> tuple[Any, list[Any]]:
    some = (struct.unpack("f", struct.pack("f", one))[0] for one in (0.1, 1e38, 1 / 3))
    return schemas().float32(), [boxed("Float", jpype.JFloat(one)) for one in some]


def truths() -> tuple[Any, list[Any]]:
    return schemas().bool(), [boxed("Boolean", True), boxed("Boolean", False)]


def byte_strings() -> tuple[Any, list[Any]]:
    return schemas().bytes(), [jpype.JArray(jpype.JByte)(b"\x00\x01\xff")]


def points() -> tuple[Any, list[Any]]:
    """A GEOMETRY: a row within the row, with bytes in it."""
    point = schemas().struct().field("srid", schemas().int32().optional().build())
    point = point.field("wkb", schemas().bytes().build()).optional().build()
    place = jpype.JClass("org.apache.kafka.connect.data.Struct")(point)
    return point, [place.put("wkb", jpype.JArray(jpype.JByte)(b"\x00\xff"))]


def lists() -> tuple[Any, list[Any]]:
    named = schemas().array(schemas().string().optional().build())
    return named, [jpype.java.util.ArrayList(["a", None, "ö"])]


def dates() -> tuple[Any, list[Any]]:
    return jpype.JClass("org.apache.kafka.connect.data.Date").builder(), [jpype.java.util.Date(0)]


KINDS = [texts, numbers, integers, small_integers, floats, singles, truths, byte_strings, points,
         lists, dates]  # fmt: skip


def record_of(schema: Any, value: Any) -> Any:
    """A change with that value as its key, and in an image of a row that was not there before."""
    of = jpype.JClass("org.apache.kafka.connect.data.Struct")
    optional = schema if schema.isOptional() else schema.optional().build()
    row = schemas().struct().field("ключ", optional).field("n", optional).optional().build()
    image = of(row).put("ключ", value)
    change = schemas().struct().field("before", row).field("after", row)
    change = change.field("op", schemas().string().build()).build()
    whole = of(change).put("after", image).put("op", "c")
    none = jpype.java.util.Map.of()
    offset = jpype.java.util.Map.of("file", "b.000002", "pos", boxed("Long", 2**40))
    make = jpype.JClass("org.apache.kafka.connect.source.SourceRecord")
    return make(none, offset, "shard_3.flickr.photos", None, row, image, change, whole)


def read(*records: Any) -> Sequence[Change]:
    return BatchReader(PROPERTIES).read(jpype.java.util.ArrayList(records)).changes


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_values_are_byte_for_byte_the_converters(
    kind: Callable[[], tuple[Any, list[Any]]],
) -> None:
    records = [record_of(*pair) for pair in zip(*_repeated(*kind()), strict=True)]
    settings = {k.removeprefix("converter."): v for k, v in PROPERTIES.items()}
    key, value = (jpype.JClass("org.apache.kafka.connect.json.JsonConverter")() for _ in "kv")
    key.configure(java_map(settings), True)
    value.configure(java_map(settings), False)
    expected = [
        (
            bytes(key.fromConnectData(one.topic(), one.keySchema(), one.key())),
            bytes(value.fromConnectData(one.topic(), one.valueSchema(), one.value())),
        )
        for one in records
    ]
    found = read(*records)
    assert [(one.key, one.value) for one in found] == expected
    assert {one.topic for one in found} == {"shard_3.flickr.photos"}


def _repeated(schema: Any, values: list[Any]) -> tuple[list[Any], list[Any]]:
    """With none at all as well, as the converter writes it."""
    built = schema if schema.isOptional() else schema.optional().build()
    return [built] * (len(values) + 1), [*values, None]


def test_the_offset_is_that_of_the_last_record() -> None:
    record = record_of(schemas().int64().optional().build(), None)
    batch = BatchReader(PROPERTIES).read(jpype.java.util.ArrayList([record]))
    assert json.loads(batch.offset) == {"file": "b.000002", "pos": 2**40}


def test_a_null_in_a_column_with_a_default_stays_null() -> None:
    column = schemas().int64().optional().defaultValue(boxed("Long", 7)).build()
    (change,) = read(record_of(column, None))
    assert change.key == '{"ключ":null,"n":null}'.encode()


def test_a_required_field_without_a_value_is_refused() -> None:
    of = jpype.JClass("org.apache.kafka.connect.data.Struct")
    row = schemas().struct().field("id", schemas().int64().build()).build()
    none = jpype.java.util.Map.of()
    make = jpype.JClass("org.apache.kafka.connect.source.SourceRecord")
    record = make(none, none, "shard_3.flickr.photos", None, row, of(row), row, of(row))
    with pytest.raises(jpype.JException, match="required field id"):
        read(record)


def test_a_source_that_is_no_java_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Wrong.java").write_text("public class Wrong {\n    int n = true;\n}\n")
    monkeypatch.setattr(compiler, "_SOURCES", tmp_path)
    with pytest.raises(ValueError, match=r"line 2: .*boolean"):
        java_class("Wrong")


def test_a_class_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = java_class("Lines")
    assert java_class("Lines") is first  # and loaded once
    java_class.cache_clear()
    monkeypatch.setattr(compiler, "_compiled", lambda *_: pytest.fail("compiled again"))
    assert java_class("Lines").class_.getName() == "Lines"


def test_classes_are_compiled_anew_beside_other_jars(monkeypatch: pytest.MonkeyPatch) -> None:
    system, compiled = jpype.JClass("java.lang.System"), []
    path = str(system.getProperty("java.class.path"))
    original = compiler._compiled

    def counted(name: str, source: str) -> dict[str, bytes]:
        compiled.append(name)
        return original(name, source)

    monkeypatch.setattr(compiler, "_compiled", counted)
    try:
        for _ in range(2):
            java_class.cache_clear()
            system.setProperty("java.class.path", f"{path}:/jars/debezium-9.jar")
            java_class("Lines")
    finally:
        system.setProperty("java.class.path", path)
        java_class.cache_clear()
    assert compiled == ["Lines"]


def test_a_task_that_could_not_start_yet_is_left_to_tell_why() -> None:
    """Debezium starts one again as it is polled, and raises then what stands in the way."""
    java_class("Quiet").hush(jpype.JClass("io.debezium.connector.mysql.MySqlConnectorTask")())


def test_pythons_collector_has_no_javas_run() -> None:
    """JPype asks for one, of the whole heap, each time."""
    beans = jpype.JClass("java.lang.management.ManagementFactory").getGarbageCollectorMXBeans()
    before = [bean.getCollectionCount() for bean in beans]
    jpype.java.lang.System.gc()
    assert [bean.getCollectionCount() for bean in beans] == before
