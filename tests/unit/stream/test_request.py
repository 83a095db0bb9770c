"""The body of PutRecords, against the one that botocore writes by itself."""

import io
from typing import Any

import boto3
import orjson
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.settings import load_settings
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.request import put_records_body

ANSWER = b'{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"shardId-0"}]}'
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"Data": st.binary(max_size=300), "PartitionKey": st.text(min_size=1, max_size=20)},
        optional={"ExplicitHashKey": st.integers(0, 2**128 - 1).map(str)},
    ),
    min_size=1,
)


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


def sent_by(client: Any, **params: Any) -> tuple[Any, Any]:
    """The request that is sent for a PutRecords, and what its answer says."""
    seen: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        seen.append(request)
        return AWSResponse(request.url, 200, {}, _Raw(ANSWER))  # type: ignore[arg-type]

    client.meta.events.register("before-send.kinesis.PutRecords", answer)
    try:
        said = client.put_records(**params)
    finally:
        client.meta.events.unregister("before-send.kinesis.PutRecords", answer)
    return seen[0], said


@pytest.fixture(scope="module")
def plain() -> Any:
    """A client as botocore makes it."""
    return boto3.client("kinesis", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


@given(RECORDS)
def test_the_body_says_what_botocores_says(plain: Any, records: list[dict[str, Any]]) -> None:
    theirs, _ = sent_by(plain, StreamName="changes", Records=records)
    ours = put_records_body({"StreamName": "changes", "Records": records})
    assert orjson.loads(ours) == orjson.loads(theirs.body)


def test_the_body_of_no_records_is_json_too() -> None:
    """Which Kinesis refuses in words, as it does botocore's."""
    body = put_records_body({"StreamName": "changes", "Records": []})
    assert orjson.loads(body) == {"StreamName": "changes", "Records": []}


def test_the_client_sends_that_body_signed_and_with_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SMUG_ENV", raising=False)
    client = kinesis_client(load_settings({}).stream)
    records = [{"Data": b"one", "PartitionKey": "k"}, {"Data": b"two", "PartitionKey": "k"}]
    params = {"StreamName": "changes", "Records": records}
    request, said = sent_by(client, **params)
    assert request.body == put_records_body(params)
    assert request.headers["Content-Length"] == str(len(request.body))
    assert b"Signature=" in request.headers["Authorization"]
    assert said["FailedRecordCount"] == 0
