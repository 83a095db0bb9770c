"""COPY from S3: what is loaded, what is refused, and where the reason is read."""

import gzip
import io
import json
from collections.abc import Mapping
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redshift_connector.error import ProgrammingError

from tests.redshift.connection import Redshift
from tests.redshift.fixtures import Bucket


def parquet(columns: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), out)
    return out.getvalue()


def manifest(bucket: Bucket, *entries: tuple[str, int], **other: object) -> str:
    listed = [{"url": url, "meta": {"content_length": size}, **other} for url, size in entries]
    return bucket.put("manifest.json", json.dumps({"entries": listed}).encode())


def copy(redshift: Redshift, url: str, *options: str, table: str = "t") -> None:
    role = f"iam_role '{redshift.role}'"
    redshift.ask(f"copy {table} from '{url}' {role} {' '.join(options)}")


COLUMNS = {
    "id": pa.array([1, 2], pa.int64()),
    "small": pa.array([3, None], pa.int32()),
    "ratio": pa.array([0.5, -1e300], pa.float64()),
    "price": pa.array([Decimal("12.50"), None], pa.decimal128(12, 2)),
    "name": pa.array(['a\t"b",\n\\c', ""], pa.string()),
    "note": pa.array([None, "é"], pa.string()),
    "is_new": pa.array([True, False]),
    "day": pa.array([date(2024, 2, 29), None]),
    "at": pa.array([datetime(2024, 2, 29, 1, 2, 3, 456789), None], pa.timestamp("us")),
}
_TABLE = """
    create table t (
        id bigint, small integer, ratio double precision, price decimal(12, 2), name varchar(20),
        note varchar(2), is_new boolean, day date, at timestamp
    )
"""


def test_values(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask(_TABLE)
    copy(redshift, bucket.put("one.parquet", parquet(COLUMNS)), "format as parquet")
    assert redshift.ask("select * from t order by id") == list(
        zip(*(values.to_pylist() for values in COLUMNS.values()), strict=True)
    )


def test_all_of_a_prefix(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id bigint)")
    for number in range(3):
        bucket.put(f"part/{number}.parquet", parquet({"id": [number]}))
    bucket.put("part/_SUCCESS", b"not data")
    copy(redshift, f"{bucket.url}part/", "parquet")
    assert redshift.ask("select id from t order by id") == [(0,), (1,), (2,)]


def test_what_a_manifest_lists(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id bigint)")
    bodies = [parquet({"id": [number]}) for number in range(3)]
    urls = [bucket.put(f"{number}.parquet", body) for number, body in enumerate(bodies)]
    listed = manifest(bucket, (urls[0], len(bodies[0])), (urls[2], len(bodies[2])))
    copy(redshift, listed, "manifest format parquet")
    assert redshift.ask("select id from t order by id") == [(0,), (2,)]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"mandatory": True, "meta": {"content_length": 1}}, "S3"),
        ({"meta": {"content_length": 1}}, "No file"),
        ({"mandatory": True}, "content_length"),
    ],
)
def test_a_manifest_of_what_is_not_there(
    redshift_module: Redshift, bucket: Bucket, entry: dict[str, object], reason: str
) -> None:
    redshift_module.ask("create table if not exists gone (id bigint)")
    listed = {"entries": [{"url": f"{bucket.url}gone.parquet", **entry}]}
    url = bucket.put("manifest.json", json.dumps(listed).encode())
    match = reason if redshift_module.emulated else None
    with pytest.raises(ProgrammingError, match=match):
        copy(redshift_module, url, "manifest format parquet", table="gone")


def test_a_manifest_with_a_wrong_size(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id bigint)")
    body = parquet({"id": [1]})
    listed = manifest(bucket, (bucket.put("one.parquet", body), len(body) + 1))
    with pytest.raises(ProgrammingError):
        copy(redshift, listed, "manifest parquet")


def test_it_goes_back_with_its_transaction(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id bigint)")
    url = bucket.put("one.parquet", parquet({"id": [1, 2]}))
    with closing(redshift.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"copy t from '{url}' iam_role '{redshift.role}' parquet")
        cursor.execute("select count(*), pg_last_copy_count() from t")
        assert cursor.fetchone() == [2, 2]
        connection.rollback()
    assert redshift.ask("select count(*) from t") == [(0,)]


def test_into_some_columns(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (a int default 5, b bigint)")
    url = bucket.put("one.parquet", parquet({"b": [1]}))
    redshift.ask(f"copy t (b) from '{url}' iam_role '{redshift.role}' parquet")
    assert redshift.ask("select a, b from t") == [(5, 1)]


def test_into_a_temporary_table(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id bigint)")
    url = bucket.put("one.parquet", parquet({"id": [1]}))
    with closing(redshift.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("create temp table staged (like t)")
        cursor.execute(f"copy staged from '{url}' iam_role '{redshift.role}' parquet")
        cursor.execute("insert into t select * from staged")
    assert redshift.ask("select id from t") == [(1,)]


def test_json_text_is_not_parsed(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (a super, b super)")
    nested = pa.array([{"k": [1, 2]}])
    url = bucket.put("one.parquet", parquet({"a": ['{"k": 1}'], "b": nested}))
    with pytest.raises(ProgrammingError, match="Spectrum Scan Error"):
        copy(redshift, url, "parquet")
    copy(redshift, url, "parquet serializetojson")
    assert redshift.ask("select json_typeof(a), json_typeof(b) from t") == [("string", "object")]
    assert redshift.ask("select json_typeof(json_parse('{\"k\": 1}'))") == [("object",)]


@pytest.mark.parametrize(
    ("declared", "columns"),
    [
        ("(a bigint)", {"a": [1], "b": [2]}),
        ("(a bigint, b bigint)", {"a": [1]}),
        ("(a bigint)", {"a": pa.array([1], pa.int32())}),
        ("(a int)", {"a": [1]}),
        ("(a varchar(5))", {"a": [1]}),
        ("(a bigint)", {"a": ["1"]}),
        ("(a decimal(12, 2))", {"a": pa.array([Decimal("1.234")], pa.decimal128(12, 3))}),
        ("(a decimal(12, 2))", {"a": pa.array([Decimal("1.23")], pa.decimal128(13, 2))}),
        ("(a timestamp)", {"a": ["2024-01-01"]}),
        ("(a varchar(3))", {"a": ["éé"]}),
        ("(a bigint not null)", {"a": pa.array([None], pa.int64())}),
    ],
)
def test_a_file_that_does_not_fit(
    redshift_module: Redshift, bucket: Bucket, declared: str, columns: dict[str, Any]
) -> None:
    redshift_module.ask("drop table if exists t")
    redshift_module.ask(f"create table t {declared}")
    with pytest.raises(ProgrammingError):
        copy(redshift_module, bucket.put("one.parquet", parquet(columns)), "parquet")
    assert redshift_module.ask("select count(*) from t") == [(0,)]


@pytest.mark.parametrize(
    "options",
    [
        "parquet maxerror 10",
        "parquet acceptanydate",
        "parquet gzip",
        "parquet ignoreheader 1",
        "format as arrow",
        "parquet sideways",
    ],
)
def test_refused_options(redshift_module: Redshift, bucket: Bucket, options: str) -> None:
    redshift_module.ask("create table if not exists opts (id bigint)")
    url = bucket.put("one.parquet", parquet({"id": [1]}))
    with pytest.raises(ProgrammingError):
        copy(redshift_module, url, options, table="opts")


@pytest.mark.parametrize(
    "statement",
    [
        "copy opts from '{url}' parquet",
        "copy opts from '{url}' iam_role 'nobody' parquet",
        "copy opts from stdin",
        "copy nowhere from '{url}' iam_role default parquet",
        "copy opts (nothing) from '{url}' iam_role default parquet",
        "copy opts from '{url}nothing' iam_role default parquet",
    ],
)
def test_refused(redshift_module: Redshift, bucket: Bucket, statement: str) -> None:
    redshift_module.ask("create table if not exists opts (id bigint)")
    url = bucket.put("one.parquet", parquet({"id": [1]}))
    with pytest.raises(ProgrammingError):
        redshift_module.ask(statement.format(url=url))


def test_load_errors_outlive_the_rollback(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id bigint, name varchar(3))")
    url = bucket.put("one.parquet", parquet({"id": [1, 2], "name": ["ok", "too long"]}))
    with closing(redshift.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        with pytest.raises(ProgrammingError):
            cursor.execute(f"copy t from '{url}' iam_role '{redshift.role}' parquet")
        connection.rollback()
        cursor.execute("select pg_last_copy_id(), pg_backend_pid()")
        query, session = cursor.fetchone()
    found = redshift.ask(
        "select trim(filename), trim(colname), trim(err_reason) from stl_load_errors"
        f" where query = {query} and session = {session}"
    )
    assert [(file, column) for file, column, _ in found] == [(url, "name")]
    assert "longer than the length" in found[0][2]
    detail = "select column_name, error_message from sys_load_error_detail where query_id = "
    assert "Table: 3, Data: 8" in redshift.ask(f"{detail}{query}")[0][1]


def test_csv(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id int, name varchar(9))")
    url = bucket.put("one.csv", b'id,name\n1,"a,b"\n2,\n')
    copy(redshift, url, "csv ignoreheader 1")
    assert redshift.ask("select * from t order by id") == [(1, "a,b"), (2, "")]


def test_delimited_text(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id int, name varchar(3))")
    url = bucket.put("one.txt", gzip.compress('1|"é"é\n|\\N\n'.encode()))
    copy(redshift, url, "gzip truncatecolumns emptyasnull")
    assert redshift.ask("select * from t order by id") == [(1, '"é'), (None, None)]


def test_json(redshift: Redshift, bucket: Bucket) -> None:
    redshift.ask("create table t (id int, name varchar(9), body super)")
    url = bucket.put("one.json", b'{"id": 1, "body": {"k": 1}}\n{"name": "x", "id": 2}\n')
    copy(redshift, url, "json 'auto'")
    found = redshift.ask("select id, name, json_typeof(body) from t order by id")
    assert found == [(1, None, "object"), (2, "x", None)]


@pytest.mark.parametrize(
    ("body", "options", "line"),
    [
        (b"1,a\n2,toolong\n", "csv", 2),
        (b"1,a\n2\n", "csv", 2),
        (b'{"id": 1}\n{"id": \n', "json 'auto'", 2),
    ],
)
def test_a_line_that_does_not_fit(
    redshift: Redshift, bucket: Bucket, body: bytes, options: str, line: int
) -> None:
    redshift.ask("create table t (id int, name varchar(3))")
    with pytest.raises(ProgrammingError, match="stl_load_errors"):
        copy(redshift, bucket.put("one.txt", body), options)
    assert redshift.ask("select line_number from stl_load_errors") == [(line,)]
