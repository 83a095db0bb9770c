"""What is the same for every service of AWS, and for every table of DynamoDB."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def code(error: ClientError) -> str:
    """The error code of an answer."""
    return str(error.response.get("Error", {}).get("Code", ""))


def make_table(client: "DynamoDBClient", table: str, group: str, name: str) -> None:
    """Make a table whose items have these two keys, both text, if it is not there, and wait for it.

    Paid by request. Raises botocore's ClientError and BotoCoreError.
    """
    try:
        client.create_table(
            TableName=table,
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": "S"} for key in (group, name)
            ],
            KeySchema=[
                {"AttributeName": group, "KeyType": "HASH"},
                {"AttributeName": name, "KeyType": "RANGE"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    except ClientError as error:
        if code(error) != "ResourceInUseException":
            raise
    client.get_waiter("table_exists").wait(
        TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
