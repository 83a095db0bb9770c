"""The items of `items` in a DynamoDB table: one conditional write each, read consistently.

Answers that were lost are asked for again by the client; each of our writes may be done twice.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from smug_platform.aws import code, make_table
from smug_platform.capture.items import Fields, Item, Value
from smug_platform.errors import StateError
from smug_platform.settings_capture import StoreSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PASSES = (
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
)
_REFUSED = "ConditionalCheckFailedException"


def dynamo_client(settings: StoreSettings) -> "DynamoDBClient":
    """A client whose requests end before a lease does."""
    config = Config(
        connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}
    )
    session = boto3.session.Session(botocore_session=botocore.session.Session())
    return session.client(
        "dynamodb", region_name=settings.region, endpoint_url=settings.endpoint, config=config
    )


class DynamoItems:
    """A table with the keys `group` and `name`, both text."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client, self._table = client, table

    def prepare(self) -> None:
        """Make the table if it is not there."""
        try:
            make_table(self._client, self._table, "group", "name")
        except (ClientError, BotoCoreError) as error:
            raise self._error(error) from error

    def get(self, group: str, name: str) -> Item:
        """As Items."""
        try:
            answer = self._client.get_item(
                TableName=self._table, Key=_key(group, name), ConsistentRead=True
            )
        except (ClientError, BotoCoreError) as error:
            raise self._error(error) from error
        return _item(answer.get("Item", {}))

    def group(self, group: str) -> dict[str, Item]:
        """As Items."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="#group = :group",
            ExpressionAttributeNames={"#group": "group"},
            ExpressionAttributeValues={":group": {"S": group}},
        )
        try:
            return {item["name"]["S"]: _item(item) for page in pages for item in page["Items"]}
        except (ClientError, BotoCoreError) as error:
            raise self._error(error) from error

    def update(self, group: str, name: str, fields: Fields, *, expect: Fields) -> bool:
        """As Items."""
        said = _Expressions()
        sets = [f"{said.name(f)} = {said.value(v)}" for f, v in fields.items() if v is not None]
        gone = [said.name(f) for f, v in fields.items() if v is None]
        update = ("SET " + ", ".join(sets)) if sets else ""
        update += (" REMOVE " + ", ".join(gone)) if gone else ""
        return self._change(
            self._client.update_item,
            Key=_key(group, name),
            UpdateExpression=update,
            **said.condition(expect),
        )

    def remove(self, group: str, name: str, *, expect: Fields) -> bool:
        """As Items."""
        said = _Expressions()
        return self._change(
            self._client.delete_item, Key=_key(group, name), **said.condition(expect)
        )

    def _change(self, call: Any, **request: Any) -> bool:
        try:
            call(TableName=self._table, **request)
        except ClientError as error:
            if code(error) == _REFUSED:
                return False
            raise self._error(error) from error
        except BotoCoreError as error:
            raise self._error(error) from error
        return True

    def _error(self, error: Exception) -> StateError:
        may_pass = not isinstance(error, ClientError) or code(error) in _PASSES
        return StateError(
            f"table {self._table!r} of capture's state can't be used ({error})",
            remedy="see that it is there (smug capture --prepare) and who may use it",
            passes=may_pass,
        )


class _Expressions:
    """The names and values of one request. Names are never written out: many are reserved."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, field: str) -> str:
        placeholder = f"#{field}"
        self._names[placeholder] = field
        return placeholder

    def value(self, value: Value) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = _encode(value)
        return placeholder

    def condition(self, expect: Fields) -> dict[str, Any]:
        """What the request says beside its key and its update."""
        terms = [
            f"attribute_not_exists({self.name(field)})"
            if value is None
            else f"{self.name(field)} = {self.value(value)}"
            for field, value in expect.items()
        ]
        said = {
            "ConditionExpression": " AND ".join(terms),
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": self._values,
        }
        return {name: what for name, what in said.items() if what}


def _key(group: str, name: str) -> dict[str, Any]:
    return {"group": {"S": group}, "name": {"S": name}}


def _encode(value: Value) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"B": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def _item(found: Mapping[str, Any]) -> Item:
    return {field: _decode(v) for field, v in found.items() if field not in {"group", "name"}}


def _decode(found: Mapping[str, Any]) -> Value:
    if "B" in found:
        return bytes(found["B"])
    return int(found["N"]) if "N" in found else str(found["S"])
