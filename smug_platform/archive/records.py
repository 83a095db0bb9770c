"""A small table of named values beside the archive: accounts' keys, holds, heads of chains.

SQLite on one machine, DynamoDB on AWS. What is removed from the SQLite file is overwritten in it,
for a key that can be found in a free page is not destroyed.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from smug_platform.aws import code, make_table
from smug_platform.errors import ArchiveError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MANY, _BATCH = 16, 100  # requests at once; items that DynamoDB gives in one


class Records(Protocol):
    """Values by kind and name."""

    def get(self, kind: str, names: Sequence[str]) -> dict[str, bytes]:
        """The values of those names; what is not there is left out."""

    def all(self, kind: str) -> dict[str, bytes]:
        """All values of a kind."""

    def put(self, kind: str, name: str, value: bytes) -> None:
        """Set a value, in the place of another."""

    def add(self, kind: str, values: Mapping[str, bytes]) -> dict[str, bytes]:
        """Set those that are not there yet; what then stands under all those names."""

    def remove(self, kind: str, name: str) -> None:
        """Remove a value."""


class SqliteRecords:
    """A table in a SQLite file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, kind: str, names: Sequence[str]) -> dict[str, bytes]:
        """As Records."""
        with self._open() as connection:
            connection.execute("create temp table wanted (name text primary key)")
            connection.executemany("insert into wanted values (?)", ((n,) for n in names))
            query = "select name, value from records join wanted using (name) where kind = ?"
            return dict(connection.execute(query, (kind,)).fetchall())

    def all(self, kind: str) -> dict[str, bytes]:
        """As Records."""
        with self._open() as connection:
            query = "select name, value from records where kind = ? order by name"
            return dict(connection.execute(query, (kind,)).fetchall())

    def put(self, kind: str, name: str, value: bytes) -> None:
        """As Records."""
        with self._open() as connection:
            connection.execute(
                "insert or replace into records values (?, ?, ?)", (kind, name, value)
            )

    def add(self, kind: str, values: Mapping[str, bytes]) -> dict[str, bytes]:
        """As Records."""
        with self._open() as connection:
            rows = ((kind, name, value) for name, value in values.items())
            connection.executemany("insert or ignore into records values (?, ?, ?)", rows)
        return self.get(kind, list(values))

    def remove(self, kind: str, name: str) -> None:
        """As Records."""
        with self._open() as connection:
            connection.execute("delete from records where kind = ? and name = ?", (kind, name))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection, and one transaction on it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
                self._path.chmod(0o600)
                connection.execute("pragma secure_delete = on")
                connection.execute("pragma synchronous = full")
                connection.execute(
                    "create table if not exists records"
                    " (kind text, name text, value blob, primary key (kind, name)) without rowid"
                )
                yield connection
        except sqlite3.Error as error:
            raise ArchiveError(
                f"{self._path} can't be used ({error})",
                remedy="see who else holds it, and the disk",
            ) from error


class DynamoRecords:
    """A DynamoDB table with the keys `kind` and `name`. client: boto3's DynamoDB."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client, self._table = client, table

    def prepare(self) -> None:
        """Make the table if it is not there."""
        try:
            make_table(self._client, self._table, "kind", "name")
        except ClientError as error:
            raise _refused(error) from error

    def get(self, kind: str, names: Sequence[str]) -> dict[str, bytes]:
        """As Records."""
        parts = [names[at : at + _BATCH] for at in range(0, len(names), _BATCH)]
        found: dict[str, bytes] = {}
        with ThreadPoolExecutor(_MANY) as pool:
            for part in pool.map(lambda part: self._get(kind, part), parts):
                found |= part
        return found

    def all(self, kind: str) -> dict[str, bytes]:
        """As Records."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="#kind = :kind",
            ExpressionAttributeNames={"#kind": "kind"},
            ExpressionAttributeValues={":kind": {"S": kind}},
        )
        try:
            return {item["name"]["S"]: _value(item) for page in pages for item in page["Items"]}
        except ClientError as error:
            raise _refused(error) from error

    def put(self, kind: str, name: str, value: bytes) -> None:
        """As Records."""
        try:
            self._client.put_item(TableName=self._table, Item=_item(kind, name, value))
        except ClientError as error:
            raise _refused(error) from error

    def add(self, kind: str, values: Mapping[str, bytes]) -> dict[str, bytes]:
        """As Records."""
        with ThreadPoolExecutor(_MANY) as pool:
            list(pool.map(lambda pair: self._add(kind, *pair), values.items()))
        return self.get(kind, list(values))

    def remove(self, kind: str, name: str) -> None:
        """As Records."""
        try:
            self._client.delete_item(TableName=self._table, Key=_key(kind, name))
        except ClientError as error:
            raise _refused(error) from error

    def _get(self, kind: str, names: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        wanted: Any = {
            self._table: {"Keys": [_key(kind, name) for name in names], "ConsistentRead": True}
        }
        try:
            while wanted:
                answer = self._client.batch_get_item(RequestItems=wanted)
                items = answer["Responses"].get(self._table, [])
                found |= {item["name"]["S"]: _value(item) for item in items}
                wanted = answer.get("UnprocessedKeys")
        except ClientError as error:
            raise _refused(error) from error
        return found

    def _add(self, kind: str, name: str, value: bytes) -> None:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_item(kind, name, value),
                ConditionExpression="attribute_not_exists(#name)",
                ExpressionAttributeNames={"#name": "name"},
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise _refused(error) from error


def _key(kind: str, name: str) -> dict[str, Any]:
    return {"kind": {"S": kind}, "name": {"S": name}}


def _item(kind: str, name: str, value: bytes) -> dict[str, Any]:
    return {**_key(kind, name), "value": {"B": value}}


def _value(item: Mapping[str, Any]) -> bytes:
    return bytes(item["value"]["B"])


def _refused(error: ClientError) -> ArchiveError:
    return ArchiveError(
        f"the archive's records can't be used ({error})",
        remedy="see that their table is there (smug archive prepare) and who may use it",
    )
